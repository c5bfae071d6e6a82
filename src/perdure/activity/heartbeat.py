"""Beat while a call is under way, so that a dead worker is noticed and a cancel arrives."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

from temporalio import activity

LONGEST_PAUSE = timedelta(seconds=1)
"""A cancel reaches a call with the answer to a heartbeat: this bounds how long it takes."""


@asynccontextmanager
async def heartbeats() -> AsyncGenerator[None]:
    """Send heartbeats until the block is left. Activity side.

    A local activity sends none: the server does not know of it.
    """
    if activity.info().is_local:
        yield
        return
    limit = activity.info().heartbeat_timeout
    pause = min(LONGEST_PAUSE, limit / 3) if limit else LONGEST_PAUSE
    task = asyncio.create_task(_beat(pause))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _beat(pause: timedelta) -> None:
    while True:
        activity.heartbeat()
        await asyncio.sleep(pause.total_seconds())
