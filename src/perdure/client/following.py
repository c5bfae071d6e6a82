"""Follow a run: its time line again whenever something has changed. Caller side."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta
from time import monotonic

from temporalio.client import WorkflowExecutionDescription, WorkflowHistory

from perdure.client.runs import Client
from perdure.client.timeline import Timeline

SHORTEST = timedelta(milliseconds=100)
LONGEST = timedelta(milliseconds=800)
"""A run is looked at often while it changes, and ever more rarely while it does not."""
_BUSY_SHARE = 5
"""A long history is read again only after this many times what reading it took."""


async def follow(client: Client, run_id: str) -> AsyncGenerator[Timeline]:
    """Yield the time line at once and after each change; ends when the run has ended.

    Raises:
        RunNotFound: There is no such run.
        ServerUnavailable: The server went away; follow again when it is back.
    """
    seen: object = None
    known: dict[str, WorkflowHistory] = {}
    pause = SHORTEST.total_seconds()
    while True:
        began = monotonic()
        execution = await client.describe(run_id)
        mark = _mark(execution)
        pause = min(2 * pause, LONGEST.total_seconds())
        if mark != seen:
            seen = mark
            line = await client.timeline(run_id, known=known)
            yield line
            if line.closed is not None:
                return
            pause = SHORTEST.total_seconds()
        await asyncio.sleep(max(pause, _BUSY_SHARE * (monotonic() - began)))


def _mark(execution: WorkflowExecutionDescription) -> object:
    pending = execution.raw_description.pending_activities
    return (
        execution.run_id,
        execution.history_length,
        execution.status,
        tuple((item.activity_id, item.attempt, item.state) for item in pending),
    )
