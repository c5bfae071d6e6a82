"""People, clients and faults of runs that go on in new executions."""

import asyncio
from base64 import b85encode
from collections import Counter
from datetime import timedelta
from hashlib import sha512
from typing import Any

from langchain.agents import create_agent
from langchain_core.messages import AIMessage, RemoveMessage
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import interrupt
from temporalio.client import WorkflowExecutionStatus

import perdure
from integration.runtime.fakes import calls, model, sole
from integration.runtime.harness import Lab, Started, eventually
from integration.runtime.test_continuing import SOON, Counted, looking, looping
from perdure.client import Client
from perdure.client.following import follow
from perdure.client.timeline import Timeline

NARROW = {"events": 12, "bytes": 10_000_000}


async def executions(run: Started, count: int) -> None:
    """Wait until a run has begun so many executions."""

    async def look() -> bool | None:
        return True if len(await run.histories()) >= count else None

    await eventually(look, what=f"{count} executions")


async def crowd(run: Started, count: int) -> None:
    """Make a waiting run's history longer: each refused signal is an event and a task."""
    for _ in range(count):
        await run.signal({"type": "approve", "question": "no such question"})


def asking(*, within: timedelta = timedelta(hours=24)) -> Any:
    """Make a graph that asks two people at once, in two nodes."""

    def ask(name: str) -> Any:
        def node(state: MessagesState) -> Any:
            answer = perdure.ask(name, within=within, allowed=("respond",), on_deadline="fail")
            return {"messages": [AIMessage(f"{name}: {answer.value}")]}

        return node

    graph = StateGraph(MessagesState)
    for name in ("a", "b"):
        graph.add_node(name, ask(name))
        graph.add_edge(START, name)
    return graph.compile()


async def test_open_questions_go_along_as_they_are(real: Lab):
    async with real.worker(sole(asking())) as runs:
        run = await runs.start("graph", continues=NARROW)
        before = await run.questions(2)
        await crowd(run, 12)
        await executions(run, 2)
        after = await run.questions(2)
        assert after == before
        for question in after:
            await run.decide({"type": "respond", "value": "yes", "question": question["id"]})
        assert sorted((await run.texts())[1:]) == ["a: yes", "b: yes"]


async def test_an_answer_that_was_given_before_stays(real: Lab):
    async with real.worker(sole(asking())) as runs:
        run = await runs.start("graph", continues=NARROW)
        first, second = await run.questions(2)
        await run.decide({"type": "respond", "value": "early", "question": first["id"]})
        await crowd(run, 12)
        await executions(run, 2)
        assert [q["id"] for q in await run.questions(1)] == [second["id"]]
        assert (
            "decided before"
            in (
                await run.refused({"type": "respond", "value": "x", "question": first["id"]})
            ).message
        )
        await run.decide({"type": "respond", "value": "late", "question": second["id"]})
        texts = (await run.texts())[1:]
        assert sorted(text.partition(": ")[2] for text in texts) == ["early", "late"]


async def test_signals_in_between_are_not_lost(real: Lab):
    async with real.worker(sole(asking())) as runs:
        run = await runs.start("graph", continues=NARROW)
        first, second = await run.questions(2)
        await asyncio.gather(
            crowd(run, 12),
            run.signal({"type": "respond", "value": "1", "question": first["id"]}),
        )
        await run.signal({"type": "respond", "value": "2", "question": second["id"]})
        assert sorted(t[-1] for t in (await run.texts())[1:]) == ["1", "2"]


async def test_a_tool_that_waits_for_a_person_is_asked_for_once(real: Lab):
    done = Counted()
    terms = perdure.Approve(within=timedelta(hours=1), reminders=(timedelta(milliseconds=200),))
    pay = looking(done, "pay", effect=True, approve=terms)
    asks = create_agent(model(calls("pay", {"q": "1"}), "paid", name="asker"), [pay])
    graph = StateGraph(MessagesState)
    graph.add_node("asks", asks)
    graph.add_node("loops", looping(done, 8))
    graph.add_edge(START, "asks").add_edge(START, "loops")
    async with real.worker(sole(graph.compile())) as runs:
        run = await runs.start("graph", continues=SOON)
        before = await run.question()
        await executions(run, 3)

        async def looped() -> bool | None:
            return True if "m 9" in done else None

        await eventually(looped, what="the end of the loop")
        after = await run.question()
        same = ("id", "asked_at", "deadline")
        assert [after[name] for name in same] == [before[name] for name in same]
        await run.decide({"type": "approve"})
        assert "paid" in await run.texts()
        assert done.tally == Counter(set(done))
        assert done.tally["pay 1"] == 1


