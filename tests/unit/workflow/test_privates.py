import importlib
import uuid
from random import Random
from types import SimpleNamespace

import pytest
from temporalio import workflow

from perdure.errors import Incompatible
from perdure.workflow import privates

PLACES = [(module, name) for name, all_ in privates.PRIVATE_NAMES.items() for module in all_]
NANOSECONDS = 1_767_225_600_000_000_000
"""The first moment of 2026."""


@pytest.fixture
def unwrapped(monkeypatch):
    """Let a test install, and put everything back afterwards."""
    for module, name in PLACES:
        loaded = importlib.import_module(module)
        monkeypatch.setattr(loaded, name, getattr(loaded, name))


@pytest.fixture
def inside(monkeypatch):
    """Pretend to be in a workflow whose clock stands still."""
    loop = SimpleNamespace()
    random = Random(7)  # noqa: S311 - a workflow's own seeded generator
    monkeypatch.setattr(workflow, "in_workflow", lambda: True)
    monkeypatch.setattr(workflow, "time_ns", lambda: NANOSECONDS)
    monkeypatch.setattr(workflow, "random", lambda: random)
    monkeypatch.setattr(workflow, "uuid4", lambda: uuid.UUID(int=random.getrandbits(128)))
    monkeypatch.setattr(privates.asyncio, "get_running_loop", lambda: loop)
    return loop


def test_the_installed_libraries_have_every_private_name():
    privates.check()


@pytest.mark.parametrize(("module", "name"), PLACES, ids=lambda v: v)
def test_a_name_that_is_gone_is_reported(monkeypatch, module, name):
    monkeypatch.delattr(f"{module}.{name}")

    with pytest.raises(Incompatible, match=f"lacks {module}.{name}; install the versions"):
        privates.check()


def test_a_module_that_is_gone_is_reported(monkeypatch):
    monkeypatch.setattr(privates, "PRIVATE_NAMES", {"uuid6": ("langgraph.moved",)})

    with pytest.raises(Incompatible, match=r"lacks langgraph\.moved\.uuid6"):
        privates.check()


def test_a_name_that_is_no_function_any_more_is_reported(monkeypatch):
    monkeypatch.setattr("langgraph.checkpoint.base.uuid6", "now text")

    with pytest.raises(Incompatible):
        privates.check()


def test_nothing_is_installed_when_a_name_is_gone(monkeypatch, unwrapped):
    monkeypatch.setattr("langgraph.checkpoint.base.uuid6", None)
    before = uuid.uuid4
    with pytest.raises(Incompatible):
        privates.install()

    assert uuid.uuid4 is before


def test_installing_twice_wraps_once(unwrapped):
    privates.install()
    wrapped = uuid.uuid4
    privates.install()

    assert uuid.uuid4 is wrapped


def test_outside_of_a_workflow_ids_stay_random(unwrapped):
    privates.install()

    assert uuid.uuid4() != uuid.uuid4()


def test_outside_of_a_workflow_arguments_are_passed_on(unwrapped):
    privates.install()
    made = importlib.import_module("langgraph.checkpoint.base.id").uuid6(node=5, clock_seq=6)

    assert made.node == 5


@pytest.mark.parametrize(("module", "name"), PLACES, ids=lambda v: v)
def test_inside_of_a_workflow_ids_come_from_its_seed(unwrapped, inside, module, name):
    privates.install()
    seed = workflow.random()
    state = seed.getstate()
    make = getattr(importlib.import_module(module), name)
    first = make()
    seed.setstate(state)
    vars(inside).clear()

    assert make() == first


def test_checkpoint_ids_rise_while_the_clock_stands_still(inside):
    made = [str(privates._uuid6()) for _ in range(100)]

    assert made == sorted(set(made))


def test_a_checkpoint_id_is_a_uuid_of_version_6(inside):
    made = privates._uuid6()

    assert (made.version, made.variant) == (6, uuid.RFC_4122)


def test_a_checkpoint_id_tells_the_time_of_the_workflow(inside):
    ticks = privates._uuid6().int
    time = (ticks >> 80) << 12 | (ticks >> 64) & 0xFFF

    assert (time - 0x01B21DD213814000) * 100 == NANOSECONDS
