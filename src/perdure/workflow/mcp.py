"""`perdure.mcp`: the tools of MCP servers, listed once per run, each call one activity."""

# pyright: reportPrivateUsage=false
# `_run` is the hook that LangChain documents for subclasses of its tools.

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from importlib import import_module
from importlib.util import find_spec
from inspect import isawaitable
from typing import ClassVar, cast

from langchain.agents.middleware import (
    AgentMiddleware,
    ExtendedModelResponse,
    ModelRequest,
    ModelResponse,
)
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.tools import BaseTool
from langgraph.prebuilt.tool_node import ToolCallRequest
from langgraph.types import Command
from pydantic import Field
from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

from perdure.core.approvals import Approve
from perdure.core.declared import DECLARED, Declaration
from perdure.core.jsons import Json, JsonObject, Raw, as_object, shorten
from perdure.core.names import TOOL_LIST_ACTIVITY
from perdure.core.options import TOOL_OPTIONS, Override, Retry
from perdure.core.toolservers import (
    ServerTool,
    ToolCard,
    check_connection,
    check_known,
    identity_of_connection,
    name_tools,
)
from perdure.errors import BadOption, MissingExtra, NameTaken, ToolServerFailed, UnknownTool
from perdure.workflow.calls import retry_policy
from perdure.workflow.current import Run, find_run
from perdure.workflow.tool import InterceptedTool

_ADAPTERS = "langchain_mcp_adapters"
_ASYNC_ONLY = "outside of a run an MCP tool is called by ainvoke()"
Connection = Mapping[str, Raw] | Callable[[], Raw]
Answer = ModelResponse[Raw] | AIMessage | ExtendedModelResponse[Raw]


