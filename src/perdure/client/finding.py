"""Find a run by the beginning of its id, and all of its history. Caller side."""

from collections.abc import Awaitable, Callable

import temporalio.client
from temporalio.client import WorkflowExecution, WorkflowHistory
from temporalio.service import RPCError, RPCStatusCode

from perdure.client.faults import not_found, translated
from perdure.client.listing import find_runs
from perdure.errors import RunNotFound

LONGEST_CHAIN = 200
"""Executions of one run that are read; 200 have at least 800,000 events."""


async def find_run(
    client: temporalio.client.Client,
    text: str,
    *,
    target: str,
    indexed: Callable[[], Awaitable[bool]],
) -> str:
    """Return the run id that `text` is, or is the beginning of.

    Raises:
        RunNotFound: No run id begins so, or several do; the text lists them.
    """
    try:
        await client.get_workflow_handle(text).describe()
    except RPCError as error:
        if error.status not in (RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT):
            with translated(target=target):
                raise
        if "namespace" in error.message.lower():
            with translated(target=target):
                raise
    else:
        return text
    with translated(target=target):
        found = await find_runs(client, text, indexed=await indexed())
    if len(found) == 1:
        return found[0]
    if not found:
        raise not_found(text)
    raise RunNotFound(f"{len(found)} run ids begin with {text!r}: {', '.join(found)}")


async def fetch_chain(
    client: temporalio.client.Client,
    execution: WorkflowExecution,
    *,
    target: str,
    known: dict[str, WorkflowHistory] | None = None,
) -> list[WorkflowHistory]:
    """Fetch the history of a run and of what it continues, oldest first.

    Of a very long chain the newest executions are read, and what the first was started with.
    Executions that the server has dropped after its retention are left out. `known` keeps those
    that have ended, for the next time.
    """
    histories: list[WorkflowHistory] = []
    known = {} if known is None else known
    wanted, first = execution.run_id, ""
    while wanted and len(histories) < LONGEST_CHAIN:
        history = known.get(wanted)
        if history is None:
            handle = client.get_workflow_handle(execution.id, run_id=wanted)
            try:
                with translated(target=target, run_id=execution.id):
                    history = await handle.fetch_history()
            except RunNotFound:
                if not histories:
                    raise
                return histories
            if wanted != execution.run_id:
                known[wanted] = history
        histories.insert(0, history)
        start = history.events[0].workflow_execution_started_event_attributes
        wanted, first = start.continued_execution_run_id, start.first_execution_run_id
    if wanted and first:
        begun = await _begin(client, execution.id, first, target=target)
        histories = histories if begun is None else [begun, *histories]
    return histories


async def _begin(
    client: temporalio.client.Client, run_id: str, execution: str, *, target: str
) -> WorkflowHistory | None:
    """Fetch the first event of an execution alone; None if the server has dropped it."""
    handle = client.get_workflow_handle(run_id, run_id=execution)
    try:
        with translated(target=target, run_id=run_id):
            async for event in handle.fetch_history_events(page_size=1):
                return WorkflowHistory(run_id, [event])
    except RunNotFound:
        return None
    return None
