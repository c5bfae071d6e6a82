"""`perdure.mcp`: the tools of MCP servers, listed once per run, each call one activity."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from importlib.util import find_spec
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

from perdure.core.ahead import end_here
from perdure.core.approvals import Approve
from perdure.core.declared import DECLARED, Declaration
from perdure.core.jsons import Raw, shorten
from perdure.core.options import Override, Retry
from perdure.core.toolservers import (
    ToolCard,
    check_connection,
    check_known,
    identity_of_connection,
    name_tools,
)
from perdure.errors import BadOption, MissingExtra, NameTaken
from perdure.workflow.current import find_run
from perdure.workflow.mcplisting import list_in_run, list_outside
from perdure.workflow.mcptool import ADAPTERS, Terms, make_tool

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
    if find_spec(ADAPTERS) is None:
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
        if run is None:
            end_here("the list of a server's tools")
            return self._make([await list_outside(entry) for entry in self._declared])
        key = (self.name, self._terms.prefix)
        if key not in run.tool_lists.made:
            asked = (list_in_run(run, entry) for entry in self._declared)
            run.tool_lists.made[key] = self._make(await asyncio.gather(*asked))
        return list(run.tool_lists.made[key])

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

    def _make(self, lists: Sequence[tuple[ToolCard, ...]]) -> list[BaseTool]:
        terms = self._terms
        by_name = {e.name: cards for e, cards in zip(self._declared, lists, strict=True)}
        named = name_tools(by_name, prefix=terms.prefix)
        names = [name for name, _, _ in named]
        check_known("effect", terms.effect, names)
        check_known("approve", terms.approve, names)
        servers = {entry.name: entry for entry in self._declared}
        return [make_tool(name, at, card, terms, servers[at.server]) for name, at, card in named]


def _name_of(tool: BaseTool | dict[str, Raw]) -> str:
    return tool.name if isinstance(tool, BaseTool) else str(tool.get("name"))


def _is_same(held: Raw, tool: BaseTool) -> bool:
    entry = cast("object", getattr(held, "perdure_declared", None))
    return (
        isinstance(entry, Declaration)
        and entry.identity == cast("Raw", tool).perdure_declared.identity
    )


def _server_of(tool: BaseTool) -> str:
    return f"MCP server {cast('Raw', tool).perdure_declared.terms.server!r}"
