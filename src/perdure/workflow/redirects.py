"""Send blocking calls of LangGraph and of Python to their async twins, in code of a run.

Each wrapper does nothing outside of a strand (`perdure.workflow.bridge`), so plain LangGraph in
the same process is left as it is. What would be a thread is a strand of its own; what would wait
for a thread waits for that. Only a thread that somebody starts by hand is refused.
"""

import asyncio
import concurrent.futures
import importlib
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import wraps
from typing import cast

from langgraph.pregel import Pregel
from temporalio import workflow

from perdure.core.jsons import Raw
from perdure.errors import ImpureNode
from perdure.workflow import bridge
from perdure.workflow.taming import tame

MARK = "__perdure_redirect__"
TWINS: Mapping[str, str] = {
    "invoke": "ainvoke",
    "get_state": "aget_state",
    "update_state": "aupdate_state",
    "bulk_update_state": "abulk_update_state",
    "clear_cache": "aclear_cache",
}
STREAMS: Mapping[str, str] = {"stream": "astream", "get_state_history": "aget_state_history"}
WAITERS = "concurrent.futures._base"
"""Where `wait` and `as_completed` find what they wait on, however they were imported."""
_NUMBER = "perdure_number"
_LAST = "perdure_last_number"
_HELD = "perdure_held"

Held = concurrent.futures.Future[Raw]
Original = Callable[..., Raw]


def install() -> None:
    """Put the wrappers in place, once per process. Runs on the worker."""
    for name, twin in TWINS.items():
        _replace(Pregel, name, _twin(name, twin))
    for name, twin in STREAMS.items():
        _replace(Pregel, name, _stream(name, twin))
    _replace(_time(), "sleep", _sleep)
    _replace(asyncio, "run", _run)
    _replace(asyncio.Runner, "__enter__", _open)
    _replace(asyncio.Runner, "run", _run_in)
    _replace(asyncio.Runner, "get_loop", _loop_of)
    _replace(asyncio.Runner, "close", _close)
    _replace(ThreadPoolExecutor, "submit", _submit)
    _replace(ThreadPoolExecutor, "shutdown", _shutdown)
    _replace(concurrent.futures.Future, "__init__", _make)
    _replace(concurrent.futures.Future, "result", _settled)
    _replace(concurrent.futures.Future, "exception", _settled)
    _replace(importlib.import_module(WAITERS), "_create_and_install_waiters", _waiter)
    cast("Raw", concurrent.futures.Future).__hash__ = _hash


def refuse_threads() -> None:
    """Let no code of a run start a thread; its calls would happen unrecorded, on each replay."""
    thread = cast("Raw", importlib.import_module("threading")).Thread
    start = thread.start
    if getattr(start, MARK, False):
        return

    @wraps(start)
    def refuse(self: Raw) -> None:
        if not workflow.in_workflow():
            return start(self)
        raise ImpureNode(
            f"thread {self.name!r} was started inside a run: what it does is not recorded and "
            "happens again on every replay; do it in a tool: perdure.tool(...), or call the "
            "functions side by side with RunnableLambda(...).batch(...)"
        )

    setattr(refuse, MARK, True)
    thread.start = refuse


def _time() -> Raw:
    """Return the module: code of a run does not import it, and this only changes it."""
    return importlib.import_module("time")


def _replace(owner: Raw, name: str, inside: Callable[..., Raw]) -> None:
    """Call `inside(original, ...)` in place of the original, in code of a run."""
    original = getattr(owner, name)
    if getattr(original, MARK, False):
        return

    @wraps(original)
    def call(*args: Raw, **kwargs: Raw) -> Raw:
        if not bridge.in_strand():
            return original(*args, **kwargs)
        return inside(original, *args, **kwargs)

    setattr(call, MARK, True)
    setattr(owner, name, call)


def _twin(name: str, twin: str) -> Callable[..., Raw]:
    def call(_: Original, graph: Raw, *args: Raw, **kwargs: Raw) -> Raw:
        return bridge.wait_for(getattr(graph, twin)(*args, **kwargs), what=f"graph.{name}()")

    return call


def _stream(name: str, twin: str) -> Callable[..., Raw]:
    def call(_: Original, graph: Raw, *args: Raw, **kwargs: Raw) -> Iterator[Raw]:
        return bridge.drain(getattr(graph, twin)(*args, **kwargs), what=f"graph.{name}()")

    return call


def _sleep(_: Original, seconds: float) -> None:
    bridge.wait_for(asyncio.sleep(seconds), what="time.sleep()")


