"""The tools of MCP servers, as one run knows them: asked for once, then the same to its end."""

import asyncio
from dataclasses import dataclass, field

from langchain_core.tools import BaseTool

from perdure.core.toolservers import ToolCard


@dataclass
class ToolLists:
    """What each server listed in this run, and the tools that were made of it."""

    cards: dict[str, tuple[ToolCard, ...]] = field(default_factory=dict[str, tuple[ToolCard, ...]])
    locks: dict[str, asyncio.Lock] = field(default_factory=dict[str, asyncio.Lock])
    """One for each server, so that nodes side by side ask once."""
    made: dict[str, list[BaseTool]] = field(default_factory=dict[str, list[BaseTool]])

    def lock(self, server: str) -> asyncio.Lock:
        """Return the lock of one server."""
        return self.locks.setdefault(server, asyncio.Lock())