async def test_a_deadline_passes_where_it_was_set(real: Lab):
    async with real.worker(sole(asking(within=timedelta(seconds=3)))) as runs:
        run = await runs.start("graph", continues=NARROW)
        before = await run.questions(2)
        await crowd(run, 12)
        await executions(run, 2)
        failure = await run.failure()
        assert before[0]["deadline"][:19] in failure.message


async def test_the_client_follows_a_run_through_its_executions(real: Lab):
    done = Counted()
    graph = StateGraph(MessagesState)
    graph.add_node("agent", looping(done, 8))
    graph.add_node("ask", lambda state: {"messages": [AIMessage(interrupt("well?"))]})
    graph.add_edge(START, "agent").add_edge("agent", "ask")
    async with real.worker(sole(graph.compile())) as runs:
        client = Client(runs.client)
        run = await runs.start("graph", continues=SOON)
        lines: list[Timeline] = []

        async def watch() -> None:
            lines.extend([line async for line in follow(client, run.id)])

        watching = asyncio.create_task(watch())
        question = await run.question()
        status = await client.status(run.id)
        begun = (await run.histories())[0].events[0].event_time.ToDatetime()
        assert status.started.replace(tzinfo=None) == begun
        assert status.model_calls == 9
        states = await client.state_history(run.id)
        assert len(states) > 2
        fork = await client.fork(run.id, from_step=states[1].step)
        assert (await client.status(fork.run_id)).agent == "graph"
        await runs.client.get_workflow_handle(fork.run_id).terminate()
        await client.decide(
            run.id, {"type": "respond", "value": "fine", "question": question["id"]}
        )
        output: Any = await client.result(run.id)
        assert output["messages"][-1]["content"] == "fine"
        line = await client.timeline(run.id)
        assert (line.model_calls, line.tool_calls, line.whole) == (9, 8, True)
        assert line.executions == len(await run.histories()) > 2
        assert [a.outcome for a in line.questions] == ["decided"]
        assert line.input is not None
        continued = [e for e in line.to_json()["entries"] if e["type"] == "continued"]
        assert len(continued) == line.executions - 1
        await watching
        assert lines[-1].closed is not None


async def test_a_cancel_ends_the_run_wherever_it_is(real: Lab):
    done = Counted()
    async with real.worker(sole(looping(done, 100))) as runs:
        run = await runs.start("graph", continues=NARROW)
        await executions(run, 3)
        await Client(runs.client).cancel(run.id)

        async def ended() -> bool | None:
            status = (await runs.client.get_workflow_handle(run.id).describe()).status
            return True if status == WorkflowExecutionStatus.CANCELED else None

        await eventually(ended, what="the end of the run")
        runs.started.clear()


def incompressible(size: int) -> str:
    """Make a text that cannot be made smaller."""
    parts = [sha512(str(number).encode()).digest() for number in range(size // 80)]
    return b85encode(b"".join(parts)).decode()


async def test_a_carry_that_is_too_large_leaves_the_run_where_it_is(real: Lab):
    done = Counted()
    graph = StateGraph(MessagesState)
    text = incompressible(1_800_000)
    graph.add_node("grow", lambda state: {"messages": [AIMessage(text, id="large")]})
    graph.add_node("small", lambda state: {"messages": [RemoveMessage(id="large")]})
    graph.add_node("ask", lambda state: {"messages": [AIMessage(interrupt("well?"))]})
    graph.add_node("loops", looping(done, 6))
    graph.add_edge(START, "grow").add_edge("grow", "ask").add_edge("ask", "small")
    graph.add_edge("small", "loops")
    async with real.worker(sole(graph.compile())) as runs:
        run = await runs.start("graph", continues=NARROW)
        question = await run.question()
        await crowd(run, 16)
        assert len(await run.histories()) == 1
        await run.decide({"type": "respond", "value": "on", "question": question["id"]})
        assert (await run.texts())[-1] == "m is done"
        assert len(await run.histories()) > 1
