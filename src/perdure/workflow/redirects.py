"""Send LangChain's and LangGraph's blocking calls to their async twins, in sync code of a run.

Each wrapper does nothing outside of a strand (`perdure.workflow.bridge`), so plain LangGraph in
the same process is left as it is.
"""

import asyncio
import concurrent.futures
import importlib
from collections.abc import Callable, Iterable, Iterator
from contextvars import copy_context
from functools import wraps
from typing import cast

from langchain_core.runnables import config as runnable_config
from langgraph.pregel import Pregel

from perdure.core.jsons import Raw
from perdure.workflow import bridge

MARK = "__perdure_redirect__"
WAITERS = ("concurrent.futures", "langchain_core.runnables.base")
"""Modules that hold `concurrent.futures.wait` under a name of their own."""
Pool = runnable_config.ContextThreadPoolExecutor
Held = concurrent.futures.Future[Raw]


def install() -> None:
    """Put the wrappers in place, once per process. Runs on the worker."""
    _replace(Pregel, "invoke", _invoke)
    _replace(Pregel, "stream", _stream)
    _replace(Pool, "submit", _submit)
    _replace(Pool, "map", _map)
    _replace(concurrent.futures.Future, "result", _result)
    _replace(importlib.import_module("time"), "sleep", _sleep)
    for name in WAITERS:
        _replace(importlib.import_module(name), "wait", _wait)


def _replace(owner: Raw, name: str, inside: Callable[..., Raw]) -> None:
    original = getattr(owner, name)
    if getattr(original, MARK, False):
        return

    @wraps(original)
    def call(*args: Raw, **kwargs: Raw) -> Raw:
        if not bridge.in_strand():
            return original(*args, **kwargs)
        return inside(*args, **kwargs)

    setattr(call, MARK, True)
    setattr(owner, name, call)


def _invoke(graph: Pregel[Raw, Raw, Raw, Raw], *args: Raw, **kwargs: Raw) -> Raw:
    return bridge.wait_for(cast("Raw", graph.ainvoke)(*args, **kwargs), what="graph.invoke()")


def _stream(graph: Pregel[Raw, Raw, Raw, Raw], *args: Raw, **kwargs: Raw) -> Iterator[Raw]:
    return bridge.drain(cast("Raw", graph.astream)(*args, **kwargs), what="graph.stream()")


def _sleep(seconds: float) -> None:
    bridge.wait_for(asyncio.sleep(seconds), what="time.sleep()")


def _submit(pool: Raw, call: Callable[..., Raw], *args: Raw, **kwargs: Raw) -> Held:  # noqa: ARG001
    """Run on a strand what would run on a thread."""
    context = copy_context()
    return _held(lambda: context.run(call, *args, **kwargs))


def _map(
    pool: Raw,  # noqa: ARG001
    call: Callable[..., Raw],
    *iterables: Iterable[Raw],
    timeout: float | None = None,  # noqa: ARG001
    chunksize: int = 1,  # noqa: ARG001
) -> Iterator[Raw]:
    contexts = ((copy_context(), args) for args in zip(*iterables, strict=False))
    held = [_held(lambda c=c, a=a: c.run(call, *a)) for c, a in contexts]
    return iter([one.result() for one in held])


def _held(call: Callable[[], Raw]) -> Held:
    held: Held = concurrent.futures.Future()

    async def run() -> None:
        try:
            value = await bridge.start(asyncio.get_running_loop(), call, ())
        except asyncio.CancelledError:
            held.cancel()
            raise
        except BaseException as error:  # noqa: BLE001 - it belongs to who asks for the result
            held.set_exception(error)
        else:
            held.set_result(value)

    asyncio.get_running_loop().create_task(run())
    return held


def _result(held: Held, timeout: float | None = None) -> Raw:
    if not held.done():
        bridge.wait_for(_done([held], timeout), what="future.result()")
    if not held.done():
        raise TimeoutError
    error = held.exception(0)
    if error is not None:
        raise error
    return cast("Raw", held)._result  # noqa: SLF001 - `result` is this very function


def _wait(
    held: Iterable[Held],
    timeout: float | None = None,
    return_when: str = concurrent.futures.ALL_COMPLETED,
) -> Raw:
    waiting = list(held)
    first = return_when != concurrent.futures.ALL_COMPLETED
    ready = [one for one in waiting if one.done()]
    if not ready or not first:
        pending = [one for one in waiting if not one.done()]
        bridge.wait_for(_done(pending, timeout, first=first), what="concurrent.futures.wait()")
    done = [one for one in waiting if one.done()]
    return cast("Raw", concurrent.futures)._base.DoneAndNotDoneFutures(  # noqa: SLF001
        _Ordered(done), _Ordered(one for one in waiting if not one.done())
    )


class _Ordered:
    """A set that keeps its order, so that replay takes the results in the same one."""

    def __init__(self, held: Iterable[Held]) -> None:
        self._held = list(held)

    def __iter__(self) -> Iterator[Held]:
        return iter(self._held)

    def __len__(self) -> int:
        return len(self._held)

    def pop(self) -> Held:
        """Take the first one, as `set.pop` takes any."""
        return self._held.pop(0)


async def _done(pending: list[Held], within: float | None, *, first: bool = False) -> None:
    if not pending:
        return
    left = len(pending)
    over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def count(_: Held) -> None:
        nonlocal left
        left -= 1
        if (first or left == 0) and not over.done():
            over.set_result(None)

    for one in pending:
        one.add_done_callback(count)
    try:
        await asyncio.wait_for(over, within)
    except TimeoutError:
        return
