"""Wait for something outside to become true: one loop for every place that must poll."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from time import monotonic
from typing import TypeVar

T = TypeVar("T")
EVERY = timedelta(milliseconds=100)


async def until(
    look: Callable[[], Awaitable[T | None]], *, within: timedelta, every: timedelta = EVERY
) -> T | None:
    """Return the first thing that `look` brings back; None if the time is over before."""
    end = monotonic() + within.total_seconds()
    while True:
        found = await look()
        if found is not None or monotonic() >= end:
            return found
        await asyncio.sleep(every.total_seconds())
