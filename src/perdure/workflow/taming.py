"""Make ordinary errors of those that would end the worker, hang the run or break its history.

A `SystemExit` that leaves a task ends the worker's thread, any other `BaseException` leaves the
run without an end, and a text that protobuf cannot carry fails the workflow task for ever.
"""

import asyncio
from collections.abc import Coroutine, Generator
from typing import TypeVar

from perdure.core.causes import as_cause, words
from perdure.core.jsons import Raw

T = TypeVar("T")


def tame(error: BaseException) -> BaseException:
    """Return the error itself, or an ordinary one in place of one that nobody catches.

    Temporal's own are left alone: they end a run on purpose, or take it out of memory.
    """
    if isinstance(error, Exception | asyncio.CancelledError | GeneratorExit):
        return error
    if type(error).__module__.startswith("temporalio."):
        return error
    return RuntimeError(f"{type(error).__name__}: {words(error)}")


class Tamed(Coroutine[Raw, Raw, T]):
    """A coroutine whose errors are tamed before its task sees them.

    No `async def`: a task that is cancelled before its first step must reach the coroutine
    within, or Python complains that it was never awaited.
    """

    def __init__(self, inner: Coroutine[Raw, Raw, T]) -> None:
        self._inner = inner

    def send(self, value: Raw) -> Raw:
        """Go on until the next wait."""
        try:
            return self._inner.send(value)
        except BaseException as error:
            tamed = tame(error)
            if tamed is error:
                raise
            raise tamed from as_cause(error)

    def throw(self, typ: Raw, val: Raw = None, tb: Raw = None) -> Raw:
        """Go on with an exception at the point of the wait."""
        thrown = typ if val is None else val
        try:
            return self._inner.throw(thrown if tb is None else thrown.with_traceback(tb))
        except BaseException as error:
            tamed = tame(error)
            if tamed is error:
                raise
            raise tamed from as_cause(error)

    def close(self) -> None:
        """End the coroutine within."""
        self._inner.close()

    def __await__(self) -> Generator[Raw, Raw, T]:
        return self._inner.__await__()

    def __getattr__(self, name: str) -> Raw:
        """Show the frames of the coroutine within, for stack traces."""
        return getattr(self._inner, name)
