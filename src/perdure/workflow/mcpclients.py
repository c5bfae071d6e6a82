"""Let a node ask the adapters' own client for tools: in a run by an activity. Workflow side.

`MultiServerMCPClient.get_tools()` opens sessions, which a run must not. For a client that the
worker found among the app's objects, the servers are asked as for `perdure.mcp`.
"""

import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import wraps
from typing import cast

from langchain_core.tools import BaseTool

from perdure.core.adapters import is_silent, name_server
from perdure.core.declared import Declaration, Table
from perdure.core.jsons import Raw
from perdure.errors import BadOption, UnknownTool
from perdure.workflow.current import find_run
from perdure.workflow.mcptool import Terms

CLIENT = ("langchain_mcp_adapters.client", "MultiServerMCPClient")
_MARK = "__perdure_client__"


@dataclass(kw_only=True)
class Clients:
    """The clients of an app, with the names under which their servers are declared."""

    held: dict[int, tuple[Raw, dict[str, Declaration]]] = field(
        default_factory=dict[int, tuple[Raw, dict[str, Declaration]]]
    )
    """By identity; the client itself is held, so that no other gets its id."""

    def add(self, table: Table, client: Raw) -> None:
        """Declare the servers of a client."""
        connections = cast("Mapping[str, Raw]", client.connections)
        named = {name: name_server(table, name, one) for name, one in connections.items()}
        found = {name: table.find("mcp", chosen) for name, chosen in named.items()}
        self.held[id(client)] = (client, {n: entry for n, entry in found.items() if entry})


def is_client(thing: object) -> bool:
    """Tell whether an object is a client of the adapters; loads nothing."""
    kind = _kind()
    return kind is not None and issubclass(type(thing), kind)


def install() -> None:
    """Put the wrapper in place, if the app loaded the adapters. Runs on the worker."""
    kind = cast("Raw", _kind())
    if kind is None or getattr(kind.get_tools, _MARK, False):
        return
    original = cast("Callable[..., Awaitable[list[BaseTool]]]", kind.get_tools)

    @wraps(original)
    async def get_tools(self: Raw, *, server_name: str | None = None) -> list[BaseTool]:
        run = find_run()
        if run is None:
            return await original(self, server_name=server_name)
        known = cast("Clients", cast("Raw", run.host.found).clients) if run.host.found else None
        return await _in_run(self, known, server_name)

    setattr(get_tools, _MARK, True)
    kind.get_tools = get_tools


def _kind() -> type | None:
    return cast("type | None", getattr(sys.modules.get(CLIENT[0]), CLIENT[1], None))


async def _in_run(client: Raw, clients: Clients | None, server: str | None) -> list[BaseTool]:
    """Return what the servers of a client listed first in this run.

    Raises:
        UnknownTool: The client was made in the run, so that no worker knows its servers.
        BadOption: The client has interceptors or callbacks, which belong to one process.
    """
    held = clients.held.get(id(client)) if clients is not None else None
    if held is None:
        raise UnknownTool(
            "MultiServerMCPClient.get_tools() was called in a run, of a client that was made while "
            "it goes on, so other workers cannot know its servers. Make the client where the app "
            "is imported, or write there: servers = perdure.mcp({...})"
        )
    if client.tool_interceptors or not is_silent(client.callbacks):
        raise BadOption(
            "MultiServerMCPClient.get_tools() was called in a run, of a client with interceptors "
            "or callbacks; take its tools where the app is imported, then its calls keep them"
        )
    _, entries = held
    if server is not None and server not in entries:
        raise ValueError(
            f"Couldn't find a server with name '{server}', expected one of '{list(entries)}'"
        )
    wanted = entries.values() if server is None else [entries[server]]
    from perdure.workflow.mcp import McpServers  # noqa: PLC0415 - loads LangChain's agents

    return await McpServers(tuple(wanted), Terms(prefix=client.tool_name_prefix)).get_tools()