def mcp(
    servers: Mapping[str, Connection],
    *,
    prefix: bool = False,
    timeout: timedelta | None = None,
    heartbeat: timedelta | None = None,
    retry: Retry | None = None,
    effect: Iterable[str] = (),
    idempotent: bool = True,
    approve: Mapping[str, Approve] | None = None,
) -> "McpServers":
    """Declare MCP servers, whose tools a run asks for once; each of their calls is one activity.

    `servers` gives each a name and a connection, as LangChain's MCP adapters take it, or a
    function that returns one: the worker calls that each time when it opens a session, so that
    headers and keys are fresh. Runs where the app is imported; no server is asked then.

    Give the result to `create_agent(middleware=[...])`, or take the tools in a node:
    `tools = await servers.get_tools()`. With `prefix=True` the tools are named
    `server_tool`. `timeout`, `heartbeat` and `retry` are those of every call; for other ones of
    another server call this again. `effect`, `idempotent` and `approve` are as for
    `perdure.tool`, for the tools of those names.

    Raises:
        MissingExtra: LangChain's MCP adapters are not installed.
        BadOption: A connection or an option cannot work.
        NameTaken: Another server has that name.
    """
    if find_spec(_ADAPTERS) is None:
        raise MissingExtra("perdure.mcp() needs LangChain's adapters: pip install 'perdure[mcp]'")
    if not isinstance(cast("Raw", servers), Mapping) or not servers:
        raise BadOption('servers: write {"name": {"transport": ...}}, one or more')
    if isinstance(effect, str) or isinstance(cast("Raw", effect), bool):
        raise BadOption(f"effect={effect!r}: list the names of the tools, as in effect=['pay']")
    terms = Terms(
        prefix=prefix,
        override=Override(timeout=timeout, heartbeat=heartbeat, retry=retry),
        effect=tuple(effect),
        idempotent=idempotent,
        approve=dict(approve or {}),
    )
    return McpServers(tuple(_declare(name, one, terms) for name, one in servers.items()), terms)


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What the author said of a group of servers."""

    prefix: bool
    override: Override
    effect: tuple[str, ...]
    idempotent: bool
    approve: Mapping[str, Approve]


def _declare(name: str, connection: Connection, terms: Terms) -> Declaration:
    if not isinstance(cast("Raw", name), str) or not name:
        raise BadOption(f"an MCP server's name is text, got {shorten(repr(name), 60)}")
    check_connection(name, connection)
    identity = identity_of_connection(connection)
    held = DECLARED.find("mcp", name)
    if held is not None and held.identity != identity:
        raise NameTaken(f"two different MCP servers are named {name!r}; give one another name")
    return DECLARED.add(
        Declaration(
            kind="mcp",
            name=name,
            identity=identity,
            build=lambda: connection,
            override=terms.override,
        )
    )


class McpTool(InterceptedTool, BaseTool):
    """One tool of a server; inside a run each call is an activity, outside a session of its own."""

    perdure_declared: Declaration = Field(exclude=True, repr=False)  # pyright: ignore[reportIncompatibleVariableOverride]

    def _run(self, *args: Raw, **kwargs: Raw) -> Raw:
        raise NotImplementedError(_ASYNC_ONLY)


class McpServers(AgentMiddleware[Raw, Raw, Raw]):
    """Some MCP servers: a middleware for `create_agent`, and a source of tools for nodes."""

    tools: ClassVar[Raw] = ()

    def __init__(self, declared: tuple[Declaration, ...], terms: Terms) -> None:
        super().__init__()
        self._declared = declared
        self._terms = terms
        self._listed: list[BaseTool] | None = None

    @property
    def name(self) -> str:
        """The name among other middleware: that of the servers."""
        return f"mcp:{','.join(entry.name for entry in self._declared)}"

    async def get_tools(self) -> list[BaseTool]:
        """Return the tools: in a run always those that were listed first, by an activity each.

        Outside of a run the servers are asked each time.

        Raises:
            ToolServerFailed: A server could not be asked, after all attempts.
            NameTaken: Two servers have a tool of the same name.
            BadOption: `effect` or `approve` names a tool that no server has.
        """
        run = find_run()
        if run is not None and self.name in run.tool_lists.made:
            return list(run.tool_lists.made[self.name])
        ask = _ask_outside if run is None else _Asking(run)
        lists = await asyncio.gather(*(ask(entry) for entry in self._declared))
        made = self._make(dict(zip((e.name for e in self._declared), lists, strict=True)))
        if run is not None:
            run.tool_lists.made[self.name] = made
        return list(made)

    async def awrap_model_call(
        self, request: ModelRequest[Raw], handler: Callable[[ModelRequest[Raw]], Awaitable[Answer]]
    ) -> Answer:
        """Give the model the servers' tools beside its own.

        Raises:
            NameTaken: A tool of the agent, or of other servers, has the name of one of them.
        """
        tools = await self._known()
        given = {_name_of(one): one for one in request.tools}
        for tool in tools:
            if tool.name in given and not _is_same(given[tool.name], tool):
                raise NameTaken(
                    f"the agent has a tool {tool.name!r}, and so has {_server_of(tool)}; name one "
                    "otherwise, or write perdure.mcp(..., prefix=True)"
                )
        added = [tool for tool in tools if tool.name not in given]
        return await handler(request.override(tools=[*request.tools, *added]))

    async def awrap_tool_call(
        self,
        request: ToolCallRequest,
        handler: Callable[[ToolCallRequest], Awaitable[ToolMessage | Command[Raw]]],
    ) -> ToolMessage | Command[Raw]:
        """Call a tool of the servers, where the agent has none of that name."""
        if request.tool is not None:
            return await handler(request)
        known = {tool.name: tool for tool in await self._known()}
        tool = known.get(request.tool_call["name"])
        return await handler(request if tool is None else request.override(tool=tool))

    async def _known(self) -> list[BaseTool]:
        """Return the tools; outside of a run, those that this process listed first."""
        if find_run() is not None:
            return await self.get_tools()
        if self._listed is None:
            self._listed = await self.get_tools()
        return self._listed

    def _make(self, lists: Mapping[str, tuple[ToolCard, ...]]) -> list[BaseTool]:
        terms = self._terms
        named = name_tools(lists, prefix=terms.prefix)
        names = [name for name, _, _ in named]
        check_known("effect", terms.effect, names)
        check_known("approve", terms.approve, names)
        return [self._tool(name, at, card) for name, at, card in named]

    def _tool(self, name: str, at: ServerTool, card: ToolCard) -> BaseTool:
        terms = self._terms
        server = next(e for e in self._declared if e.name == at.server)
        entry = Declaration(
            kind="tool",
            name=name,
            identity=at,
            build=lambda: _Outside(name=name, description="", at=at, server=server),
            override=terms.override,
            effect=name in terms.effect,
            idempotent=terms.idempotent,
            approve=terms.approve.get(name),
            where="activity",
            terms=at,
        )
        return McpTool(
            name=name,
            description=card.description,
            args_schema=dict(card.schema),
            metadata=dict(card.metadata) or None,
            response_format="content_and_artifact",
            perdure_declared=entry,
        )


@dataclass(frozen=True)
class _Asking:
    """Asks a server in a run, the first time only."""

    run: Run

    async def __call__(self, entry: Declaration) -> tuple[ToolCard, ...]:
        lists = self.run.tool_lists
        async with lists.lock(entry.name):
            if entry.name not in lists.cards:
                lists.cards[entry.name] = await _list(self.run, entry)
        return lists.cards[entry.name]


async def _list(run: Run, entry: Declaration) -> tuple[ToolCard, ...]:
    limits = run.start.tool_override("*").apply(entry.override.apply(TOOL_OPTIONS))
    question: JsonObject = {"server": entry.name}
    try:
        answer: Raw = await workflow.execute_activity(
            TOOL_LIST_ACTIVITY,
            question,
            start_to_close_timeout=limits.timeout,
            heartbeat_timeout=limits.heartbeat,
            retry_policy=retry_policy(limits.retry),
            summary=f"mcp: list the tools of {shorten(entry.name, 100)}",
        )
    except ActivityError as error:
        if is_cancelled_exception(error):
            raise
        cause = error.cause
        told = cause.message if isinstance(cause, ApplicationError) else str(cause or error)
        known = isinstance(cause, ApplicationError) and cause.type == UnknownTool.code
        kind = UnknownTool if known else ToolServerFailed
        raise kind(f"MCP server {entry.name!r}: {told}") from error
    listed = cast("list[Json]", as_object(answer, what="a list of tools").get("tools") or [])
    return tuple(ToolCard.from_json(one) for one in listed)


async def _ask_outside(entry: Declaration) -> tuple[ToolCard, ...]:
    """Ask a server where no run goes on, as the adapters do: in a session for this alone."""
    connection = await _connection(entry.build())
    load = import_module(f"{_ADAPTERS}.tools").load_mcp_tools
    tools = cast("list[BaseTool]", await load(None, connection=connection, server_name=entry.name))
    return tuple(
        ToolCard(
            name=tool.name,
            description=tool.description,
            schema=cast("dict[str, Json]", tool.args_schema),
            metadata=tool.metadata or {},
        )
        for tool in tools
    )


class _Outside(BaseTool):
    """Calls a tool where no run goes on, as the adapters do: in a session for this alone."""

    at: ServerTool
    server: Declaration

    async def arun(self, tool_input: Raw, *args: Raw, **kwargs: Raw) -> Raw:
        """Call the tool."""
        convert = import_module(f"{_ADAPTERS}.tools").convert_mcp_tool_to_langchain_tool
        schema: JsonObject = {"type": "object", "properties": {}}
        bare = import_module("mcp.types").Tool(name=self.at.tool, inputSchema=schema)
        connection = await _connection(self.server.build())
        made = convert(None, bare, connection=connection, server_name=self.at.server)
        own = cast("BaseTool", made.model_copy(update={"name": self.name}))
        return await own.arun(tool_input, *args, **kwargs)

    def _run(self, *args: Raw, **kwargs: Raw) -> Raw:
        raise NotImplementedError(_ASYNC_ONLY)


async def _connection(given: Raw) -> Raw:
    made = given() if callable(given) else given
    return await made if isawaitable(made) else made


def _name_of(tool: Raw) -> str:
    held = cast("dict[str, Raw]", tool) if isinstance(tool, dict) else {}
    return str(held.get("name") or getattr(tool, "name", ""))


def _is_same(held: Raw, tool: BaseTool) -> bool:
    entry = getattr(held, "perdure_declared", None)
    return (
        isinstance(entry, Declaration)
        and entry.identity == cast("Raw", tool).perdure_declared.identity
    )


def _server_of(tool: BaseTool) -> str:
    return f"MCP server {cast('Raw', tool).perdure_declared.terms.server!r}"
