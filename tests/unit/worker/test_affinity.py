"""Workflow tasks keep to a thread."""

import gc
from threading import Barrier, get_ident

import pytest

from perdure.errors import Incompatible
from perdure.worker import affinity
from perdure.worker.affinity import AffinityExecutor, prove_bridge
from perdure.workflow import bridge


class Run:
    def __init__(self, barrier=None):
        self.barrier = barrier

    def step(self):
        return get_ident()

    def wait(self):
        self.barrier.wait(10)


@pytest.fixture
def threads():
    executor = AffinityExecutor(3)
    yield executor
    executor.shutdown()


@pytest.fixture
def afresh():
    prove_bridge.cache_clear()
    yield
    prove_bridge.cache_clear()


def thread_of(threads, run):
    return threads.submit(run.step).result()


def test_a_workflow_stays_on_its_thread(threads):
    runs = [Run() for _ in range(12)]
    first = [thread_of(threads, run) for run in runs]
    assert [thread_of(threads, run) for run in reversed(runs)] == first[::-1]


def test_workflows_are_spread_over_the_threads(threads):
    runs = [Run() for _ in range(6)]
    found = [thread_of(threads, run) for run in runs]
    assert [found.count(thread) for thread in set(found)] == [2, 2, 2]


def test_a_new_workflow_avoids_a_thread_that_is_busy(threads):
    barrier = Barrier(2)
    busy = Run(barrier)
    busy_on = thread_of(threads, busy)
    step = threads.submit(busy.wait)
    runs = [Run() for _ in range(9)]
    assert busy_on not in {thread_of(threads, run) for run in runs}
    barrier.wait(10)
    step.result()


def test_a_workflow_that_is_gone_is_forgotten(threads):
    run = Run()
    thread_of(threads, run)
    del run
    thread_of(threads, Run())
    gc.collect()
    assert len(threads._home_of) == 0
    assert [len(home.owners) for home in threads._homes] == [0, 0, 0]


def test_a_step_of_no_workflow_is_refused(threads):
    with pytest.raises(Incompatible, match="does not name the workflow"):
        threads.submit(get_ident)


def test_the_bridge_is_proved(afresh):
    prove_bridge()


def test_a_greenlet_that_does_not_switch_is_told(afresh, monkeypatch):
    monkeypatch.setattr(bridge, "self_test", lambda: False)
    with pytest.raises(Incompatible, match=r"self-test: waiting.*Agents\(bridge=False\)"):
        prove_bridge()


def test_an_error_of_the_self_test_is_told(afresh, monkeypatch):
    def broken():
        raise RuntimeError("no switch")

    monkeypatch.setattr(bridge, "self_test", broken)
    with pytest.raises(Incompatible, match="RuntimeError: no switch"):
        prove_bridge()


def test_threads_that_mix_up_workflows_are_told(afresh, monkeypatch):
    numbers = iter(range(9))
    monkeypatch.setattr(affinity, "get_ident", lambda: next(numbers))
    with pytest.raises(Incompatible, match="self-test: threads"):
        prove_bridge()
