"""A call finds what it refers to whatever happens to the workers meanwhile."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langgraph.graph import START, MessagesState, StateGraph
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest

import perdure
from integration.runtime.fakes import Scripted, chain, sole
from integration.runtime.harness import Lab, Runs, eventually
from integration.runtime.witness import LONG, Witness, deciding, own_resolvers, working
from perdure.activity import resolver
from perdure.activity.resolver import Resolver
from perdure.client.runs import Client
from perdure.testing.replay import assert_replays

pytestmark = pytest.mark.timeout(120)
TALK = {"messages": [{"role": "user", "content": f"{n} {LONG}"} for n in range(5)]}
"""Long enough for the first call to refer to it."""


@pytest.fixture(autouse=True)
def resolvers(monkeypatch: pytest.MonkeyPatch) -> list[Resolver]:
    return own_resolvers(monkeypatch, capacity=1)


def talker(witness: Witness) -> perdure.Agents:
    return sole(create_agent(perdure.model(witness.model(), name="m"), []))


async def test_a_call_waits_for_somebody_who_answers_for_its_run(
    real: Lab, resolvers: list[Resolver]
) -> None:
    queue, witness = f"queue-{uuid4().hex[:12]}", Witness(turns=0)
    agents = talker(witness)
    decider = deciding(real, queue, agents)
    runs = Runs(
        client=real.client, agents=agents, queue=queue, worker=decider, environment=real.environment
    )
    async with decider:
        run = await runs.start("graph", TALK)

        async def scheduled() -> bool | None:
            return bool(await run.calls()) or None

        await eventually(scheduled, what="a call")
    async with await working(real, queue, talker(witness)):

        async def asked() -> bool | None:
            return resolvers[-1].asked > 0 or None

        await eventually(asked, what="a question")
        assert witness.seen == []
        async with deciding(real, queue, agents):
            assert len(await run.texts()) == 6
    assert [message.text for message in witness.seen[0]] == [m["content"] for m in TALK["messages"]]
    await assert_replays(agents, await run.handle.fetch_history())


async def test_a_call_in_a_newer_form_is_left_to_a_newer_worker(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolver, "VERSION", 0)
    async with lab.worker(talker(Witness(turns=0))) as runs:
        run = await runs.start("graph", TALK)

        async def refused() -> bool | None:
            pending = (await run.handle.describe()).raw_description.pending_activities
            return any("newer Perdure" in one.last_failure.message for one in pending) or None

        await eventually(refused, what="a refusal")
        monkeypatch.setattr(resolver, "VERSION", 1)
        assert len(await run.texts(skip=True)) == 6


async def test_a_call_that_is_tried_again_after_days_finds_what_it_refers_to(
    lab: Lab, resolvers: list[Resolver]
) -> None:
    tries: list[str] = []

    def fetch(text: str) -> str:
        """Fail twice."""
        tries.append(text)
        if len(tries) < 3:
            raise ConnectionError("away")
        return text

    retry = perdure.Retry(initial=timedelta(hours=9), maximum=timedelta(hours=40), attempts=5)
    tool = perdure.tool(fetch, retry=retry)

    async def look(state: dict[str, Any]) -> Any:
        text = state["messages"][0].text
        return {"messages": [HumanMessage(await tool.ainvoke({"text": text}))]}

    async with lab.worker(chain(look)) as runs:
        run = await runs.start("graph", TALK)
        assert len(await run.result(skip=True)) > 0
    assert tries == [TALK["messages"][0]["content"]] * 3
    assert sum(one.asked for one in resolvers) >= 3


async def test_a_call_after_a_reset_asks_the_new_execution(real: Lab) -> None:
    witness = Witness(turns=3)
    tool = perdure.tool(lookup)
    asked = perdure.model(Scripted(say=witness.say), name="m")
    async with real.worker(sole(create_agent(asked, [tool]))) as runs:
        witness.tool = "lookup"
        run = await runs.start("graph", TALK)
        before = await run.texts()
        done = await run.events("WORKFLOW_TASK_COMPLETED")
        witness.said = 1
        await runs.client.workflow_service.reset_workflow_execution(
            ResetWorkflowExecutionRequest(
                namespace=runs.client.namespace,
                workflow_execution=WorkflowExecution(workflow_id=run.id),
                reason="again",
                workflow_task_finish_event_id=done[2].event_id,
                request_id=uuid4().hex,
            )
        )
        again = type(run)(handle=runs.client.get_workflow_handle(run.id), agents=runs.agents)
        assert await again.texts() == before
        runs.started[:] = [again]


def lookup() -> str:
    """Look something up."""
    return "found " + LONG


async def test_what_a_cancelled_call_would_have_sent_is_sent_by_the_next_one(lab: Lab) -> None:
    witness = Witness(turns=0)
    model = perdure.model(witness.model(), name="m")

    async def think(state: MessagesState) -> Any:
        said: list[BaseMessage] = [HumanMessage(f"{n} {LONG}", id=f"h{n}") for n in range(5)]
        first = asyncio.ensure_future(model.ainvoke(said))
        await asyncio.sleep(0)
        while not first.done() and not first.cancelled():
            first.cancel()
            await asyncio.sleep(0)
        reply = await model.ainvoke(said)
        return {"messages": [*said, AIMessage(reply.content)]}

    graph = StateGraph(MessagesState)
    graph.add_node("think", think)
    graph.add_edge(START, "think")
    async with lab.worker(sole(graph)) as runs:
        run = await runs.start("graph", refer=True)
        await run.handle.result()
        client = Client(runs.client)
        output: Any = await client.result(run.id)
        assert len(output["messages"]) == 7
        assert [call.missing for call in await client.raw_calls(run.id)] == [()]


async def test_a_thread_is_saved_and_read_again_by_reference(lab: Lab, tmp_path: Path) -> None:
    witness = Witness(turns=0)
    asked = perdure.model(witness.model(), name="m")
    agents = perdure.Agents(threads=f"sqlite:///{tmp_path / 'threads.sqlite'}")
    agents.add("graph", create_agent(asked, []))
    async with lab.worker(agents) as runs:
        first = await runs.start("graph", TALK, thread="t")
        await first.result()
        second = await runs.start("graph", TALK, thread="t")
        assert len(await second.texts()) == 12
    assert [len(one) for one in witness.seen] == [5, 11]
