"""Kill the worker everywhere a run can be, once; the run must end as if nothing had happened."""

import asyncio
import signal
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from e2e.scene import CRASHING, CUSTOMER, LAWYER, PASSWORD, Scene, died, scene
from perdure.client import Client
from perdure.testing import DevServer
from perdure.testing.replay import assert_run_replays
from perdure.worker.agents import Agents

pytestmark = pytest.mark.timeout(90)

SENT = ("search_kb", "classify", "draft", "send_email")
ESCALATED = ("search_kb", "classify", "create_ticket")
WORKFLOW = ("workflow:decided", "workflow:sent")
"""Killed while the workflow itself thinks: no call is under way, so none is made again."""
AT_ONCE = 3
COSTLY = ("journalled", "after")
"""Moments at which the model has done its work for nothing."""


@dataclass(frozen=True, kw_only=True)
class Crash:
    """One place to be killed at, and what may be repeated because of it."""

    at: str
    escalates: bool = False

    @property
    def call(self) -> str:
        return self.at.partition(":")[0]

    @property
    def moment(self) -> str:
        return self.at.partition(":")[2]

    @property
    def calls(self) -> tuple[str, ...]:
        return ESCALATED if self.escalates else SENT

    @property
    def attempts(self) -> dict[str, int]:
        """How often each call is tried: the interrupted one twice."""
        return {call: 1 + (call == self.call) for call in self.calls}

    @property
    def asked_of_model(self) -> list[str]:
        """What the model is really asked: again only if it had begun to answer."""
        tasks = [call for call in self.calls if call in ("classify", "draft")]
        again = self.call in tasks and self.moment in COSTLY
        return sorted([*tasks, self.call] if again else tasks)

    @property
    def deliveries(self) -> int:
        """How many copies cross the wire: SMTP cannot take back what was accepted."""
        again = self.call == "send_email" and self.moment in ("accepted", "after")
        return 0 if self.escalates else 1 + again


CRASHES = [
    *(Crash(at=f"search_kb:{moment}") for moment in ("before", "indexed", "after")),
    *(Crash(at=f"classify:{moment}") for moment in ("before", "journalled", "after")),
    *(Crash(at=f"draft:{moment}") for moment in ("before", "journalled", "after")),
    *(Crash(at=f"send_email:{moment}") for moment in ("before", "addressed", "accepted", "after")),
    *(
        Crash(at=f"create_ticket:{moment}", escalates=True)
        for moment in ("before", "uncommitted", "after")
    ),
    *(Crash(at=at) for at in WORKFLOW),
]


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A run that lost its worker, after its end."""

    crash: Crash
    scene: Scene
    run_id: str
    output: dict[str, Any]
    exit_code: int


async def play(crash: Crash, stage: Scene) -> Ended:
    """Play one run: its first worker kills itself, a second one takes over."""
    first = await stage.start_worker(CRASHING, CRASH_AT=crash.at)
    run = await stage.start(LAWYER if crash.escalates else PASSWORD)
    async with asyncio.TaskGroup() as group:
        if not crash.escalates:
            group.create_task(stage.approve(run.run_id))
        code = await died(first)
        await stage.start_worker(CRASHING)
    output = await stage.result(run.run_id)
    return Ended(crash=crash, scene=stage, run_id=run.run_id, output=output, exit_code=code)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def plays(
    request: pytest.FixtureRequest,
    server: DevServer,
    client: Client,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncGenerator[dict[Crash, asyncio.Task[Ended]]]:
    """Play the crashes that are asked for, a few at a time: most of each is waiting."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def take_turn(crash: Crash) -> Ended:
        folder = tmp_path_factory.mktemp("crash")
        async with gate, scene(folder, client, server.address) as stage:
            return await play(crash, stage)

    wanted = dict.fromkeys(
        item.callspec.params["ended"]
        for item in request.session.items
        if item.path == request.path and isinstance(item, pytest.Function)
    )
    tasks = {crash: asyncio.create_task(take_turn(crash)) for crash in wanted}
    yield tasks
    for task in tasks.values():
        task.cancel()
    await asyncio.gather(*tasks.values(), return_exceptions=True)


@pytest_asyncio.fixture(scope="module", loop_scope="session", params=CRASHES, ids=lambda c: c.at)
async def ended(request: pytest.FixtureRequest, plays: dict[Crash, asyncio.Task[Ended]]) -> Ended:
    """Wait for the end of one run that lost its worker."""
    return await plays[request.param]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def untroubled(steady: Scene) -> dict[bool, dict[str, Any]]:
    """The outputs of runs without a crash: of an answer, and of an escalation."""
    answered = await steady.start()
    escalated = await steady.start(LAWYER)
    await steady.approve(answered.run_id)
    return {
        False: await steady.result(answered.run_id),
        True: await steady.result(escalated.run_id),
    }


def without_ids(output: dict[str, Any]) -> dict[str, Any]:
    """Leave out what belongs to one run alone."""
    return {key: value for key, value in output.items() if key not in ("message_id", "ticket_id")}


def test_the_first_worker_really_is_killed(ended: Ended):
    assert ended.exit_code == -signal.SIGKILL


def test_the_output_is_that_of_a_run_without_a_crash(
    ended: Ended, untroubled: dict[bool, dict[str, Any]]
):
    assert without_ids(ended.output) == without_ids(untroubled[ended.crash.escalates])


def test_the_customer_gets_exactly_the_mail_that_the_output_names(ended: Ended):
    arrived = [(mail["To"], mail["Message-ID"]) for mail in ended.scene.mails()]
    named = [(CUSTOMER, ended.output["message_id"])]
    assert arrived == ([] if ended.crash.escalates else named)


def test_no_more_copies_cross_the_wire_than_the_crash_explains(ended: Ended):
    assert ended.scene.mailbox.raw_deliveries() == ended.crash.deliveries


def test_the_desk_holds_one_ticket_per_escalation(ended: Ended):
    assert len(ended.scene.tickets()) == ended.crash.escalates


async def test_only_the_interrupted_call_is_tried_again(ended: Ended):
    calls = await ended.scene.calls(ended.run_id)
    tried = dict(zip(ended.crash.calls, (call.attempts for call in calls), strict=True))
    assert tried == ended.crash.attempts


def test_the_model_is_asked_again_only_if_its_answer_was_lost(ended: Ended):
    assert sorted(ended.scene.asked_of_model()) == ended.crash.asked_of_model


async def test_the_history_replays(ended: Ended, agents: Agents, client: Client):
    await assert_run_replays(agents, client.temporal, ended.run_id)
