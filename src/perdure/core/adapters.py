"""Recognise the tools that LangChain's MCP adapters make, by what their function closes over.

The adapters keep server and connection of a tool nowhere else. A tool whose function looks
otherwise counts as any other tool.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from perdure.core.declared import Declaration, Table
from perdure.core.jsons import Raw
from perdure.core.toolservers import ServerTool

HOME = "langchain_mcp_adapters.tools"
CELLS = ("session", "connection", "tool", "callbacks", "tool_interceptors", "server_name")
_CALLBACKS = ("on_logging_message", "on_progress", "on_elicitation")
_NAMELESS = "mcp"


@dataclass(frozen=True, kw_only=True)
class Adapted:
    """What the adapters made a tool of."""

    session: object
    connection: Raw
    tool: str
    server: str
    bare: bool
    """Whether a call is nothing but a request to the server: no interceptors, no callbacks."""


def adapted(tool: object) -> Adapted | None:
    """Read what a tool was made of; None for a tool that the adapters did not make."""
    function = cast("Raw", getattr(tool, "coroutine", None))
    if getattr(function, "__module__", None) != HOME:
        return None
    cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
    if not cells.keys() >= set(CELLS):
        return None
    held = {name: cell.cell_contents for name, cell in cells.items()}
    return Adapted(
        session=held["session"],
        connection=held["connection"],
        tool=str(held["tool"].name),
        server=str(held["server_name"] or _NAMELESS),
        bare=is_silent(held["callbacks"]) and not held["tool_interceptors"],
    )


def is_silent(callbacks: object) -> bool:
    """Tell whether nobody listens to what a server says besides its answers."""
    return all(getattr(callbacks, name, None) is None for name in _CALLBACKS)


def declare_server(table: Table, tool: object) -> ServerTool | None:
    """Declare the server behind a tool, so that a worker keeps one session for all its calls.

    None if it is not the adapters' tool, or one whose calls are more than a request: its own
    function is called then.
    """
    made = adapted(tool)
    if made is None or not made.bare or not isinstance(made.connection, Mapping):
        return None
    return ServerTool(server=name_server(table, made.server, made.connection), tool=made.tool)


def name_server(table: Table, wanted: str, connection: Raw) -> str:
    """Declare a server by its name, or another if the name is taken; returns the name."""
    name, number = wanted, 1
    while (held := table.find("mcp", name)) is not None and held.build() is not connection:
        number += 1
        name = f"{wanted}.{number}"
    if held is None:
        table.add(
            Declaration(
                kind="mcp", name=name, identity=("found", id(connection)), build=lambda: connection
            )
        )
    return name
