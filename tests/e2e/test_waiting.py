"""Kill the worker while a run waits for a person, and in the moment of the decision."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from e2e.scene import Scene, scene
from perdure.client import Client
from perdure.testing import DevServer
from perdure.testing.replay import assert_run_replays
from perdure.worker.agents import Agents

pytestmark = pytest.mark.timeout(90)

MOMENTS = ("while it waits", "right after the decision")


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A run whose worker was killed around its question, after its end."""

    scene: Scene
    run_id: str
    output: dict[str, Any]


@pytest_asyncio.fixture(scope="module", loop_scope="session", params=MOMENTS)
async def ended(
    request: pytest.FixtureRequest,
    server: DevServer,
    client: Client,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncGenerator[Ended]:
    """Play one run: its worker is killed from outside, another one takes over."""
    async with scene(tmp_path_factory.mktemp("waiting"), client, server.address) as stage:
        first = await stage.start_worker()
        run = await stage.start()
        if request.param == "while it waits":
            await stage.question(run.run_id)
            first.kill()
            await stage.start_worker()
            await stage.approve(run.run_id)
        else:
            await stage.approve(run.run_id)
            first.kill()
            await stage.start_worker()
        yield Ended(scene=stage, run_id=run.run_id, output=await stage.result(run.run_id))


def test_the_answer_is_sent(ended: Ended):
    assert ended.output["outcome"] == "sent"


def test_exactly_one_mail_arrives(ended: Ended):
    assert [m["Message-ID"] for m in ended.scene.mails()] == [ended.output["message_id"]]


async def test_no_call_before_the_question_is_made_again(ended: Ended):
    calls = await ended.scene.calls(ended.run_id)
    assert [call.attempts for call in calls[:3]] == [1, 1, 1]


def test_the_model_is_not_asked_again(ended: Ended):
    assert ended.scene.asked_of_model() == ["classify", "draft"]


async def test_the_history_replays(ended: Ended, agents: Agents, client: Client):
    await assert_run_replays(agents, client.temporal, ended.run_id)
