"""Ask a run what it waits for in the seconds in which one worker takes over from another.

The server keeps the next workflow task for the dead worker for a moment, and hands queries to
the living one meanwhile. What that one answers must be what history will say.
"""

from collections.abc import AsyncGenerator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from e2e.scene import CRASHING, Scene, died, scene
from perdure.client import Client, Waiting
from perdure.testing import DevServer
from perdure.testing.replay import assert_run_replays
from perdure.worker.agents import Agents

pytestmark = pytest.mark.timeout(90)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A question, as two workers told it one after the other."""

    scene: Scene
    run_id: str
    early: Waiting
    """Read while the second worker took over."""
    late: Waiting
    """Read from a third one, which knows the run from its history alone."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def asked(
    server: DevServer, client: Client, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[Asked]:
    """Kill the worker in the draft, and ask for the question until there is one."""
    async with scene(tmp_path_factory.mktemp("takeover"), client, server.address) as stage:
        first = await stage.start_worker(CRASHING, CRASH_AT="draft:before")
        run = await stage.start()
        await died(first)
        second = await stage.start_worker(CRASHING)
        early = await stage.question(run.run_id)
        await stage.recorded(run.run_id)
        second.kill()
        await stage.start_worker(CRASHING)
        late = await stage.question(run.run_id)
        yield Asked(scene=stage, run_id=run.run_id, early=early, late=late)


def test_the_question_keeps_its_id(asked: Asked):
    assert asked.early.id == asked.late.id


def test_the_question_keeps_its_deadline(asked: Asked):
    assert asked.early.deadline == asked.late.deadline


async def test_the_decision_on_the_question_as_first_seen_is_taken(asked: Asked):
    taken = await asked.scene.decide(asked.run_id, {"type": "approve"}, asked=asked.early)
    assert taken["question"] == asked.early.id


async def test_the_history_replays(asked: Asked, agents: Agents, client: Client):
    await assert_run_replays(agents, client.temporal, asked.run_id)
