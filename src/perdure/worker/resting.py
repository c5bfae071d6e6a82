"""Take runs that wait for a person out of a worker's memory. Worker side.

A graph in the middle of a node takes 150 KiB and more, and a person may take days. The run is
rebuilt from its history when the decision comes.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

from temporalio.worker import Worker

from perdure.workflow.privates import forget, waiting_runs

REST = timedelta(seconds=10)
"""How long a run waits in memory at least; decisions that come at once are then cheap."""


@asynccontextmanager
async def resting(worker: Worker, *, after: timedelta) -> AsyncGenerator[None]:
    """Let runs rest while the worker runs; never if `after` is zero."""
    task = asyncio.create_task(_watch(worker, after)) if after else None
    try:
        yield
    finally:
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def _watch(worker: Worker, after: timedelta) -> None:
    seen: dict[str, int] = {}
    while True:
        await asyncio.sleep(after.total_seconds())
        seen = look(worker, seen)


def look(worker: Worker, seen: dict[str, int]) -> dict[str, int]:
    """Drop the runs that waited at the last look and did nothing since; returns what waits now.

    A query counts as something done: who reads a question may soon answer it.
    """
    now = waiting_runs(worker)
    for run_id in [one for one, steps in now.items() if seen.get(one) == steps]:
        forget(worker, run_id)
        del now[run_id]
    return now
