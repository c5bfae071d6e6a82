"""Decide by update and by signal, well and badly, on a real server."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest
from temporalio.client import WorkflowHandle, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from e2e.scene import APPROVE, PASSWORD, Scene, eventually
from perdure.client import RunHandle
from perdure.core.names import DECIDE_SIGNAL, DECIDE_UPDATE
from perdure.errors import PerdureError, Refused

pytestmark = pytest.mark.timeout(60)

MALFORMED: dict[str, Any] = {
    "text": "approve",
    "nothing": None,
    "a list": [{"type": "approve"}],
    "an unknown verb": {"type": "maybe"},
    "an unknown field": {"type": "approve", "colour": "green"},
    "an edit without arguments": {"type": "edit", "by": "ben"},
    "an edit of an unknown argument": {"type": "edit", "args": {"bcc": "eve@example.com"}},
    "an approval with arguments": {"type": "approve", "args": {"to": "eve@example.com"}},
    "the deadline's own verb": {"type": "expire"},
    "a kind that is not allowed": {"type": "respond", "value": "42"},
    "another question": {"type": "approve", "question": "no-such-question"},
}
REJECT = {"type": "reject", "by": "cleo", "message": "not our tone"}


def somebody() -> str:
    """Return a customer that no other test has."""
    return f"{uuid4().hex[:10]}@example.com"


def mails_to(scene: Scene, customer: str) -> list[str]:
    return [str(mail["Message-ID"]) for mail in scene.mails() if mail["To"] == customer]


def raw(run: RunHandle) -> WorkflowHandle[Any, Any]:
    """Return Temporal's own handle: nothing of Perdure checks what is sent with it."""
    return run.client.temporal.get_workflow_handle(run.run_id)


async def waiting_run(scene: Scene, customer: str | None = None) -> RunHandle:
    run = await scene.start(PASSWORD, customer or somebody())
    await scene.question(run.run_id)
    return run


async def test_a_rejection_by_update_ends_the_run_with_its_reason(steady: Scene):
    run = await waiting_run(steady)
    await steady.decide(run.run_id, REJECT)
    output = await steady.result(run.run_id)
    assert (output["outcome"], output["reason"]) == ("rejected", "not our tone")


async def test_a_rejected_answer_is_not_sent(steady: Scene):
    customer = somebody()
    run = await waiting_run(steady, customer)
    await steady.decide(run.run_id, REJECT)
    await steady.result(run.run_id)
    assert mails_to(steady, customer) == []


async def test_an_edit_by_update_is_what_the_customer_gets(steady: Scene):
    run = await waiting_run(steady)
    await steady.decide(run.run_id, {"type": "edit", "by": "ben", "args": {"body": "Press it."}})
    output = await steady.result(run.run_id)
    assert (output["outcome"], output["reply"]) == ("sent", "Press it.")


async def test_an_approval_by_signal_sends_the_mail(steady: Scene):
    customer = somebody()
    run = await waiting_run(steady, customer)
    await raw(run).signal(DECIDE_SIGNAL, APPROVE)
    output = await steady.result(run.run_id)
    assert mails_to(steady, customer) == [output["message_id"]]


async def test_the_time_line_tells_that_a_decision_came_as_a_signal(steady: Scene):
    run = await waiting_run(steady)
    await raw(run).signal(DECIDE_SIGNAL, APPROVE)
    await steady.result(run.run_id)
    (asked,) = (await steady.client.timeline(run.run_id)).questions
    assert (asked.via, (asked.decision or {}).get("by")) == ("signal", "ben")


@pytest.mark.parametrize("decision", MALFORMED.values(), ids=MALFORMED.keys())
async def test_the_run_itself_refuses_as_an_update(steady: Scene, decision: Any):
    run = await waiting_run(steady)
    before = await steady.question(run.run_id)
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await raw(run).execute_update(DECIDE_UPDATE, decision)
    assert isinstance(refused.value.cause, ApplicationError)
    assert await steady.question(run.run_id) == before


@pytest.mark.parametrize("decision", MALFORMED.values(), ids=MALFORMED.keys())
async def test_a_refused_signal_is_told_in_the_status_and_the_run_still_waits(
    steady: Scene, decision: Any
):
    run = await waiting_run(steady)
    await raw(run).signal(DECIDE_SIGNAL, decision)

    async def refused() -> tuple[str, ...] | None:
        return (await run.status()).refused or None

    assert len(await eventually(refused, what="a refusal")) == 1
    assert (await run.status()).status == "waiting"


async def test_a_good_decision_counts_after_all_the_bad_ones(steady: Scene):
    run = await waiting_run(steady)
    for decision in MALFORMED.values():
        await raw(run).signal(DECIDE_SIGNAL, decision)
    await steady.approve(run.run_id)
    assert (await steady.result(run.run_id))["outcome"] == "sent"


async def test_the_same_decision_twice_is_recorded_once(steady: Scene):
    run = await waiting_run(steady)
    asked = await steady.question(run.run_id)
    first = await steady.decide(run.run_id, APPROVE, asked=asked)
    second = await steady.decide(run.run_id, APPROVE, asked=asked)
    assert first == second


async def test_the_same_decision_twice_sends_one_mail(steady: Scene):
    customer = somebody()
    run = await waiting_run(steady, customer)
    asked = await steady.question(run.run_id)
    both = (steady.decide(run.run_id, APPROVE, asked=asked) for _ in range(2))
    await asyncio.gather(*both)
    output = await steady.result(run.run_id)
    assert mails_to(steady, customer) == [output["message_id"]]


async def test_of_two_different_decisions_at_once_exactly_one_counts(steady: Scene):
    run = await waiting_run(steady)
    asked = await steady.question(run.run_id)
    told = await asyncio.gather(
        *(steady.decide(run.run_id, decision, asked=asked) for decision in (APPROVE, REJECT)),
        return_exceptions=True,
    )
    assert [isinstance(answer, Refused) for answer in told].count(True) == 1, told


async def test_the_decision_that_counted_is_the_one_that_was_carried_out(steady: Scene):
    run = await waiting_run(steady)
    asked = await steady.question(run.run_id)
    decisions = {"sent": APPROVE, "rejected": REJECT}
    told = await asyncio.gather(
        *(steady.decide(run.run_id, one, asked=asked) for one in decisions.values()),
        return_exceptions=True,
    )
    taken = [name for name, answer in zip(decisions, told, strict=True) if isinstance(answer, dict)]
    assert [(await steady.result(run.run_id))["outcome"]] == taken


async def test_a_second_different_decision_is_refused(steady: Scene):
    run = await waiting_run(steady)
    asked = await steady.question(run.run_id)
    await steady.decide(run.run_id, REJECT, asked=asked)
    with pytest.raises(Refused):
        await steady.decide(run.run_id, APPROVE, asked=asked)


async def test_a_second_different_decision_changes_nothing(steady: Scene):
    customer = somebody()
    run = await waiting_run(steady, customer)
    await steady.decide(run.run_id, REJECT)
    with pytest.raises(PerdureError):
        await steady.decide(run.run_id, APPROVE)
    assert (await steady.result(run.run_id))["outcome"] == "rejected"
    assert mails_to(steady, customer) == []
