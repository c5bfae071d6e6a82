"""The tools of MCP servers, as one run knows them: asked for once, then the same to its end."""

import asyncio
from dataclasses import dataclass, field

from langchain_core.tools import BaseTool

from perdure.core.toolservers import ServerTool, ToolCard


@dataclass
class ToolLists:
    """What each server listed in this run, and the tools that were made of it."""

    cards: dict[str, tuple[ToolCard, ...]] = field(default_factory=dict[str, tuple[ToolCard, ...]])
    locks: dict[str, asyncio.Lock] = field(default_factory=dict[str, asyncio.Lock])
    """One for each server, so that nodes side by side ask once."""
    made: dict[tuple[str, bool], list[BaseTool]] = field(
        default_factory=dict[tuple[str, bool], list[BaseTool]]
    )
    """By the names of a group, and whether its tools are named with a prefix."""
    called: dict[str, ServerTool] = field(default_factory=dict[str, ServerTool])
    """Tools of servers that a model called and that are part of the app's graphs."""

    def lock(self, server: str) -> asyncio.Lock:
        """Return the lock of one server."""
        return self.locks.setdefault(server, asyncio.Lock())
