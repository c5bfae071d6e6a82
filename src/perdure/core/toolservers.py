"""What is known of MCP servers and their tools: declarations, listed tools, names. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import cast

from perdure.core.jsons import Json, JsonObject, Raw, as_object, shorten
from perdure.errors import BadInput, BadOption, NameTaken

TRANSPORTS: Mapping[str, tuple[str, ...]] = {
    "stdio": ("command", "args"),
    "streamable_http": ("url",),
    "streamable-http": ("url",),
    "http": ("url",),
    "sse": ("url",),
    "websocket": ("url",),
}
"""Each transport of LangChain's MCP adapters, with what it cannot do without."""
KEY_META = "perdure/idempotency-key"
CALL_META = "perdure/call"
"""Under these names a server finds, in `_meta` of a call, the key of an effect and the attempt."""


@dataclass(frozen=True, kw_only=True)
class ServerTool:
    """A tool of a server, by the server's own name for it."""

    server: str
    tool: str

    def to_json(self) -> JsonObject:
        """Write it as JSON."""
        return {"server": self.server, "tool": self.tool}

    @classmethod
    def from_json(cls, raw: Raw) -> "ServerTool":
        """Read it.

        Raises:
            BadInput: A name is missing.
        """
        data = as_object(raw, what="the tool of a server")
        server, tool = data.get("server"), data.get("tool")
        if not isinstance(server, str) or not isinstance(tool, str):
            raise BadInput(f"a tool of a server needs both names, got {shorten(repr(data))}")
        return cls(server=server, tool=tool)


@dataclass(frozen=True, kw_only=True)
class ToolCard:
    """What a server tells about one of its tools."""

    name: str
    description: str = ""
    schema: Mapping[str, Json] = field(default_factory=dict[str, Json])
    """The JSON schema of its arguments."""
    metadata: Mapping[str, Json] = field(default_factory=dict[str, Json])
    """The server's hints and `_meta`, as LangChain's adapters write them."""

    def to_json(self) -> JsonObject:
        """Write the card as JSON."""
        data: JsonObject = {"name": self.name, "schema": dict(self.schema)}
        if self.description:
            data["description"] = self.description
        if self.metadata:
            data["metadata"] = dict(self.metadata)
        return data

    @classmethod
    def from_json(cls, raw: Raw) -> "ToolCard":
        """Read a card.

        Raises:
            BadInput: It has no name.
        """
        data = as_object(raw, what="a listed tool")
        name = data.get("name")
        if not isinstance(name, str):
            raise BadInput(f"a listed tool has no name: {shorten(repr(data))}")
        return cls(
            name=name,
            description=str(data.get("description") or ""),
            schema=cast("Mapping[str, Json]", data.get("schema") or {}),
            metadata=cast("Mapping[str, Json]", data.get("metadata") or {}),
        )


def check_connection(server: str, connection: Raw) -> None:
    """Check how a server is reached, as far as that can be told without it.

    A function is called on the worker, each time when a session is opened.

    Raises:
        BadOption: The text says what is wrong and never shows a value.
    """
    if callable(connection):
        return
    if not isinstance(connection, Mapping):
        raise BadOption(
            f"MCP server {server!r}: write a connection as LangChain's MCP adapters take it, as "
            '{"transport": "streamable_http", "url": "https://..."}, or a function that returns one'
        )
    told = cast("Mapping[str, Raw]", connection)
    transport = str(told.get("transport"))
    if transport not in TRANSPORTS:
        raise BadOption(
            f"MCP server {server!r}: transport={transport!r}; choose of {', '.join(TRANSPORTS)}"
        )
    if missing := [part for part in TRANSPORTS[transport] if part not in told]:
        raise BadOption(f"MCP server {server!r}: transport {transport!r} needs {missing[0]!r}")


def identity_of_connection(connection: Raw) -> object:
    """Tell whether two connections reach the same server; what else they hold may differ."""
    if callable(connection):
        place = (getattr(connection, "__module__", ""), getattr(connection, "__qualname__", ""))
        return ("function", *place)
    told = cast("Mapping[str, Raw]", connection)
    parts = ("transport", "url", "command")
    return (*(str(told.get(part)) for part in parts), repr(list(told.get("args") or ())))


def name_tools(
    lists: Mapping[str, Iterable[ToolCard]], *, prefix: bool
) -> list[tuple[str, ServerTool, ToolCard]]:
    """Name the tools of some servers as the model sees them.

    Raises:
        NameTaken: Two servers have a tool of the same name.
    """
    named: dict[str, tuple[str, ServerTool, ToolCard]] = {}
    for server, cards in lists.items():
        for card in cards:
            name = f"{server}_{card.name}" if prefix else card.name
            if name in named:
                raise NameTaken(_same_name(name, card.name, named[name][1].server, server))
            named[name] = (name, ServerTool(server=server, tool=card.name), card)
    return list(named.values())


def check_known(option: str, wanted: Iterable[str], known: Iterable[str]) -> None:
    """Make sure that an option speaks of tools that are there; a slip could cost an approval.

    Raises:
        BadOption: A name is none of them.
    """
    names = list(known)
    for name in wanted:
        if name not in names:
            raise BadOption(
                f"{option}: the MCP servers have no tool {name!r}; they have: "
                f"{', '.join(names) or 'none'}"
            )


def _same_name(name: str, tool: str, first: str, second: str) -> str:
    if first == second:
        return f"MCP server {first!r} lists two tools named {tool!r}"
    return (
        f"MCP servers {first!r} and {second!r} both have a tool {name!r}; write "
        f"perdure.mcp(..., prefix=True), which names them {first}_{tool!s} and {second}_{tool!s}"
    )
