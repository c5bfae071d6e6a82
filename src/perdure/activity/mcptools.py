"""The tools of MCP servers: list them, call them. Activity side.

Connections, with their headers and keys, are read here and go nowhere else: what fails is told
without any value of theirs. `mcp` is loaded when the first server is needed.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from importlib import import_module
from inspect import isawaitable
from typing import TYPE_CHECKING, TypeVar, cast
from uuid import uuid4
from weakref import WeakKeyDictionary

from langchain_core.tools import BaseTool
from temporalio import activity
from temporalio.exceptions import ApplicationError

from perdure.activity.failure import as_application_error
from perdure.activity.heartbeat import heartbeats
from perdure.activity.mcpfaults import ServerFault, plainly, secrets_of
from perdure.core.declared import Declaration, Table
from perdure.core.jsons import Json, Raw, as_object
from perdure.core.names import TOOL_LIST_ACTIVITY
from perdure.core.ports import Codec
from perdure.core.toolservers import CALL_META, KEY_META, ServerTool, ToolCard
from perdure.core.verdicts import Verdict
from perdure.core.wire import ToolCall
from perdure.errors import PayloadTooLarge, PerdureError, ToolServerFailed, UnknownTool

if TYPE_CHECKING:
    from mcp import ClientSession
    from mcp.types import CallToolResult

    from perdure.activity.mcpsessions import Sessions

T = TypeVar("T")
_LOADED_LATE = "perdure.activity.mcpsessions"
_SHARE, _LARGEST_MARGIN = 0.1, timedelta(seconds=10)
_NO_SUCH = (-32601, -32602)
"""JSON-RPC: there is no such method, or its parameters are wrong: for the model to mend."""


class ToolServers:
    """The MCP servers that a worker can reach, with the sessions that it holds."""

    def __init__(self, *, declared: Table, codec: Codec) -> None:
        self._declared = declared
        self._codec = codec
        self._users = 0
        self._sessions: WeakKeyDictionary[asyncio.AbstractEventLoop, Sessions] = WeakKeyDictionary()
        self._secrets: dict[str, frozenset[str]] = {}

    @asynccontextmanager
    async def serving(self) -> AsyncGenerator[None]:
        """Load what is needed while a worker starts; close the sessions after the last one."""
        self._users += 1
        try:
            if self._declared.names("mcp"):
                import_module(_LOADED_LATE)
            yield
        finally:
            self._users -= 1
            held = self._sessions.get(asyncio.get_running_loop())
            if held is not None and self._users == 0:
                await held.close()

    @activity.defn(name=TOOL_LIST_ACTIVITY)
    async def tools(self, raw: Raw) -> Raw:
        """List the tools of one server.

        Raises:
            ApplicationError: Its type is a code of `perdure.errors`.
        """
        name = str(as_object(raw, what="a question for tools").get("server"))
        try:
            entry = self._find(name)
            async with heartbeats():
                cards = await self._list(entry)
        except PerdureError as error:
            raise ApplicationError(str(error), type=error.code, non_retryable=True) from error
        except ServerFault as fault:
            verdict = fault.perdure_verdict or Verdict(act="retry", reason="it may pass")
            plain = Exception(str(fault))
            raise as_application_error(
                fault, verdict, code=ToolServerFailed.code, subject="listing tools"
            ) from plain
        listed: Json = {"tools": [card.to_json() for card in cards]}
        if self._codec.size(listed) > self._codec.largest:
            most = f"{self._codec.largest:,} bytes"
            text = f"the tool list of MCP server {name!r} takes more than {most}"
            raise ApplicationError(text, type=PayloadTooLarge.code, non_retryable=True)
        return listed

    def tool(self, call: ToolCall) -> BaseTool:
        """Return what calls one tool of a server, as LangChain's adapters make it.

        Raises:
            UnknownTool: No such server is declared on this worker.
        """
        import_module(_LOADED_LATE)
        from langchain_mcp_adapters.tools import convert_mcp_tool_to_langchain_tool  # noqa: PLC0415
        from mcp.types import Tool  # noqa: PLC0415

        at = cast("ServerTool", call.server)
        caller = _Caller(self, self._find(at.server), call.key)
        bare = Tool(name=at.tool, inputSchema={"type": "object", "properties": {}})
        made = convert_mcp_tool_to_langchain_tool(
            cast("ClientSession", caller), bare, server_name=at.server
        )
        own = self._declared.find("tool", call.tool)
        if own is not None and own.terms == at and isinstance(own.part, BaseTool):
            # What the app set on the adapters' tool stays, such as what it does with errors.
            return own.part.model_copy(update={"coroutine": cast("Raw", made).coroutine})
        return made.model_copy(update={"name": call.tool})

    def _find(self, name: str) -> Declaration:
        entry = self._declared.find("mcp", name)
        if entry is None:
            known = ", ".join(self._declared.names("mcp")) or "none"
            raise UnknownTool(
                f"no MCP server {name!r} is declared on this worker; known: {known}. "
                "Declare it where the app is imported: perdure.mcp({...})"
            )
        return entry

    async def _list(self, entry: Declaration) -> list[ToolCard]:
        async def work(session: "ClientSession") -> list[ToolCard]:
            from langchain_mcp_adapters.tools import load_mcp_tools  # noqa: PLC0415

            return [_card(tool) for tool in await load_mcp_tools(session, server_name=entry.name)]

        return await self.ask(entry, work, call=uuid4().hex)

    async def ask(
        self,
        entry: Declaration,
        work: "Callable[[ClientSession], Awaitable[T]]",
        *,
        call: str,
        told: tuple[type[Exception], ...] = (),
    ) -> T:
        """Do one thing in the session with a server; errors of `told` are raised as they are.

        Raises:
            ServerFault: What went wrong, without anything secret.
        """
        from perdure.activity.mcpsessions import Sessions  # noqa: PLC0415 - loads `mcp`

        sessions = self._sessions.setdefault(asyncio.get_running_loop(), Sessions())

        async def connect() -> Mapping[str, Raw]:
            made = cast("Raw", entry.build())
            made = made() if callable(made) else made
            connection = cast("Mapping[str, Raw]", await made if isawaitable(made) else made)
            self._secrets[entry.name] = secrets_of(connection)
            return connection

        limit = _within()
        try:
            async with asyncio.timeout(limit):
                return await sessions.call(entry.name, connect, work, call=call)
        except TimeoutError as error:
            silent = TimeoutError(f"no answer within {limit:g} s") if limit else error
            raise plainly(silent, server=entry.name, secrets=frozenset()) from error
        except told:
            raise
        except Exception as error:
            secrets = self._secrets.get(entry.name, frozenset())
            raise plainly(error, server=entry.name, secrets=secrets) from error


class _Caller:
    """Stands in for a session where the adapters call a tool."""

    def __init__(self, servers: ToolServers, entry: Declaration, key: str | None) -> None:
        self._servers = servers
        self._entry = entry
        self._key = key

    async def call_tool(self, name: str, arguments: dict[str, Raw], **_: Raw) -> "CallToolResult":
        """Call a tool; what only the model can mend comes back as an error of the tool."""
        from mcp import McpError  # noqa: PLC0415

        mark = uuid4().hex
        meta = {CALL_META: mark} | ({KEY_META: self._key} if self._key is not None else {})

        async def work(session: "ClientSession") -> "CallToolResult":
            try:
                result = await session.call_tool(name, arguments, meta=meta)
            except McpError as error:
                if error.error.code not in _NO_SUCH:
                    raise
                result = _failed(error.error.message)
            return await self._explain(session, name, result) if result.isError else result

        return await self._servers.ask(self._entry, work, call=mark)

    async def _explain(
        self, session: "ClientSession", name: str, result: "CallToolResult"
    ) -> "CallToolResult":
        """Say so plainly if a call failed because the server has no such tool any more."""
        from langchain_mcp_adapters.tools import load_mcp_tools  # noqa: PLC0415

        names = [tool.name for tool in await load_mcp_tools(session)]
        if name in names:
            return result
        return _failed(
            f"MCP server {self._entry.name!r} has no tool {name!r} any more: it was listed when "
            f"this run began, and was removed or renamed since. It has: {', '.join(names)}"
        )


def _failed(text: str) -> "CallToolResult":
    from mcp.types import CallToolResult, TextContent  # noqa: PLC0415

    return CallToolResult(content=[TextContent(type="text", text=text)], isError=True)


def _card(tool: BaseTool) -> ToolCard:
    return ToolCard(
        name=tool.name,
        description=tool.description,
        schema=cast("dict[str, Json]", tool.args_schema),
        metadata=tool.metadata or {},
    )


def _within() -> float | None:
    """Return the seconds after which a call gives up by itself, before Temporal does."""
    limit = activity.info().start_to_close_timeout if activity.in_activity() else None
    if limit is None:
        return None
    return (limit - min(limit * _SHARE, _LARGEST_MARGIN)).total_seconds()
