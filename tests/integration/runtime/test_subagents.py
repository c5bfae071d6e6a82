"""An agent runs another one as a child run: its questions, cost and end are the parent's too."""

import asyncio
from datetime import timedelta
from typing import Any, cast

import pytest
from langchain import agents as langchain_agents
from langchain_core.messages import AIMessage
from langchain_core.messages.ai import UsageMetadata
from langgraph.graph import START, MessagesState, StateGraph
from pydantic import BaseModel
from temporalio import workflow
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError
from temporalio.worker import Worker

import perdure
import perdure.workflow
from integration.runtime.fakes import Scripted, calls, model, pay
from integration.runtime.harness import Lab, Started
from perdure.client.payloads import decoder
from perdure.client.reading import read_timeline
from perdure.core.names import AGENT_MEMO
from perdure.errors import BadOption, NotInRun, UnknownAgent

pytestmark = pytest.mark.timeout(60)
create_agent: Any = cast("Any", langchain_agents).create_agent
TOKENS = UsageMetadata(input_tokens=10, output_tokens=3, total_tokens=13)


def asks(*requests: str, name: str = "billing") -> AIMessage:
    return calls(name, *({"request": request} for request in requests))


def family(child: Any, *says: Any, **options: Any) -> perdure.Agents:
    """Make a parent "front" with one tool for the agent "billing"."""
    helper = perdure.agent_tool("billing", description="Knows about bills.", **options)
    agents = perdure.Agents()
    agents.add("billing", child)
    agents.add("front", create_agent(model(*(says or (asks("why?"), "done")), name="f"), [helper]))
    return agents


def answering(text: str = "because") -> Any:
    return create_agent(model(AIMessage(text, usage_metadata=TOKENS), name="b"), [])


def paying(**terms: Any) -> Any:
    """Make a child that must be allowed to pay."""
    tool = perdure.tool(pay, effect=True, approve=perdure.Approve(**terms))
    return create_agent(model(calls("pay", {"amount": 5}), "paid it", name="b"), [tool])


async def children(run: Started) -> list[str]:
    started = await run.events("CHILD_WORKFLOW_EXECUTION_STARTED")
    return [
        e.child_workflow_execution_started_event_attributes.workflow_execution.workflow_id
        for e in started
    ]


async def test_the_last_message_of_the_child_is_the_tool_s_answer(lab: Lab) -> None:
    async with lab.worker(family(answering())) as runs:
        run = await runs.start("front")
        assert (await run.texts())[2:] == ["because", "done"]


async def test_the_child_is_a_run_of_its_own_with_an_id_made_of_the_parent_s(lab: Lab) -> None:
    async with lab.worker(family(answering())) as runs:
        run = await runs.start("front")
        await run.result()
        assert await children(run) == [f"{run.id}:billing-1"]
        assert [call.summary for call in await run.calls()] == [
            "model: f · turn 1",
            "model: f · turn 2",
        ]


async def test_a_list_of_runs_names_the_child_s_agent(real: Lab) -> None:
    async with real.worker(family(answering())) as runs:
        run = await runs.start("front")
        await run.result()
        (child,) = await children(run)
        execution = await runs.client.get_workflow_handle(child).describe()
        assert await execution.memo_value(AGENT_MEMO) == "billing"


async def test_the_child_s_calls_and_tokens_are_added_to_the_parent_s(lab: Lab) -> None:
    async with lab.worker(family(answering())) as runs:
        run = await runs.start("front")
        await run.result()
        status = await run.query("status")
        assert status["model_calls"] == 3
        assert status["tokens"] == {"input_tokens": 10, "output_tokens": 3}
        assert [child["status"] for child in status["children"]] == ["done"]


async def test_the_time_line_of_the_parent_shows_the_child_s_run(lab: Lab) -> None:
    async with lab.worker(family(answering())) as runs:
        run = await runs.start("front")
        await run.result()
        line = read_timeline(
            [await run.handle.fetch_history()], decode=decoder(runs.client.data_converter)
        )
        (child,) = [call for call in line.calls if call.kind == "agent"]
        assert (child.name, child.run, child.outcome) == ("billing", f"{run.id}:billing-1", "ok")
        assert line.tokens == {"input_tokens": 10, "output_tokens": 3}


