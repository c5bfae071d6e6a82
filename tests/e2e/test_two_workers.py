"""Two workers share a task queue and several runs; one of them is killed in the middle."""

import asyncio
import signal
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from e2e.scene import CRASHING, PASSWORD, Scene, died, scene
from perdure.client import Client
from perdure.testing import DevServer
from perdure.testing.replay import assert_run_replays
from perdure.worker.agents import Agents

pytestmark = pytest.mark.timeout(120)

CUSTOMERS = tuple(f"customer{number}@example.com" for number in range(8))


@dataclass(frozen=True, kw_only=True)
class Crowd:
    """All runs, after their end."""

    scene: Scene
    run_ids: list[str]
    outputs: list[dict[str, Any]]
    exit_code: int


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def crowd(
    server: DevServer, client: Client, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[Crowd]:
    """Start every run at once; one worker dies at the first draft that it is asked for."""
    async with scene(tmp_path_factory.mktemp("crowd"), client, server.address) as stage:
        doomed = stage.launch_worker(CRASHING, CRASH_AT="draft:journalled")
        other = stage.launch_worker(CRASHING)
        await asyncio.gather(doomed.wait_ready(), other.wait_ready())
        runs = await asyncio.gather(*(stage.start(PASSWORD, who) for who in CUSTOMERS))
        ids = [run.run_id for run in runs]
        code = await died(doomed)
        await asyncio.gather(*(stage.approve(run_id) for run_id in ids))
        outputs = await asyncio.gather(*(stage.result(run_id) for run_id in ids))
        yield Crowd(scene=stage, run_ids=ids, outputs=outputs, exit_code=code)


def test_one_worker_really_is_killed(crowd: Crowd):
    assert crowd.exit_code == -signal.SIGKILL


def test_every_run_sends_its_answer(crowd: Crowd):
    assert [output["outcome"] for output in crowd.outputs] == ["sent"] * len(CUSTOMERS)


def test_every_customer_gets_exactly_one_mail(crowd: Crowd):
    assert sorted(mail["To"] for mail in crowd.scene.mails()) == sorted(CUSTOMERS)


def test_no_mail_is_sent_twice_over_the_wire(crowd: Crowd):
    assert crowd.scene.mailbox.raw_deliveries() == len(CUSTOMERS)


async def test_every_history_replays(crowd: Crowd, agents: Agents, client: Client):
    for run_id in crowd.run_ids:
        await assert_run_replays(agents, client.temporal, run_id)
