"""Find a run by the beginning of its id, and all of its history. Caller side."""

from collections.abc import Awaitable, Callable

import temporalio.client
from temporalio.client import WorkflowExecution, WorkflowHistory
from temporalio.service import RPCError, RPCStatusCode

from perdure.client.faults import not_found, translated
from perdure.client.listing import find_runs
from perdure.errors import RunNotFound

_LONGEST_CHAIN = 50


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
    client: temporalio.client.Client, execution: WorkflowExecution, *, target: str
) -> list[WorkflowHistory]:
    """Fetch the history of a run and of what it continues, oldest first."""
    histories: list[WorkflowHistory] = []
    wanted: str | None = execution.run_id
    while wanted and len(histories) < _LONGEST_CHAIN:
        handle = client.get_workflow_handle(execution.id, run_id=wanted)
        with translated(target=target, run_id=execution.id):
            history = await handle.fetch_history()
        histories.insert(0, history)
        start = history.events[0].workflow_execution_started_event_attributes
        wanted = start.continued_execution_run_id
    return histories
