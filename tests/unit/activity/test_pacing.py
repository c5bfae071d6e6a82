import asyncio
from datetime import timedelta

import pytest

from perdure.activity.pacing import Pacer


class Clock:
    """A clock that only moves when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def seconds(value: float) -> timedelta:
    return timedelta(seconds=value)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pacer(clock: Clock) -> Pacer:
    return Pacer(clock=clock, sleep=clock.sleep)


async def test_a_model_that_is_not_paused_is_called_at_once(pacer, clock):
    await pacer.wait("m")

    assert clock.slept == []


async def test_a_paused_model_is_waited_for(pacer):
    pacer.pause("m", seconds(7))

    assert await pacer.wait("m") == seconds(7)


async def test_other_models_are_not_held_back(pacer, clock):
    pacer.pause("m", seconds(7))
    await pacer.wait("other")

    assert clock.slept == []


async def test_a_pause_that_is_over_holds_nobody_back(pacer, clock):
    pacer.pause("m", seconds(7))
    clock.now += 7

    assert await pacer.wait("m") == seconds(0)


async def test_a_wait_ends_at_the_cap(pacer):
    pacer.pause("m", seconds(3600))

    assert await pacer.wait("m") == seconds(30)


async def test_after_the_cap_the_pause_is_still_on(pacer):
    pacer.pause("m", seconds(3600))
    await pacer.wait("m")

    assert pacer.left("m") == seconds(3570)


async def test_a_shorter_pause_does_not_replace_a_longer_one(pacer):
    pacer.pause("m", seconds(7))
    pacer.pause("m", seconds(2))

    assert pacer.left("m") == seconds(7)


async def test_a_longer_pause_replaces_a_shorter_one(pacer):
    pacer.pause("m", seconds(2))
    pacer.pause("m", seconds(7))

    assert pacer.left("m") == seconds(7)


async def test_a_pause_that_grows_meanwhile_is_waited_for_too(clock):
    async def sleep(duration: float) -> None:
        if not clock.slept:
            pacer.pause("m", seconds(9))
        await clock.sleep(duration)

    pacer = Pacer(clock=clock, sleep=sleep)
    pacer.pause("m", seconds(4))

    assert await pacer.wait("m") == seconds(9)


async def test_a_clock_that_stands_a_little_short_is_waited_for_again(clock):
    async def early(duration: float) -> None:
        await clock.sleep(duration * 0.99)

    pacer = Pacer(clock=clock, sleep=early)
    pacer.pause("m", seconds(4))
    await pacer.wait("m")

    assert pacer.left("m") == seconds(0)


@pytest.mark.parametrize("after", [seconds(0), seconds(-5)], ids=str)
def test_a_pause_of_no_length_is_none(pacer, after):
    pacer.pause("m", after)

    assert pacer.left("m") == seconds(0)


def test_only_so_many_names_are_remembered(clock):
    pacer = Pacer(clock=clock, most=3)
    for number in range(1, 100):
        pacer.pause(f"m{number}", seconds(number))

    assert sum(pacer.left(f"m{number}") > seconds(0) for number in range(1, 100)) == 3


def test_the_pauses_that_end_last_are_kept(clock):
    pacer = Pacer(clock=clock, most=2)
    for name, length in (("long", 50), ("short", 1), ("middle", 20)):
        pacer.pause(name, seconds(length))

    assert [pacer.left(name) for name in ("long", "short", "middle")] == [
        seconds(50),
        seconds(0),
        seconds(20),
    ]


async def test_a_cancelled_wait_ends_at_once():
    pacer = Pacer()
    pacer.pause("m", seconds(3600))
    waiting = asyncio.ensure_future(pacer.wait("m"))
    await asyncio.wait([waiting], timeout=0)
    waiting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await waiting
