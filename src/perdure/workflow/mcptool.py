"""One tool of an MCP server, made of what the server told about it. Workflow side."""

# pyright: reportPrivateUsage=false
# `_run` is the hook that LangChain documents for subclasses of its tools.

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from inspect import isawaitable
from typing import cast

from langchain_core.tools import BaseTool
from pydantic import Field

from perdure.core.approvals import Approve
from perdure.core.declared import Declaration
from perdure.core.jsons import JsonObject, Raw
from perdure.core.options import KEEP, Override
from perdure.core.toolservers import ServerTool, ToolCard
from perdure.workflow.tool import InterceptedTool

ADAPTERS = "langchain_mcp_adapters"
_ASYNC_ONLY = "outside of a run an MCP tool is called by ainvoke()"


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What the author said of a group of servers."""

    prefix: bool = False
    override: Override = KEEP
    effect: tuple[str, ...] = ()
    idempotent: bool = True
    approve: Mapping[str, Approve] = field(default_factory=dict[str, Approve])


class McpTool(InterceptedTool, BaseTool):
    """One tool of a server; inside a run each call is an activity, outside a session of its own."""

    perdure_declared: Declaration = Field(exclude=True, repr=False)  # pyright: ignore[reportIncompatibleVariableOverride]

    def _run(self, *args: Raw, **kwargs: Raw) -> Raw:
        raise NotImplementedError(_ASYNC_ONLY)


def make_tool(
    name: str, at: ServerTool, card: ToolCard, terms: Terms, server: Declaration
) -> McpTool:
    """Make a tool; `name` is what the model calls it."""
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
        args_schema={"type": "object", "properties": {}, **card.schema},
        metadata=dict(card.metadata) or None,
        response_format="content_and_artifact",
        perdure_declared=entry,
    )


class _Outside(BaseTool):
    """Calls a tool where no run goes on, as the adapters do: in a session for this alone."""

    at: ServerTool
    server: Declaration

    async def arun(self, tool_input: Raw, *args: Raw, **kwargs: Raw) -> Raw:
        """Call the tool."""
        convert = import_module(f"{ADAPTERS}.tools").convert_mcp_tool_to_langchain_tool
        schema: JsonObject = {"type": "object", "properties": {}}
        bare = import_module("mcp.types").Tool(name=self.at.tool, inputSchema=schema)
        connection = await connect(self.server)
        made = convert(None, bare, connection=connection, server_name=self.at.server)
        own = cast("BaseTool", made.model_copy(update={"name": self.name}))
        return await own.arun(tool_input, *args, **kwargs)

    def _run(self, *args: Raw, **kwargs: Raw) -> Raw:
        raise NotImplementedError(_ASYNC_ONLY)


async def connect(server: Declaration) -> Raw:
    """Return the connection of a server, for use where no run goes on."""
    made = cast("Raw", server.build())
    made = made() if callable(made) else made
    return await made if isawaitable(made) else made
