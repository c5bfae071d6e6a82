"""Threads, streams, families and changing workers of runs that go on in new executions."""

import operator
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, TypedDict

from langchain.agents import create_agent
from langchain_core.messages import AIMessage, BaseMessage
from langgraph.graph import START, StateGraph
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import ResetReapplyType
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest

import perdure
from integration.runtime.fakes import Scripted, calls, model, sole
from integration.runtime.harness import Lab
from integration.runtime.test_continuing import SOON, Counted, looking, looping
from integration.runtime.test_continuing_people import executions
from perdure.client import Client, Part
from perdure.core.continuing import Continues
from perdure.storage.sinks import MemorySink


class Log(TypedDict):
    log: Annotated[list[Any], operator.add]


def counting(done: Counted, steps: int) -> Any:
    """Make a graph that calls a tool in each of so many steps."""
    tool = looking(done)

    async def step(state: Log) -> Any:
        return {"log": [await tool.ainvoke({"q": str(len(state["log"]))})]}

    graph = StateGraph(Log)
    graph.add_node("step", step)
    graph.add_edge(START, "step")
    graph.add_conditional_edges(
        "step", lambda state: "__end__" if len(state["log"]) % steps == 0 else "step"
    )
    return graph


async def test_a_run_keeps_its_turn_on_its_thread(real: Lab, tmp_path: Path):
    done = Counted()
    agents = perdure.Agents(threads=f"sqlite:///{tmp_path / 'threads.sqlite'}")
    agents.add("log", counting(done, 15))
    async with real.worker(agents) as runs:
        client = Client(runs.client)
        first, second = [
            await client.start(
                "log", {"log": []}, thread="t", on_busy="queue", task_queue=runs.queue
            )
            for _ in range(2)
        ]
        assert len((await first.result())["log"]) == 15  # type: ignore[index,arg-type,call-overload]
        assert len((await second.result())["log"]) == 30  # type: ignore[index,arg-type,call-overload]
        short = await runs.start(
            "log", {"log": []}, thread="u", continues={"events": 20, "bytes": 10**7}
        )
        assert len((await short.result())["log"]) == 15
        assert len(await short.histories()) > 2
        again = await runs.start("log", {"log": []}, thread="u")
        assert len((await again.result())["log"]) == 30


async def test_a_thread_is_held_through_all_executions(real: Lab, tmp_path: Path, monkeypatch: Any):
    done = Counted()
    agents = perdure.Agents(threads=f"sqlite:///{tmp_path / 'threads.sqlite'}")
    agents.add("log", counting(done, 15))
    monkeypatch.setattr("perdure.client.runs.Continues", lambda: Continues(events=20))
    async with real.worker(agents) as runs:
        client = Client(runs.client)
        first, second = [
            await client.start(
                "log", {"log": []}, thread="t", on_busy="queue", task_queue=runs.queue
            )
            for _ in range(2)
        ]
        assert [len((await run.result())["log"]) for run in (first, second)] == [15, 30]  # type: ignore[index,arg-type,call-overload]
        assert (await client.timeline(first.run_id)).executions > 2


async def test_a_stream_goes_on_without_a_gap_or_a_double(real: Lab):
    sink = MemorySink()
    done = Counted()
    modes = ["values", "updates", "messages"]
    seen: list[list[Any]] = []
    async with real.worker(sole(looping(done, 8)), sink=sink) as runs:
        client = Client(runs.client, sink=sink)
        for more in ({}, {"continues": SOON}):
            run = await runs.start("graph", stream=modes, **more)
            parts = [p async for p in client.stream(run.id) if isinstance(p, Part)]
            seen.append([(p.mode, p.text or _shape(p.data)) for p in parts])
            assert [p.seq for p in parts] == sorted(p.seq for p in parts)
        assert len(await run.histories()) > 2
    assert seen[0] == seen[1]


def _shape(data: Any) -> Any:
    if isinstance(data, dict) and "messages" in data:
        return len(data["messages"])
    return sorted(data) if isinstance(data, dict) else None


async def test_a_sub_agent_goes_on_and_its_parent_still_asks_for_it(real: Lab):
    done = Counted()
    terms = perdure.Approve(within=timedelta(hours=1))
    pay = looking(done, "pay", effect=True, approve=terms)

    def say(messages: list[BaseMessage]) -> AIMessage:
        number = sum(isinstance(m, AIMessage) for m in messages) + 1
        done.append(f"b {number}")
        name = "pay" if number == 6 else "look"
        return AIMessage("paid") if number > 8 else calls(name, {"q": str(number)}, turn=number)

    child = create_agent(perdure.model(Scripted(say=say), name="b"), [pay, looking(done)], name="b")
    helper = perdure.agent_tool("billing", description="Knows about bills.")
    front = create_agent(
        model(calls("billing", {"request": "pay"}), "done", name="f"), [helper], name="front"
    )
    agents = perdure.Agents()
    agents.add("billing", child)
    agents.add("front", front)
    async with real.worker(agents) as runs:
        run = await runs.start("front", continues=SOON)
        question = await run.question()
        await run.decide({"type": "approve", "question": question["id"]})
        assert (await run.texts())[-1] == "done"
        assert done.tally == Counter(set(done))
        client = Client(runs.client)
        line = await client.timeline(run.id)
        nested = await client.timeline(str(next(c.run for c in line.calls if c.run)))
        assert nested.executions > 1


async def test_another_worker_goes_on_where_one_stopped(real: Lab):
    done = Counted()
    agents = sole(looping(done, 12))
    queue = "continuing-workers"
    async with real.worker(agents, queue=queue) as runs:
        run = await runs.start("graph", continues={"events": 20, "bytes": 10**7})
        await executions(run, 3)
        runs.started.clear()
    async with real.worker(agents, queue=queue) as runs:
        runs.started.append(run)
        assert (await run.texts())[-1] == "m is done"
        assert done.tally == Counter(set(done))


async def test_a_reset_of_an_execution_goes_on_from_there(real: Lab):
    done = Counted()
    async with real.worker(sole(looping(done, 8))) as runs:
        run = await runs.start("graph", continues=SOON)
        texts = await run.texts()
        last = (await run.histories())[-1]
        tasks = [e for e in last.events if e.HasField("workflow_task_completed_event_attributes")]
        answer = await runs.client.workflow_service.reset_workflow_execution(
            ResetWorkflowExecutionRequest(
                namespace=runs.client.namespace,
                workflow_execution=WorkflowExecution(workflow_id=run.id, run_id=last.run_id),
                workflow_task_finish_event_id=tasks[0].event_id,
                request_id="again",
                reason="try again",
                reset_reapply_type=ResetReapplyType.RESET_REAPPLY_TYPE_NONE,
            )
        )
        again = runs.client.get_workflow_handle(run.id, run_id=answer.run_id)
        output: Any = runs.agents.codec.decode(await again.result())
        assert [m.text for m in output["messages"]] == texts
        runs.started.clear()


async def test_a_carry_that_nobody_knows_fails_the_run(real: Lab):
    async with real.worker(sole(looping(Counted(), 1))) as runs:
        run = await runs.start("graph", continues=SOON, carry={"version": 99})
        failure = await run.failure()
        assert (failure.type, "Update this one" in failure.message) == ("bad_input", True)