async def test_children_run_side_by_side(lab: Lab) -> None:
    async with lab.worker(family(answering(), asks("a", "b"), "done")) as runs:
        run = await runs.start("front")
        assert (await run.texts())[2:] == ["because", "because", "done"]
        assert sorted(await children(run)) == [f"{run.id}:billing-1", f"{run.id}:billing-2"]


async def test_the_parent_asks_what_the_child_asks_and_passes_the_decision_on(lab: Lab) -> None:
    async with lab.worker(family(paying())) as runs:
        run = await runs.start("front")
        asked = await run.question()
        assert (asked["action"], asked["args"]) == ("pay", {"amount": 5})
        assert asked["node"] == "billing"
        await run.decide({"type": "approve", "by": "ann"})
        assert (await run.texts())[2:] == ["paid it", "done"]
        assert await run.query("questions") == []


async def test_a_decision_that_does_not_fit_is_refused_by_the_parent(lab: Lab) -> None:
    async with lab.worker(family(paying())) as runs:
        run = await runs.start("front")
        await run.question()
        refused = await run.refused({"type": "edit", "by": "ann", "args": {"amount": "many"}})
        assert refused.type == "bad_decision"
        await run.decide({"type": "edit", "by": "ann", "args": {"amount": 4}})
        await run.result()


async def test_the_questions_of_two_children_are_told_apart(lab: Lab) -> None:
    async with lab.worker(family(paying(), asks("a", "b"), "done")) as runs:
        run = await runs.start("front")
        first, second = await run.questions(2)
        assert first["id"] != second["id"]
        for asked in (second, first):
            await run.decide({"type": "approve", "by": "ann", "question": asked["id"]})
        assert (await run.texts())[2:] == ["paid it", "paid it", "done"]


async def test_a_question_that_the_child_lets_expire_is_asked_no_more(lab: Lab) -> None:
    async with lab.worker(family(paying(within=timedelta(hours=1)))) as runs:
        run = await runs.start("front")
        await run.question()
        assert (await run.texts(skip=True))[2:] == ["paid it", "done"]
        assert await run.query("questions") == []


async def test_a_question_rises_through_two_parents(lab: Lab) -> None:
    helper = perdure.agent_tool("desk", description="The desk.")
    agents = perdure.Agents()
    agents.add("top", create_agent(model(asks("x", name="desk"), "all done", name="t"), [helper]))
    below = perdure.agent_tool("billing", description="Bills.")
    agents.add("desk", create_agent(model(asks("y"), "desk done", name="d"), [below]))
    agents.add("billing", paying())
    async with lab.worker(agents) as runs:
        run = await runs.start("top")
        assert (await run.question())["node"] == "desk > billing"
        await run.decide({"type": "approve", "by": "ann"})
        assert (await run.texts())[2:] == ["desk done", "all done"]
        assert (await run.query("status"))["model_calls"] == 6


async def test_the_tool_itself_may_need_an_approval(lab: Lab) -> None:
    async with lab.worker(family(answering(), approve=perdure.Approve())) as runs:
        run = await runs.start("front")
        assert (await run.question())["args"] == {"request": "why?"}
        await run.decide({"type": "reject", "by": "ann"})
        assert "not carried out, reject by ann" in (await run.texts())[2]
        assert await children(run) == []


async def test_cancelling_the_parent_cancels_the_child_and_waits(real: Lab) -> None:
    async with real.worker(family(paying())) as runs:
        run = await runs.start("front")
        await run.question()
        await run.handle.cancel()
        with pytest.raises(WorkflowFailureError):
            await run.result()
        assert await run.status() == WorkflowExecutionStatus.CANCELED
        child = runs.client.get_workflow_handle((await children(run))[0])
        assert (await child.describe()).status == WorkflowExecutionStatus.CANCELED


def failing() -> Any:
    def node(state: MessagesState) -> None:
        raise KeyError("no such customer")

    return StateGraph(MessagesState).add_node("node", node).add_edge(START, "node")


async def test_a_child_that_fails_fails_the_tool_with_its_cause(lab: Lab) -> None:
    async with lab.worker(family(failing())) as runs:
        failure = await (await runs.start("front")).failure()
        assert "agent 'billing'" in failure.message
        assert "no such customer" in failure.message


async def test_a_child_that_takes_too_long_is_cancelled(lab: Lab) -> None:
    async with lab.worker(family(paying(), timeout=timedelta(minutes=5))) as runs:
        run = await runs.start("front")
        failure = await run.failure(skip=True)
        assert "no end within 300 s" in failure.message
        child = runs.client.get_workflow_handle((await children(run))[0])
        assert (await child.describe()).status == WorkflowExecutionStatus.CANCELED


