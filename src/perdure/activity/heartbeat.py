"""Beat while a call is under way, so that a dead worker is noticed and a cancel arrives."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta

from temporalio import activity

from perdure.core.jsons import Json
from perdure.core.payloads import in_order

LONGEST_PAUSE = timedelta(seconds=1)
"""A cancel reaches a call with the answer to a heartbeat: this bounds how long it takes."""


@dataclass(kw_only=True)
class Pulse:
    """What the heartbeats of a call carry: a later attempt finds it in its `activity.info()`."""

    kept: tuple[Json, ...] = ()

    def keep(self, value: Json) -> None:
        """Save a value with this heartbeat and all that follow; a local activity saves nothing."""
        self.kept = (in_order(value),)
        if not activity.info().is_local:
            activity.heartbeat(*self.kept)


@asynccontextmanager
async def heartbeats() -> AsyncGenerator[Pulse]:
    """Send heartbeats until the block is left. Activity side.

    A local activity sends none: the server does not know of it.
    """
    pulse = Pulse()
    if activity.info().is_local:
        yield pulse
        return
    limit = activity.info().heartbeat_timeout
    pause = min(LONGEST_PAUSE, limit / 3) if limit else LONGEST_PAUSE
    task = asyncio.create_task(_beat(pause, pulse))
    try:
        yield pulse
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _beat(pause: timedelta, pulse: Pulse) -> None:
    while True:
        activity.heartbeat(*pulse.kept)
        await asyncio.sleep(pause.total_seconds())
