"""Kill Temporal's server while a run waits for a person, alone and together with the worker."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
from temporalio.runtime import Runtime

from e2e.scene import Scene, scene
from perdure.client import Timeline, connect
from perdure.testing import DevServer
from perdure.testing.replay import assert_run_replays
from perdure.worker.agents import Agents

pytestmark = pytest.mark.timeout(90)

VICTIMS = ("the server", "server and worker")


@dataclass(frozen=True, kw_only=True)
class Survived:
    """A run that lost its server in the middle, after its end."""

    scene: Scene
    run_id: str
    output: dict[str, Any]
    line: Timeline


@pytest_asyncio.fixture(scope="module", loop_scope="session", params=VICTIMS)
async def survived(
    request: pytest.FixtureRequest, quiet: Runtime, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[Survived]:
    """Play one run; the server comes back on its file and its port."""
    folder = tmp_path_factory.mktemp("loss")
    async with DevServer(data=folder / "temporal") as server:
        client = await connect(server.address, runtime=quiet)
        async with scene(folder, client, server.address) as stage:
            worker = await stage.start_worker()
            run = await stage.start()
            await stage.question(run.run_id)
            server.kill()
            if request.param == "server and worker":
                worker.kill()
            await server.start()
            if request.param == "server and worker":
                await stage.start_worker()
            await stage.approve(run.run_id)
            output = await stage.result(run.run_id)
            line = await client.timeline(run.run_id)
            yield Survived(scene=stage, run_id=run.run_id, output=output, line=line)


def test_the_answer_is_sent(survived: Survived):
    assert survived.output["outcome"] == "sent"


def test_exactly_one_mail_arrives(survived: Survived):
    arrived = [mail["Message-ID"] for mail in survived.scene.mails()]
    assert arrived == [survived.output["message_id"]]


def test_no_call_is_made_again(survived: Survived):
    assert [call.attempts for call in survived.line.calls] == [1, 1, 1, 1]


def test_a_worker_that_lived_through_it_is_the_only_one(survived: Survived):
    alive = [worker for worker in survived.scene.workers if worker.returncode is None]
    identities = [f"{worker.pid}@" for worker in alive if worker.pid is not None]
    last = survived.line.workers[-1]
    assert any(last.startswith(identity) for identity in identities)


async def test_the_history_replays(survived: Survived, agents: Agents):
    await assert_run_replays(agents, survived.scene.client.temporal, survived.run_id)