async def test_an_agent_that_calls_itself_ends_with_a_clear_error(lab: Lab) -> None:
    again = perdure.agent_tool("self", description="Me.", depth=2)
    agents = perdure.Agents()
    agents.add("self", create_agent(model(asks("again", name="self"), "x", name="s"), [again]))
    async with lab.worker(agents) as runs:
        failure = await (await runs.start("self")).failure()
        assert "would run 3 deep; 2 is the most" in failure.message


class Order(BaseModel):
    number: int


class Counted(BaseModel):
    number: int


def said(output: dict[str, int]) -> str:
    return f"number {output['number']}"


async def test_input_and_output_can_be_mapped(lab: Lab) -> None:
    def node(state: Counted) -> dict[str, int]:
        return {"number": state.number + 1}

    child = StateGraph(Counted).add_node("node", node).add_edge(START, "node")
    says = (calls("billing", {"number": 41}), "done")
    options: dict[str, Any] = {
        "schema": Order,
        "input": dict,
        "output": said,
    }
    async with lab.worker(family(child, *says, **options)) as runs:
        assert (await (await runs.start("front")).texts())[2] == "number 42"


async def test_a_node_runs_an_agent_by_hand(lab: Lab) -> None:
    async def node(state: MessagesState) -> Any:
        told = await perdure.workflow.run_agent("billing", {"messages": [("user", "why?")]})
        return {"messages": [told["messages"][-1]]}

    agents = perdure.Agents()
    agents.add("billing", answering())
    agents.add("hand", StateGraph(MessagesState).add_node("node", node).add_edge(START, "node"))
    async with lab.worker(agents) as runs:
        assert (await (await runs.start("hand")).texts())[-1] == "because"


@workflow.defn(sandboxed=False)
class ByHand:
    """Run an agent from a workflow of one's own."""

    def __init__(self) -> None:
        perdure.workflow.open_doors("by hand")

    @workflow.run
    async def run(self) -> str:
        told = await perdure.workflow.run_agent("billing", {"messages": [("user", "why?")]})
        return str(told["messages"][-1].text)


async def test_a_hand_written_workflow_runs_an_agent_and_asks_what_it_asks(lab: Lab) -> None:
    agents = perdure.Agents()
    agents.add("billing", paying())
    async with lab.worker(agents, workflows=[ByHand]) as runs:
        run = await runs.start_raw(workflow=ByHand.run)
        await run.question()
        await run.decide({"type": "approve", "by": "ann"})
        assert await run.result() == "paid it"


async def test_a_child_goes_on_when_its_worker_is_replaced(real: Lab) -> None:
    asked = asyncio.Event()
    block = [True]

    class Slow(Scripted):
        async def _agenerate(self, *args: Any, **kwargs: Any) -> Any:
            asked.set()
            if block[0]:
                await asyncio.get_running_loop().create_future()
            return self._generate(args[0])

    slow = perdure.model(Slow(say=lambda _: AIMessage("late")), name="slow")
    agents = family(create_agent(slow, []))
    async with real.worker(agents) as runs:
        run = await runs.start("front")
        async with asyncio.timeout(20):
            await asked.wait()
        block[0] = False
        await runs.worker.shutdown()
        async with Worker(real.client, task_queue=runs.queue, plugins=[perdure.Plugin(agents)]):
            assert (await run.texts())[2:] == ["late", "done"]


async def test_an_unknown_agent_is_told_when_the_worker_starts() -> None:
    agents = perdure.Agents()
    helper = perdure.agent_tool("nobody", description="Nobody.")
    agents.add("front", create_agent(model("x"), [helper]))
    with pytest.raises(UnknownAgent, match="names no agent of this worker; known: front"):
        perdure.Plugin(agents).configure_worker({})  # type: ignore[typeddict-item]


async def test_outside_a_run_the_tool_says_what_to_do() -> None:
    with pytest.raises(NotInRun, match="works inside a run only"):
        await perdure.agent_tool("billing", description="Bills.").ainvoke({"request": "x"})


def test_a_tool_without_a_description_is_refused() -> None:
    with pytest.raises(BadOption, match="tell the model what agent 'billing' is for"):
        perdure.agent_tool("billing", description="")
