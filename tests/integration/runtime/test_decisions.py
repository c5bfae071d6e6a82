"""A decision counts when it fits, and leaves no trace when it does not."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from langchain_core.messages import HumanMessage
from temporalio.client import WorkflowUpdateFailedError

import perdure
from integration.runtime.fakes import chain
from integration.runtime.harness import Lab, Started, eventually

pytestmark = pytest.mark.timeout(60)
APPROVE = {"type": "approve", "by": "ann"}


def asking(*, rounds: int = 1, **terms: Any) -> perdure.Agents:
    """Ask for approval once or in several nodes, one after the other."""

    def one(state: dict[str, Any]) -> dict[str, Any]:
        decision = perdure.ask("one?", action="send", args={"to": "bob"}, **terms)
        return {"messages": [HumanMessage(f"one: {decision.type} by {decision.by}")]}

    def two(state: dict[str, Any]) -> dict[str, Any]:
        decision = perdure.ask("two?")
        return {"messages": [HumanMessage(f"two: {decision.type} by {decision.by}")]}

    return chain(*[one, two][:rounds])


async def test_an_update_returns_what_was_recorded(lab: Lab) -> None:
    async with lab.worker(asking()) as runs:
        run = await runs.start("graph")
        asked = await run.question()
        told = await run.decide({**APPROVE, "message": "fine"})
        assert told["question"] == asked["id"]
        assert told["digest"] == asked["digest"]
        assert told["decision"]["by"] == "ann"
        assert told["decision"]["message"] == "fine"
        assert told["decision"]["at"]


async def test_a_signal_decides_too(lab: Lab) -> None:
    async with lab.worker(asking()) as runs:
        run = await runs.start("graph")
        await run.question()
        await run.signal(APPROVE)
        assert (await run.texts())[-1] == "one: approve by ann"


async def test_a_decision_shows_in_the_status_of_the_run(lab: Lab) -> None:
    async with lab.worker(asking(rounds=2)) as runs:
        run = await runs.start("graph")
        await run.question()
        await run.decide(APPROVE)
        await run.question()
        status = await run.query("status")
        assert [d["decision"]["by"] for d in status["decisions"]] == ["ann"]
        assert status["status"] == "waiting"


MALFORMED = {
    "null": (None, "bad_decision"),
    "text": ("approve", "bad_decision"),
    "list": ([APPROVE], "bad_decision"),
    "empty": ({}, "bad_decision"),
    "unknown_type": ({"type": "yes"}, "bad_decision"),
    "unknown_field": ({**APPROVE, "when": "now"}, "bad_decision"),
    "args_no_object": ({"type": "edit", "args": ["x"]}, "bad_decision"),
    "edit_without_args": ({"type": "edit"}, "bad_decision"),
    "edit_of_an_unknown_argument": ({"type": "edit", "args": {"cc": "eve"}}, "bad_decision"),
    "args_with_an_approval": ({**APPROVE, "args": {"to": "eve"}}, "bad_decision"),
    "by_no_text": ({"type": "approve", "by": 7}, "bad_decision"),
    "expire": ({"type": "expire"}, "not_allowed"),
    "wrong_kind": ({"type": "respond", "value": 1}, "not_allowed"),
    "unknown_question": ({**APPROVE, "question": "nobody"}, "nothing_waiting"),
    "langchain_dialect": ({"decisions": [{"type": "approve"}]}, "bad_decision"),
}


@pytest.mark.parametrize(("decision", "code"), MALFORMED.values(), ids=MALFORMED)
async def test_a_bad_decision_is_refused_and_the_run_waits_on(
    lab: Lab, decision: Any, code: str
) -> None:
    async with lab.worker(asking()) as runs:
        run = await runs.start("graph")
        asked = await run.question()
        assert (await run.refused(decision)).type == code
        assert await run.question() == asked
        await run.decide(APPROVE)
        assert (await run.texts())[-1] == "one: approve by ann"


async def test_a_decision_by_somebody_else_is_refused(lab: Lab) -> None:
    async with lab.worker(asking(approvers=("ann",))) as runs:
        run = await runs.start("graph")
        await run.question()
        refusal = await run.refused({"type": "approve", "by": "eve"})
        assert (refusal.type, "only ann" in str(refusal)) == ("not_allowed", True)


async def test_a_decision_before_the_question_is_refused(lab: Lab) -> None:
    async def work(state: dict[str, Any]) -> None:
        await asyncio.sleep(3600)

    async with lab.worker(chain(work)) as runs:
        run = await runs.start("graph")
        await run.query("status")
        assert (await run.refused(APPROVE)).type == "nothing_waiting"


async def test_a_second_decision_is_refused_and_told_who_was_first(lab: Lab) -> None:
    async with lab.worker(asking(rounds=2)) as runs:
        run = await runs.start("graph")
        asked = await run.question()
        await run.decide(APPROVE)
        await run.question()
        refusal = await run.refused({"type": "reject", "by": "bob", "question": asked["id"]})
        assert refusal.type == "already_decided"
        assert "approve by 'ann'" in str(refusal)


async def test_a_decision_after_the_deadline_is_refused(lab: Lab) -> None:
    async with lab.worker(asking(rounds=2, within=timedelta(hours=1))) as runs:
        run = await runs.start("graph")
        asked = await run.question()
        await lab.pass_time(timedelta(hours=2))
        assert (await run.question())["title"] == "two?"
        refusal = await run.refused({**APPROVE, "question": asked["id"]})
        assert refusal.type == "already_decided"
        assert "expire by the deadline" in str(refusal)


async def test_a_refused_signal_is_kept_in_the_status_and_the_run_waits_on(lab: Lab) -> None:
    async with lab.worker(asking()) as runs:
        run = await runs.start("graph")
        await run.question()
        await run.signal("nonsense")

        async def refusals() -> list[str] | None:
            return (await run.query("status"))["refused"] or None

        found = await eventually(refusals, what="the refusal")
        assert found[0].startswith("a decision must be an object")
        assert len(await run.questions()) == 1


async def test_an_update_without_any_argument_is_refused(lab: Lab) -> None:
    async with lab.worker(asking()) as runs:
        run = await runs.start("graph")
        await run.question()
        with pytest.raises(WorkflowUpdateFailedError):
            await run.handle.execute_update("decide", rpc_timeout=timedelta(seconds=5))
        assert len(await run.questions()) == 1


async def _kinds(run: Started) -> list[int]:
    return [event.event_type for event in await run.events()]


async def test_a_refused_decision_leaves_nothing_in_the_history(real: Lab) -> None:
    async with real.worker(asking()) as runs:
        run = await runs.start("graph")
        await run.question()
        before = await _kinds(run)
        for decision, _ in MALFORMED.values():
            await run.refused(decision)
        assert await _kinds(run) == before
