"""Let sync code wait inside a workflow: a greenlet steps aside while the loop goes on.

A workflow has one thread and no blocking. A sync node that calls a model runs on a greenlet of
its own (a strand); the call hands an awaitable to the loop and is woken with its result. Only
one of them ever runs, in the order in which the loop wakes them, so replay sees the same.
The technique is SQLAlchemy's.
"""

import asyncio
from collections.abc import Awaitable, Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from importlib.util import find_spec
from typing import TypeVar, cast

from perdure.core.jsons import Raw
from perdure.errors import SyncCall
from perdure.workflow.taming import tame

T = TypeVar("T")


def is_available() -> bool:
    """Tell whether greenlet is installed; without it, Perdure is async only."""
    return find_spec("greenlet") is not None


def in_strand() -> bool:
    """Tell whether this code may wait: sync code of a run, called by the bridge."""
    if not is_available():
        return False
    import greenlet  # noqa: PLC0415 - optional

    return getattr(greenlet.getcurrent(), "perdure_strand", False)


def wait_for(awaitable: Awaitable[T], *, what: str) -> T:
    """Wait for an awaitable in sync code of a run, and return its result. Workflow side.

    Raises:
        SyncCall: Not called from a sync callable that LangChain or LangGraph runs; `what` names
            the caller.
    """
    if not in_strand():
        if isinstance(awaitable, Generator) or hasattr(awaitable, "close"):
            cast("Raw", awaitable).close()
        raise SyncCall(
            f"{what} was called in sync code that cannot wait: inside an `async def`, or on a "
            "worker without the sync bridge (is greenlet installed?). Write the node as a plain "
            "`def`, or `await` the async twin of the call (ainvoke, astream, ...)"
        )
    import greenlet  # noqa: PLC0415

    parent = cast("Raw", greenlet.getcurrent().parent)
    return parent.switch((awaitable, copy_context()))


def start(loop: Raw, call: Callable[..., Raw], args: Iterable[Raw]) -> Raw:
    """Run a sync call on a strand; returns a future of its result.

    A call that never waits is over at once, in the same step of the loop.
    """
    import greenlet  # noqa: PLC0415

    strand = cast("Raw", greenlet.greenlet(call))
    strand.perdure_strand = True
    strand.gr_context = copy_context()
    future = loop.create_future()
    try:
        with _no_task(loop):
            waiting = strand.switch(*args)
    except (StopIteration, GeneratorExit) as error:
        future.set_exception(RuntimeError(f"a sync callable raised {error!r}"))
        return future
    except BaseException as error:  # noqa: BLE001 - it belongs to who awaits the future
        future.set_exception(tame(error))
        return future
    if strand.dead:
        future.set_result(waiting)
        return future
    return loop.create_task(_go_on(loop, strand, waiting))


async def _go_on(loop: Raw, strand: Raw, waiting: Raw) -> Raw:
    while True:
        awaitable, context = waiting
        try:
            task = loop.create_task(_awaited(awaitable), context=context)
            value = await task
        except BaseException as error:  # noqa: BLE001 - it belongs to the sync code
            waiting = _step(loop, strand.throw, error)
        else:
            waiting = _step(loop, strand.switch, value)
        if strand.dead:
            return waiting


def _step(loop: Raw, wake: Callable[[Raw], Raw], value: Raw) -> Raw:
    try:
        with _no_task(loop):
            return wake(value)
    except StopIteration as error:
        raise RuntimeError(f"a sync callable raised {error!r}") from error


@contextmanager
def _no_task(loop: Raw) -> Generator[None]:
    """Hide the task from sync code: LangGraph tells by it what kind of future to return."""
    tasks = cast("Raw", asyncio.tasks)
    task = asyncio.current_task(loop)
    if task is None:
        yield
        return
    tasks._leave_task(loop, task)  # noqa: SLF001 - as every driver of a loop must
    try:
        yield
    finally:
        tasks._enter_task(loop, task)  # noqa: SLF001


async def _awaited(awaitable: Awaitable[T]) -> T:
    return await awaitable


def drain(source: Raw, *, what: str) -> Iterator[Raw]:
    """Iterate over an async iterator in sync code of a run.

    One task pulls it, so that what the iterator keeps in context variables stays together.
    """
    parts: asyncio.Queue[tuple[str, Raw]] = asyncio.Queue(maxsize=1)

    async def pump() -> None:
        try:
            async for part in source:
                await parts.put(("part", part))
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - it belongs to who iterates
            await parts.put(("error", error))
        else:
            await parts.put(("end", None))

    task = asyncio.get_running_loop().create_task(pump())
    try:
        while True:
            kind, value = wait_for(parts.get(), what=what)
            if kind == "error":
                raise value
            if kind == "end":
                return
            yield value
    finally:
        task.cancel()


def self_test() -> bool:
    """Try the bridge on a loop of its own; False if sync code cannot wait on this machine."""

    def double(value: int) -> int:
        return 2 * wait_for(_later(value), what="the self-test")

    async def main() -> int:
        return await start(asyncio.get_running_loop(), double, (21,))

    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(main()) == 42  # noqa: PLR2004
    finally:
        loop.close()


async def _later(value: T) -> T:
    await asyncio.sleep(0)
    return value
