"""A question has a deadline, with reminders before it."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from langchain_core.messages import HumanMessage
from langgraph.types import interrupt
from temporalio.client import WorkflowExecutionStatus

import perdure
from integration.runtime.fakes import chain
from integration.runtime.harness import Lab

pytestmark = pytest.mark.timeout(60)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def asking(**terms: Any) -> perdure.Agents:
    def one(state: dict[str, Any]) -> dict[str, Any]:
        decision = perdure.ask("send it?", **terms)
        return {"messages": [HumanMessage(f"{decision.type} by {decision.by}")]}

    return chain(one)


async def test_a_question_that_nobody_decides_expires_after_a_day(lab: Lab) -> None:
    async with lab.worker(asking()) as runs:
        run = await runs.start("graph")
        assert (await run.texts(skip=True))[-1] == "expire by deadline"
        assert await run.timers() == [("approval deadline: send it?", DAY)]


async def test_an_expired_question_is_a_rejection_if_its_terms_say_so(lab: Lab) -> None:
    async with lab.worker(asking(on_deadline="reject")) as runs:
        run = await runs.start("graph")
        assert (await run.texts(skip=True))[-1] == "reject by deadline"


async def test_an_expired_question_fails_the_run_if_its_terms_say_so(lab: Lab) -> None:
    async with lab.worker(asking(on_deadline="fail")) as runs:
        run = await runs.start("graph")
        failure = await run.failure(skip=True)
        assert failure.type == "approval_expired"
        assert "'send it?': nobody decided before" in str(failure)


async def test_a_free_interrupt_fails_the_run_after_a_day(lab: Lab) -> None:
    def one(state: dict[str, Any]) -> None:
        interrupt("which colour?")

    async with lab.worker(chain(one)) as runs:
        run = await runs.start("graph")
        assert (await run.failure(skip=True)).type == "approval_expired"
        assert await run.timers() == [("approval deadline: which colour?", DAY)]


async def test_the_question_names_its_deadline(lab: Lab) -> None:
    async with lab.worker(asking(within=3 * HOUR)) as runs:
        run = await runs.start("graph")
        asked = await run.question()
        times = [datetime.fromisoformat(asked[key]) for key in ("asked_at", "deadline")]
        assert times[1] - times[0] == 3 * HOUR


async def test_reminders_fire_in_order_before_the_deadline(lab: Lab) -> None:
    async with lab.worker(asking(within=DAY, reminders=(20 * HOUR, HOUR))) as runs:
        run = await runs.start("graph")
        await run.result(skip=True)
        timers = [(summary, round(length / HOUR, 2)) for summary, length in await run.timers()]
        assert timers == [
            ("approval reminder 1: send it?", 1),
            ("approval reminder 2: send it?", 19),
            ("approval deadline: send it?", 4),
        ]
        assert len(await run.events("TIMER_FIRED")) == 3


async def test_a_reminder_shows_in_the_question(lab: Lab) -> None:
    async with lab.worker(asking(reminders=(HOUR, 2 * HOUR))) as runs:
        run = await runs.start("graph")
        assert (await run.question())["reminded"] == 0
        await lab.pass_time(HOUR + timedelta(minutes=1))
        assert (await run.question())["reminded"] == 1


async def test_a_decision_between_two_reminders_cancels_the_rest(lab: Lab) -> None:
    async with lab.worker(asking(reminders=(HOUR, 2 * HOUR))) as runs:
        run = await runs.start("graph")
        await run.question()
        await lab.pass_time(HOUR + timedelta(minutes=1))
        await run.question()
        await run.decide({"type": "approve", "by": "ann"})
        assert (await run.texts())[-1] == "approve by ann"
        assert len(await run.events("TIMER_FIRED")) == 1
        assert len(await run.events("TIMER_STARTED")) == 2


async def test_a_decision_just_before_the_deadline_counts(lab: Lab) -> None:
    async with lab.worker(asking(within=HOUR)) as runs:
        run = await runs.start("graph")
        await run.question()
        await lab.pass_time(HOUR - timedelta(minutes=1))
        await run.decide({"type": "approve", "by": "ann"})
        assert (await run.texts())[-1] == "approve by ann"


async def test_time_stands_still_unless_a_result_is_awaited(lab: Lab) -> None:
    async with lab.worker(asking(within=timedelta(minutes=5))) as runs:
        run = await runs.start("graph")
        for _ in range(3):
            await run.question()
        assert await run.status() == WorkflowExecutionStatus.RUNNING
        assert await run.events("TIMER_FIRED") == []
