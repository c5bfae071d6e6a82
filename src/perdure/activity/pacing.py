"""Let one "slow down" of a provider hold back all runs of this worker. Activity side."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta

LONGEST_WAIT = timedelta(seconds=30)
MOST_NAMES = 1000


class Pacer:
    """Remember, by model name, until when a provider asked to be left alone.

    One per worker, used on its event loop. Nothing runs in the background: a caller that is
    about to call a model waits first. After `cap` it goes ahead and lets the server say.
    """

    def __init__(
        self,
        *,
        cap: timedelta = LONGEST_WAIT,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        most: int = MOST_NAMES,
    ) -> None:
        self._cap = cap.total_seconds()
        self._clock = clock
        self._sleep = sleep
        self._most = most
        self._until: dict[str, float] = {}

    def pause(self, name: str, after: timedelta) -> None:
        """Hold calls of a model back for so long; never shortens a pause that is on."""
        now = self._clock()
        until = now + after.total_seconds()
        if until <= max(now, self._until.get(name, now)):
            return
        self._until[name] = until
        if len(self._until) > self._most:
            self._until = {key: end for key, end in self._until.items() if end > now}
        while len(self._until) > self._most:
            del self._until[min(self._until, key=self._until.__getitem__)]

    def left(self, name: str) -> timedelta:
        """Return how long the pause of a model still lasts; the cap is not applied."""
        return timedelta(seconds=max(0.0, self._until.get(name, 0.0) - self._clock()))

    async def wait(self, name: str) -> timedelta:
        """Wait until a model may be called, at most the cap; return how long that took.

        A pause that grows meanwhile is waited for too. Cancellation passes through.
        """
        start = self._clock()
        deadline = start + self._cap
        while (until := self._until.get(name)) is not None:
            now = self._clock()
            if until <= now:
                del self._until[name]
                break
            if now >= deadline:
                break
            await self._sleep(min(until, deadline) - now)
        return timedelta(seconds=self._clock() - start)
