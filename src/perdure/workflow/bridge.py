"""Let sync code wait inside a workflow: a greenlet steps aside while the loop goes on.

A workflow has one thread and no blocking. A sync node that calls a model runs on a greenlet of
its own (a strand); the call hands an awaitable to the loop and is woken with its result. Only
one of them ever runs, in the order in which the loop wakes them, so replay sees the same.
The technique is SQLAlchemy's.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator, Iterator
from contextlib import aclosing, contextmanager
from contextvars import Context, copy_context
from typing import TypeVar, cast

try:
    import greenlet
except ImportError:  # async only
    greenlet = None

from temporalio import workflow

from perdure.core.ahead import AHEAD
from perdure.core.causes import as_cause
from perdure.core.jsons import Raw
from perdure.errors import SyncCall
from perdure.workflow.taming import tame

T = TypeVar("T")


def is_available() -> bool:
    """Tell whether greenlet is installed; without it, Perdure is async only."""
    return greenlet is not None


def in_strand() -> bool:
    """Tell whether this code may wait: any code of a run that the bridge called.

    A query's code may not: nothing that it does may leave a trace in the run.
    """
    if greenlet is None or not isinstance(greenlet.getcurrent(), Strand):
        return False
    return not (workflow.in_workflow() and workflow.unsafe.is_read_only())


def wait_for(awaitable: Awaitable[T], *, what: str) -> T:
    """Wait for an awaitable in sync code of a run, and return its result. Workflow side.

    Raises:
        SyncCall: The code cannot wait: the worker has no bridge, or the code belongs to no task
            of the run, such as a query handler; `what` names the caller.
    """
    guide = AHEAD.get()
    if guide is not None and not in_strand():
        return guide.wait(cast("Raw", awaitable))
    if greenlet is None or not in_strand():
        if hasattr(awaitable, "close"):
            cast("Raw", awaitable).close()
        raise SyncCall(
            f"{what} was called in sync code that cannot wait: on a worker without the sync "
            "bridge (is greenlet installed?), or outside of the nodes of a run. Make the node "
            "`async def` and `await` the async twin of the call (ainvoke, astream, ...)"
        )
    parent = cast("Raw", greenlet.getcurrent().parent)
    return parent.switch((awaitable, copy_context()))


_Green: Raw = object if greenlet is None else greenlet.greenlet


class Strand(_Green):
    """A piece of code of a run that may wait. Workflow side.

    It begins with `switch`, and goes on by `go` or `fail`, whoever began it.
    """

    def go(self, value: Raw) -> Raw:
        """Go on with the result of what it waited for; see `waits`."""
        self.parent = cast("Raw", greenlet).getcurrent()
        return self.switch(value)

    def fail(self, error: BaseException) -> Raw:
        """Go on with an exception at the point of the wait."""
        self.parent = cast("Raw", greenlet).getcurrent()
        return self.throw(error)

    @property
    def waits(self) -> bool:
        """Whether it stepped aside: what it switched back with is then what it waits for."""
        return not self.dead


def _strand(call: Callable[..., Raw], context: Context) -> Strand:
    strand = Strand(call)
    strand.gr_context = context
    return strand


class Stepped(list[Raw]):
    """What a step of a coroutine came to: what it yielded, and the error that ended it."""


class Stranded(Coroutine[Raw, Raw, T]):
    """A coroutine whose sync calls may wait; its errors are tamed before its task sees them.

    Its steps run on a strand. While that waits, the task waits with it: the loop sees nothing
    but a task that awaits another. All steps share a strand, for a new one costs ten switches.
    """

    def __init__(self, inner: Coroutine[Raw, Raw, T], loop: Raw, context: Context) -> None:
        self._inner = inner
        self._loop = loop
        self._context = context
        self._strand: Strand | None = None
        self._held: asyncio.Task[Raw] | None = None

    def send(self, value: Raw) -> Raw:
        """Go on until the next wait."""
        if self._held is None:
            return self._taken(self._order(self._inner.send, value))
        value = self._held.result()
        self._held = None
        return self._taken(cast("Strand", self._strand).go(value))

    def throw(self, typ: Raw, val: Raw = None, tb: Raw = None) -> Raw:
        """Go on with an exception at the point of the wait."""
        thrown = typ if val is None else val
        thrown = thrown if tb is None else thrown.with_traceback(tb)
        if self._held is None:
            return self._taken(self._order(self._inner.throw, thrown))
        self._held = None
        return self._taken(cast("Strand", self._strand).fail(thrown))

    def _order(self, wake: Callable[[Raw], Raw], value: Raw) -> Raw:
        if self._strand is not None:
            try:
                return self._strand.go((wake, value))
            except (cast("Raw", greenlet).error, ValueError):
                pass  # idle on another thread: the worker moves runs about; begin anew here
        self._strand = _strand(self._steps, self._context)
        return self._strand.switch((wake, value))

    def _steps(self, order: Raw) -> Stepped:
        while True:
            step = _attempt(*order)
            if step[1] is not None:
                return step  # the coroutine is over
            order = cast("Raw", greenlet).getcurrent().parent.switch(step)

    def _taken(self, found: Raw) -> Raw:
        if not isinstance(found, Stepped):
            awaitable, context = found
            self._held = self._loop.create_task(_awaited(awaitable), context=context)
            return next(cast("Raw", self._held).__await__())
        yielded, error = found
        found.clear()  # it lives on in the strand
        if error is None:
            return yielded
        self._strand = None
        tamed = tame(error)
        try:
            if tamed is error:
                raise error
            raise tamed from as_cause(error)
        finally:
            del error, tamed  # its traceback names this frame

    def close(self) -> None:
        """End the coroutine within."""
        if self._held is not None and self._strand is not None:
            self._held.cancel()
            self._held = None
            self._strand.fail(GeneratorExit())
        self._strand = None
        self._inner.close()

    def __await__(self) -> Generator[Raw, Raw, T]:
        return self._inner.__await__()

    def __getattr__(self, name: str) -> Raw:
        """Show the frames of the coroutine within, for stack traces."""
        return getattr(self._inner, name)


def start(loop: Raw, call: Callable[..., Raw], args: tuple[Raw, ...]) -> Raw:
    """Run a sync call on a strand; returns a future of its result.

    A call that never waits is over at once, in the same step of the loop.
    """
    strand = _strand(call, copy_context())
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
    if not strand.waits:
        future.set_result(waiting)
        return future
    return loop.create_task(_go_on(loop, strand, waiting))


async def _go_on(loop: Raw, strand: Strand, waiting: Raw) -> Raw:
    while True:
        awaitable, context = waiting
        try:
            task = loop.create_task(_awaited(awaitable), context=context)
            value = await task
        except BaseException as error:  # noqa: BLE001 - it belongs to the sync code
            waiting = _step(loop, strand.fail, error)
        else:
            waiting = _step(loop, strand.go, value)
        if not strand.waits:
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


def _attempt(wake: Callable[[Raw], Raw], value: Raw) -> Stepped:
    try:
        return Stepped((wake(value), None))
    except BaseException as error:  # noqa: BLE001 - it belongs to who drives the coroutine
        return Stepped((None, error))


async def _awaited(awaitable: Awaitable[T]) -> T:
    return await awaitable


def drain(source: Raw, *, what: str) -> Iterator[Raw]:
    """Iterate over an async generator in sync code of a run.

    One task pulls it, so that what the generator keeps in context variables stays together. It
    pulls when asked, so that nothing runs that nobody wants.
    """
    loop = asyncio.get_running_loop()
    asks: asyncio.Queue[asyncio.Future[Raw]] = asyncio.Queue()
    task = loop.create_task(_pull(source, asks))
    try:
        while True:
            ask: asyncio.Future[Raw] = loop.create_future()
            asks.put_nowait(ask)
            part = wait_for(ask, what=what)
            if part is StopAsyncIteration:
                return
            yield part
    finally:
        task.cancel()


async def _pull(source: Raw, asks: asyncio.Queue[asyncio.Future[Raw]]) -> None:
    async with aclosing(source):
        parts: AsyncIterator[Raw] = aiter(source)
        while True:
            ask = await asks.get()
            try:
                part = await anext(parts, StopAsyncIteration)
            except asyncio.CancelledError:
                ask.cancel()
                raise
            except BaseException as error:  # noqa: BLE001 - it belongs to who iterates
                if not ask.done():
                    ask.set_exception(tame(error))
                return
            if not ask.done():
                ask.set_result(part)


def is_sync() -> bool:
    """Tell whether this code is a sync callable of its own, which no task drives."""
    return in_strand() and asyncio.current_task() is None


def self_test() -> bool:
    """Try the bridge on a loop of its own; False if sync code cannot wait on this machine."""

    def double(value: int) -> int:
        return 2 * wait_for(_later(value), what="the self-test")

    async def main(loop: Raw) -> int:
        sync = start(loop, double, (10,))
        inside = loop.create_task(cast("Raw", Stranded(_calls(double), loop, copy_context())))
        return await sync + await inside

    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(main(loop)) == 42  # noqa: PLR2004
    finally:
        loop.close()


async def _calls(double: Callable[[int], int]) -> int:
    return double(11)


async def _later(value: T) -> T:
    await asyncio.sleep(0)
    return value
