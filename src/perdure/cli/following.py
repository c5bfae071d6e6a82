"""Follow a run on the terminal, through restarts of worker and server."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from datetime import timedelta

from temporalio.service import RPCError

from perdure.cli.lines import Change, Changes
from perdure.client import Client, Timeline
from perdure.client.following import follow
from perdure.client.queues import pollers
from perdure.errors import ServerUnavailable

NO_WORKER_AFTER = timedelta(seconds=4)
_SERVER_PAUSE = 1.0


async def follow_run(
    client: Client,
    run_id: str,
    *,
    tell: Callable[[Change], None],
    say: Callable[[str], None],
    task_queue: str | None = None,
    until_waiting: bool = False,
    changes: Changes | None = None,
) -> Timeline:
    """Tell every change of a run until it ends, or waits for a person; returns the last state.

    `say` gets remarks: a server that went away, a task queue without a worker. `changes`
    remembers what was told when the same run is followed a second time.
    """
    changes = Changes() if changes is None else changes
    away = False
    watch = asyncio.create_task(_watch_queue(client, run_id, task_queue, say))
    try:
        while True:
            try:
                async with aclosing(follow(client, run_id)) as lines:
                    async for line in lines:
                        if away:
                            away = False
                            say("the server is back")
                        for change in changes.of(line):
                            tell(change)
                        if line.closed is not None or (until_waiting and _only_waits(line)):
                            return line
            except ServerUnavailable as error:
                if not away:
                    away = True
                    say(f"{error}. The run goes on when it is back; still following")
                await asyncio.sleep(_SERVER_PAUSE)
    finally:
        watch.cancel()


def _only_waits(line: Timeline) -> bool:
    busy = any(call.outcome in ("running", "waiting") for call in line.calls)
    return line.status == "waiting" and not busy


async def _watch_queue(
    client: Client, run_id: str, task_queue: str | None, say: Callable[[str], None]
) -> None:
    """Say so if nobody takes a new run from its task queue."""
    if task_queue is None:
        return
    await asyncio.sleep(NO_WORKER_AFTER.total_seconds())
    try:
        line = await client.timeline(run_id)
        if line.workers:
            return
        known = await pollers(client.temporal, task_queue)
    except (RPCError, ServerUnavailable):
        return
    whom = f" (the server last knew of {', '.join(known)})" if known else ""
    say(
        f"no worker has taken the run from task queue {task_queue!r} for "
        f"{NO_WORKER_AFTER.total_seconds():g} s{whom}; "
        "start one: perdure worker APP. The run waits for it"
    )
