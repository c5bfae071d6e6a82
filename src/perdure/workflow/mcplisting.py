"""Ask MCP servers for their tools: in a run once, by an activity. Workflow side."""

from importlib import import_module
from typing import cast

from langchain_core.tools import BaseTool
from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

from perdure.core.declared import Declaration
from perdure.core.jsons import Json, JsonObject, Raw, as_object, shorten
from perdure.core.names import TOOL_LIST_ACTIVITY
from perdure.core.options import TOOL_LIST_OPTIONS
from perdure.core.toolservers import ToolCard
from perdure.errors import ToolServerFailed, UnknownTool
from perdure.workflow.calls import retry_policy
from perdure.workflow.current import Run
from perdure.workflow.mcptool import ADAPTERS, connect


async def list_in_run(run: Run, entry: Declaration) -> tuple[ToolCard, ...]:
    """Return what a server listed when this run asked first.

    Raises:
        ToolServerFailed: It could not be asked, after all attempts.
        UnknownTool: The worker that was asked does not know the server.
    """
    lists = run.tool_lists
    async with lists.lock(entry.name):
        if entry.name not in lists.cards:
            await run.journal.passage()
            run.journal.busy += 1
            try:
                lists.cards[entry.name] = await _list(run, entry)
            finally:
                run.journal.busy -= 1
    return lists.cards[entry.name]


async def _list(run: Run, entry: Declaration) -> tuple[ToolCard, ...]:
    limits = run.start.tool_override("*").apply(entry.override.apply(TOOL_LIST_OPTIONS))
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
        raise _failure(entry.name, error) from error
    listed = cast("list[Json]", as_object(answer, what="a list of tools").get("tools") or [])
    return tuple(ToolCard.from_json(one) for one in listed)


def _failure(server: str, error: ActivityError) -> Exception:
    cause = error.cause
    told = cause.message if isinstance(cause, ApplicationError) else str(cause or error)
    if repr(server) not in told:
        told = f"MCP server {server!r}: {told}"
    unknown = isinstance(cause, ApplicationError) and cause.type == UnknownTool.code
    return UnknownTool(told) if unknown else ToolServerFailed(told)


async def list_outside(entry: Declaration) -> tuple[ToolCard, ...]:
    """Ask a server where no run goes on, as the adapters do: in a session for this alone."""
    load = import_module(f"{ADAPTERS}.tools").load_mcp_tools
    made = await load(None, connection=await connect(entry), server_name=entry.name)
    return tuple(
        ToolCard(
            name=tool.name,
            description=tool.description,
            schema=cast("dict[str, Json]", tool.args_schema),
            metadata=tool.metadata or {},
        )
        for tool in cast("list[BaseTool]", made)
    )
