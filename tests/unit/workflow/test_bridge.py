"""Strands: code that steps aside on a greenlet while a loop goes on."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextvars import ContextVar, copy_context
from typing import Any

import pytest

from perdure.errors import SyncCall
from perdure.workflow import bridge

NAME: ContextVar[str] = ContextVar("NAME", default="nobody")


async def later(value: Any) -> Any:
    await asyncio.sleep(0)
    return value


async def fail() -> None:
    await asyncio.sleep(0)
    raise ValueError("no")


def wait(awaitable: Any) -> Any:
    return bridge.wait_for(awaitable, what="a test")


def strand(call: Callable[[], Any]) -> Any:
    return bridge.start(asyncio.get_running_loop(), call, ())


def task(coro: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    loop, context = asyncio.get_running_loop(), copy_context()
    stranded = bridge.Stranded(coro, loop, context)
    return loop.create_task(stranded, context=context)


def test_outside_of_a_strand_nothing_waits():
    with pytest.raises(SyncCall, match="a test was called in sync code that cannot wait"):
        wait(later(1))


async def test_a_call_that_never_waits_is_over_at_once():
    assert strand(lambda: 1).done()


async def test_a_sync_call_waits():
    assert await strand(lambda: [wait(later(1)), wait(later(2))]) == [1, 2]


async def test_a_sync_call_in_an_async_task_waits():
    async def body():
        return [wait(later(1)), await later(2), wait(later(3))]

    assert await task(body()) == [1, 2, 3]


async def test_strands_wait_side_by_side():
    steps = []

    def call(name):
        for number in range(2):
            steps.append(f"{name}{number}")
            wait(later(None))

    await asyncio.gather(strand(lambda: call("a")), strand(lambda: call("b")))
    assert steps == ["a0", "b0", "a1", "b1"]


async def test_an_exception_reaches_the_sync_code():
    def call():
        with pytest.raises(ValueError, match="no"):
            wait(fail())
        return "went on"

    assert await strand(call) == "went on"


async def test_an_exception_reaches_the_sync_call_in_a_task():
    async def body():
        with pytest.raises(ValueError, match="no"):
            wait(fail())
        return "went on"

    assert await task(body()) == "went on"


async def test_an_exception_of_the_sync_code_reaches_who_awaits_it():
    def call():
        wait(later(1))
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        await strand(call)


@pytest.mark.parametrize("waits", [True, False], ids=["after a wait", "at once"])
async def test_stop_iteration_becomes_an_ordinary_error(waits):
    def call():
        if waits:
            wait(later(1))
        raise StopIteration

    with pytest.raises(RuntimeError, match="a sync callable raised StopIteration"):
        await strand(call)


async def test_what_nobody_catches_is_tamed():
    async def body():
        wait(later(1))
        raise SystemExit(3)

    with pytest.raises(RuntimeError, match="SystemExit: 3"):
        await task(body())


@pytest.mark.parametrize("start", [strand, lambda call: task(as_task(call))], ids=["sync", "task"])
async def test_a_cancel_reaches_what_is_waited_for(start):
    never = asyncio.get_running_loop().create_future()
    ended = []

    def call():
        try:
            wait(never)
        finally:
            ended.append(True)

    waiting = start(call)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert ended == [True]
    assert never.cancelled()


async def as_task(call: Callable[[], Any]) -> Any:
    return call()


async def test_sync_code_may_catch_a_cancel_and_wait_again():
    never = asyncio.get_running_loop().create_future()

    def call():
        try:
            wait(never)
        except asyncio.CancelledError:
            return wait(later("cleaned up"))

    waiting = strand(call)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    waiting.cancel()
    assert await waiting == "cleaned up"


async def test_sync_code_sees_the_variables_of_who_called_it():
    NAME.set("ann")

    def call():
        return [NAME.get(), wait(later(1)), NAME.get(), wait(name())]

    async def name():
        return NAME.get()

    assert await strand(call) == ["ann", 1, "ann", "ann"]


async def test_variables_set_by_sync_code_stay_its_own():
    def call(name):
        NAME.set(name)
        wait(later(None))
        return NAME.get()

    both = asyncio.gather(strand(lambda: call("ann")), strand(lambda: call("bob")))
    assert await both == ["ann", "bob"]
    assert NAME.get() == "nobody"


async def test_a_task_keeps_its_variables_over_its_waits():
    async def body():
        NAME.set("ann")
        wait(later(1))
        await later(2)
        return NAME.get()

    assert await task(body()) == "ann"


async def test_sync_code_has_no_task():
    def call():
        tasks = [asyncio.current_task()]
        wait(later(1))
        return [*tasks, asyncio.current_task()]

    assert await strand(call) == [None, None]


async def test_a_task_knows_itself_after_a_sync_call():
    async def body():
        wait(later(1))
        return asyncio.current_task()

    running = task(body())
    assert await running is running


async def test_strands_nest():
    loop = asyncio.get_running_loop()

    def inner():
        return wait(later("deep"))

    async def middle():
        return await bridge.start(loop, inner, ())

    assert await strand(lambda: wait(middle())) == "deep"


async def test_a_task_that_is_dropped_while_it_waits_ends_quietly(recwarn):
    ended = []

    async def body():
        try:
            wait(asyncio.get_running_loop().create_future())
        finally:
            ended.append(True)

    stranded = bridge.Stranded(body(), asyncio.get_running_loop(), copy_context())
    stranded.send(None)
    stranded.close()
    assert ended == [True]
    assert not recwarn.list


async def numbers(made: list[int]) -> AsyncGenerator[int]:
    for number in range(3):
        made.append(number)
        yield number


async def test_a_generator_is_drained():
    made = []
    assert await strand(lambda: list(bridge.drain(numbers(made), what="it"))) == [0, 1, 2]


async def test_nothing_is_made_that_nobody_asks_for():
    made = []

    def call():
        return next(bridge.drain(numbers(made), what="it"))

    assert await strand(call) == 0
    assert made == [0]


async def test_an_error_of_a_generator_reaches_who_drains_it():
    async def broken():
        yield 1
        raise ValueError("no")

    def call():
        parts = bridge.drain(broken(), what="it")
        with pytest.raises(ValueError, match="no"):
            list(parts)

    await strand(call)


def test_the_self_test_succeeds():
    assert bridge.self_test()
