"""Beat while a call is under way, so that a dead worker is noticed and a cancel arrives."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
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

    The server counts the first pause from the start of the call, so a short call sends none.
    A local activity sends none either: the server does not know of it.
    """
    pulse = Pulse()
    if activity.info().is_local:
        yield pulse
        return
    limit = activity.info().heartbeat_timeout
    pause = min(LONGEST_PAUSE, limit / 3) if limit else LONGEST_PAUSE
    beats = _Beats(asyncio.get_running_loop(), pause, pulse)
    try:
        yield pulse
    finally:
        beats.end()


class _Beats:
    """A timer of the worker's loop; cheaper than a task for a call that lasts milliseconds."""

    def __init__(self, loop: asyncio.AbstractEventLoop, pause: timedelta, pulse: Pulse) -> None:
        self._loop, self._pause, self._pulse = loop, pause.total_seconds(), pulse
        self._next = loop.call_later(self._pause, self._beat)

    def end(self) -> None:
        self._next.cancel()

    def _beat(self) -> None:
        self._next = self._loop.call_later(self._pause, self._beat)
        activity.heartbeat(*self._pulse.kept)