def _run(original: Original, main: Raw, **options: Raw) -> Raw:
    """Run a coroutine; in sync code only, as elsewhere: an `async def` must await it."""
    if not bridge.is_sync():
        return original(main, **options)
    return bridge.wait_for(main, what="asyncio.run()")


def _open(original: Original, runner: Raw) -> Raw:
    """Make no loop: the run's own one does the work."""
    return runner if bridge.is_sync() else original(runner)


def _run_in(original: Original, runner: Raw, main: Raw, **options: Raw) -> Raw:
    """Run a coroutine, as `_run` does; LangChain calls async callbacks of sync code so."""
    if not bridge.is_sync():
        return original(runner, main, **options)
    return bridge.wait_for(main, what="asyncio.Runner.run()")


def _loop_of(original: Original, runner: Raw) -> asyncio.AbstractEventLoop:
    """Return a loop that has no tasks: what a coroutine left behind is the run's own."""
    return asyncio.AbstractEventLoop() if bridge.is_sync() else original(runner)


def _close(original: Original, runner: Raw) -> None:
    if not bridge.is_sync():
        original(runner)


def _submit(_: Original, pool: Raw, call: Callable[..., Raw], /, *args: Raw, **kwargs: Raw) -> Held:
    """Run on a strand what would run on a thread."""
    held: Held = concurrent.futures.Future()
    loop = asyncio.get_running_loop()

    def settle() -> None:
        try:
            held.set_result(call(*args, **kwargs))
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - it belongs to who asks for the result
            held.set_exception(tame(error))

    async def run() -> None:
        await bridge.start(loop, settle, ())

    def give_up(_: asyncio.Task[None]) -> None:
        if held.cancel():
            held.set_running_or_notify_cancel()

    task = loop.create_task(run(), context=copy_context())
    task.add_done_callback(give_up)
    pool.__dict__.setdefault(_HELD, []).append((held, task))
    return held


def _shutdown(original: Original, pool: Raw, wait: bool = True, **options: Raw) -> None:
    """Wait for the calls, or cancel them with the node that made them."""
    held = cast("list[tuple[Held, asyncio.Task[None]]]", pool.__dict__.pop(_HELD, []))
    if isinstance(sys.exc_info()[1], asyncio.CancelledError):
        for _, task in held:
            task.cancel()
    elif wait:
        concurrent.futures.wait([one for one, _ in held])
    original(pool, wait, **options)


def _make(original: Original, held: Raw) -> None:
    """Number the futures of a run: sets of them then have the same order on replay."""
    original(held)
    loop = asyncio.get_running_loop()
    number = cast("int", getattr(loop, _LAST, 0)) + 1
    setattr(loop, _LAST, number)
    setattr(held, _NUMBER, number)


def _hash(held: Held) -> int:
    number = cast("int | None", getattr(held, _NUMBER, None))
    return object.__hash__(held) if number is None else number


def _settled(original: Original, held: Held, timeout: float | None = None) -> Raw:
    if not held.done():
        concurrent.futures.wait([held], timeout)
    return original(held, 0)


def _waiter(original: Original, *args: Raw, **kwargs: Raw) -> Raw:
    """Make what `concurrent.futures.wait` and `as_completed` wait on."""
    waiter = original(*args, **kwargs)
    waiter.event = _Bell()
    return waiter


class _Bell:
    """A `threading.Event` for a strand to wait on."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self.set = self._event.set
        self.clear = self._event.clear
        self.is_set = self._event.is_set

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is set, or the time is over; returns which."""
        bridge.wait_for(self._rung(timeout), what="a future")
        return self.is_set()

    async def _rung(self, timeout: float | None) -> None:  # noqa: ASYNC109 - as the original
        try:
            await asyncio.wait_for(self._event.wait(), timeout)
        except TimeoutError:
            return


def self_test() -> bool:
    """Try the wrappers on a loop of their own; False if a call of a node would block."""

    def calls() -> list[int]:
        _time().sleep(0)
        with ThreadPoolExecutor() as pool:
            done = concurrent.futures.as_completed([pool.submit(int, "1"), pool.submit(int, "2")])
            return [one.result() for one in done] + list(pool.map(int, ["3"]))

    async def main() -> Raw:
        return await bridge.start(asyncio.get_running_loop(), calls, ())

    loop = asyncio.new_event_loop()
    try:
        found = loop.run_until_complete(asyncio.wait_for(main(), 5))
    finally:
        loop.close()
    return found == [1, 2, 3]
