"""A tool that needs approval runs after a person said so, with what the person allowed."""

from datetime import timedelta
from typing import Annotated, Any

import pytest
from langchain.agents import create_agent
from langchain_core.messages import ToolMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.prebuilt import InjectedState
from langgraph.types import Command

import perdure
from integration.runtime.fakes import calls, model, paying, sole
from integration.runtime.harness import HELLO, Lab

pytestmark = pytest.mark.timeout(60)
ASK = perdure.Approve(within=timedelta(hours=1))


async def answers(run: Any, *, skip: bool = False) -> list[ToolMessage]:
    output = await run.result(skip=skip)
    return [message for message in output["messages"] if isinstance(message, ToolMessage)]


async def test_no_call_is_made_before_the_decision(lab: Lab) -> None:
    async with lab.worker(paying(42, approve=ASK)) as runs:
        run = await runs.start("payer")
        await run.question()
        assert [call.kind for call in await run.calls()] == ["perdure.model"]


async def test_the_question_shows_the_call(lab: Lab) -> None:
    async with lab.worker(paying(42, approve=ASK)) as runs:
        run = await runs.start("payer")
        asked = await run.question()
        shown = [asked[key] for key in ("id", "title", "action", "args")]
        assert shown == ["call-1.1", "tool: pay(amount=42)", "pay", {"amount": 42}]


async def test_an_approved_call_is_made(lab: Lab) -> None:
    async with lab.worker(paying(42, approve=ASK)) as runs:
        run = await runs.start("payer")
        await run.question()
        await run.decide({"type": "approve", "by": "ann"})
        (answer,) = await answers(run)
        assert answer.text.startswith("paid 42 under ")
        assert answer.status == "success"


async def test_an_edited_call_is_made_with_the_new_arguments(lab: Lab) -> None:
    async with lab.worker(paying(42, approve=ASK)) as runs:
        run = await runs.start("payer")
        await run.question()
        await run.decide({"type": "edit", "args": {"amount": 7}, "by": "ann"})
        (answer,) = await answers(run)
        assert answer.text.startswith("paid 7 under ")


async def test_a_rejected_call_is_told_to_the_model_and_never_made(lab: Lab) -> None:
    async with lab.worker(paying(42, approve=ASK)) as runs:
        run = await runs.start("payer")
        await run.question()
        await run.decide({"type": "reject", "by": "ann", "message": "too much"})
        (answer,) = await answers(run)
        assert answer.text == "The call of 'pay' was not carried out, rejected by ann: too much"
        assert answer.status == "error"
        assert "perdure.tool" not in [call.kind for call in await run.calls()]


async def test_a_response_takes_the_place_of_the_call(lab: Lab) -> None:
    async with lab.worker(paying(42, approve=ASK)) as runs:
        run = await runs.start("payer")
        await run.question()
        await run.decide({"type": "respond", "value": "paid by hand"})
        (answer,) = await answers(run)
        assert answer.text == "paid by hand"
        assert "perdure.tool" not in [call.kind for call in await run.calls()]


BAD_EDITS = {
    "wrong_type": ({"amount": "a lot"}, "'a lot' is not of type 'integer'"),
    "missing": ({}, "'amount' is a required property"),
    "unknown": ({"amount": 1, "to": "eve"}, "edited argument 'to' is not one of amount"),
}


@pytest.mark.parametrize(("args", "text"), BAD_EDITS.values(), ids=BAD_EDITS)
async def test_edited_arguments_that_do_not_fit_the_tool_are_refused(
    lab: Lab, args: dict[str, Any], text: str
) -> None:
    async with lab.worker(paying(42, approve=ASK)) as runs:
        run = await runs.start("payer")
        await run.question()
        refusal = await run.refused({"type": "edit", "args": args})
        assert refusal.type == "bad_decision"
        assert text in str(refusal)
        assert len(await run.questions()) == 1


async def test_parallel_calls_are_decided_one_by_one(lab: Lab) -> None:
    async with lab.worker(paying(1, 2, 3, approve=ASK)) as runs:
        run = await runs.start("payer")
        asked = await run.questions(3)
        verbs = ["reject", "approve", "reject"]
        for question, verb in zip(asked, verbs, strict=True):
            await run.decide({"type": verb, "by": "ann", "question": question["id"]})
        statuses = [answer.status for answer in await answers(run)]
        assert statuses == ["error", "success", "error"]


async def test_nobody_deciding_means_no_and_the_run_goes_on(lab: Lab) -> None:
    async with lab.worker(paying(42, approve=ASK)) as runs:
        run = await runs.start("payer")
        (answer,) = await answers(run, skip=True)
        assert answer.text.startswith("The call of 'pay' was not carried out, rejected by deadline")


async def test_expiry_is_told_under_its_own_name(lab: Lab) -> None:
    terms = perdure.Approve(within=timedelta(hours=1), on_deadline="expire")
    async with lab.worker(paying(42, approve=terms)) as runs:
        run = await runs.start("payer")
        (answer,) = await answers(run, skip=True)
        assert "nobody decided in time" in answer.text


async def test_expiry_fails_the_run_if_the_terms_say_so(lab: Lab) -> None:
    terms = perdure.Approve(within=timedelta(hours=1), on_deadline="fail")
    async with lab.worker(paying(42, approve=terms)) as runs:
        run = await runs.start("payer")
        assert (await run.failure(skip=True)).type == "approval_expired"


async def test_the_answer_to_the_model_is_one_that_a_provider_takes(lab: Lab) -> None:
    async with lab.worker(paying(42, approve=ASK)) as runs:
        run = await runs.start("payer")
        await run.question()
        await run.decide({"type": "reject"})
        (answer,) = await answers(run)
        assert (answer.tool_call_id, answer.name) == ("call-1.1", "pay")


def pay_knowing(amount: int, state: Annotated[dict[str, Any], InjectedState]) -> str:
    """Pay, knowing the conversation."""
    return f"paid {amount} after {len(state['messages'])} messages"


def knowing() -> perdure.Agents:
    tool = perdure.tool(pay_knowing, effect=True, approve=ASK)
    return sole(create_agent(model(calls("pay_knowing", {"amount": 5}), "done"), [tool]), "payer")


async def test_what_langgraph_injects_is_not_shown_to_the_person(lab: Lab) -> None:
    async with lab.worker(knowing()) as runs:
        run = await runs.start("payer")
        assert (await run.question())["args"] == {"amount": 5}


async def test_what_langgraph_injects_is_there_after_an_edit(lab: Lab) -> None:
    async with lab.worker(knowing()) as runs:
        run = await runs.start("payer")
        await run.question()
        await run.decide({"type": "edit", "args": {"amount": 6}})
        (answer,) = await answers(run)
        assert answer.text == "paid 6 after 2 messages"


async def test_as_plain_langgraph_the_tool_interrupts_and_is_resumed_with_a_decision() -> None:
    graph = paying(42, approve=ASK).graph("payer").copy({"checkpointer": InMemorySaver()})
    config: RunnableConfig = {"configurable": {"thread_id": "one"}}
    paused = await graph.ainvoke(HELLO, config)
    assert paused["__interrupt__"][0].value["action"] == "pay"
    output = await graph.ainvoke(Command(resume={"type": "edit", "args": {"amount": 7}}), config)
    assert output["messages"][2].text.startswith("paid 7 under local:")
