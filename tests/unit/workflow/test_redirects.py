"""Blocking calls of Python in a strand, and outside of one."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ALL_COMPLETED, Future, ThreadPoolExecutor, as_completed, wait
from threading import current_thread, get_ident
from typing import Any

import pytest

from perdure.workflow import bridge, redirects


@pytest.fixture(autouse=True)
def installed():
    redirects.install()
    redirects.refuse_threads()


async def in_strand(call: Callable[[], Any]) -> Any:
    return await bridge.start(asyncio.get_running_loop(), call, ())


def test_wrappers_are_put_on_once():
    before = time.sleep
    redirects.install()
    assert time.sleep is before


def test_outside_of_a_run_a_pool_has_threads():
    with ThreadPoolExecutor(1, thread_name_prefix="own") as pool:
        assert pool.submit(lambda: current_thread().name).result() == "own_0"


def test_outside_of_a_run_futures_complete_as_always():
    with ThreadPoolExecutor(2) as pool:
        futures = [pool.submit(int, str(number)) for number in range(5)]
        assert sorted(future.result() for future in as_completed(futures)) == [0, 1, 2, 3, 4]
        assert wait(futures, return_when=ALL_COMPLETED).not_done == set()


def test_outside_of_a_run_futures_keep_their_hash():
    future = Future[None]()
    assert hash(future) == object.__hash__(future)


async def test_in_a_strand_a_pool_has_none():
    def call():
        with ThreadPoolExecutor() as pool:
            return pool.submit(get_ident).result()

    assert await in_strand(call) == get_ident()


async def test_futures_of_a_run_are_numbered():
    found = await in_strand(lambda: [hash(Future[None]()) for _ in range(3)])
    assert found == list(range(found[0], found[0] + 3))


async def test_an_exception_in_a_pool_is_that_of_the_call():
    def call():
        with ThreadPoolExecutor() as pool:
            with pytest.raises(ValueError, match="invalid literal"):
                pool.submit(int, "x").result()
            return repr(pool.submit(next, iter(())).exception())

    assert await in_strand(call) == "StopIteration()"


async def test_a_pool_that_is_left_by_a_cancel_cancels_its_calls():
    ended = []

    def slow():
        try:
            time.sleep(3600)
        except asyncio.CancelledError:
            ended.append(True)
            raise

    def call():
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda _: slow(), range(2)))

    waiting = asyncio.ensure_future(in_strand(call))
    for _ in range(5):
        await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert ended == [True, True]


async def test_asyncio_run_stays_refused_in_async_code():
    async def nothing():
        return 1

    main = nothing()
    with pytest.raises(RuntimeError, match="cannot be called from a running event loop"):
        asyncio.run(main)
    main.close()


async def test_the_self_test_succeeds():
    assert await asyncio.to_thread(redirects.self_test)
