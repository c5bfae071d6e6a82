"""A workflow of one's own may run agents, ask people and call models; it stays sandboxed."""

import asyncio
from typing import Any

import pytest
from langchain.agents import create_agent
from langgraph.types import Command
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError

import perdure
import perdure.workflow
from integration.runtime.fakes import Scripted, chain, searching, sole
from integration.runtime.handwritten import WORKFLOWS, Direct, Errand, Straight
from integration.runtime.harness import WITHIN, Lab
from perdure.errors import NotInRun

pytestmark = pytest.mark.timeout(60)
State = dict[str, Any]


async def test_it_runs_an_agent_by_name(lab: Lab) -> None:
    async with lab.worker(searching("hats"), workflows=WORKFLOWS) as runs:
        run = await runs.start_raw("searcher", workflow=Straight.run)
        assert await run.result() == "done"
        kinds = [call.kind for call in await run.calls()]
        assert kinds == ["perdure.model", "perdure.tool", "perdure.model"]


async def test_it_asks_a_person_and_goes_on(lab: Lab) -> None:
    async with lab.worker(searching("hats"), workflows=WORKFLOWS) as runs:
        run = await runs.start_raw("searcher", workflow=Errand.run)
        asked = await run.question()
        assert (asked["title"], asked["args"]) == ("go?", {"to": "searcher"})
        await run.decide({"type": "approve", "by": "ann"})
        assert await run.result() == "done"


async def test_its_question_expires(lab: Lab) -> None:
    async with lab.worker(searching("hats"), workflows=WORKFLOWS) as runs:
        run = await runs.start_raw("searcher", workflow=Errand.run)
        assert await run.result(skip=True) == "expire"


async def test_its_doors_refuse_what_does_not_fit(lab: Lab) -> None:
    async with lab.worker(searching("hats"), workflows=WORKFLOWS) as runs:
        run = await runs.start_raw("searcher", workflow=Errand.run)
        await run.question()
        assert (await run.refused({"type": "perhaps"})).type == "bad_decision"
        assert len(await run.questions()) == 1


async def test_its_status_has_the_name_that_it_gave(lab: Lab) -> None:
    async with lab.worker(searching("hats"), workflows=WORKFLOWS) as runs:
        run = await runs.start_raw("searcher", workflow=Errand.run)
        await run.question()
        status = await run.query("status")
        assert (status["agent"], status["status"]) == ("errand", "waiting")


async def test_it_calls_a_model_without_a_graph(lab: Lab) -> None:
    async with lab.worker(perdure.Agents(), workflows=WORKFLOWS) as runs:
        run = await runs.start_raw(workflow=Direct.run)
        assert await run.result() == "from the model"
        assert [call.summary for call in await run.calls()] == ["model: direct · turn 1"]


def boom(state: State) -> None:
    raise KeyError("no such customer")


def leave(state: State) -> None:
    raise SystemExit(3)


def upwards(state: State) -> Command[Any]:
    return Command(graph=Command.PARENT, goto="elsewhere")


@pytest.mark.parametrize("node", [boom, leave, upwards])
async def test_a_graph_that_fails_fails_the_run_and_not_its_task(lab: Lab, node: Any) -> None:
    async with lab.worker(chain(node), workflows=WORKFLOWS) as runs:
        run = await runs.start_raw("graph", workflow=Straight.run)
        assert (await run.failure()).type == "node_failed"


async def test_an_unknown_agent_fails_the_run_and_not_its_task(lab: Lab) -> None:
    async with lab.worker(perdure.Agents(), workflows=WORKFLOWS) as runs:
        run = await runs.start_raw("nobody", workflow=Straight.run)
        failure = await run.failure()
        assert failure.type == "unknown_agent"


async def test_it_can_be_cancelled_while_a_model_is_asked(real: Lab) -> None:
    asked = asyncio.Event()

    class Slow(Scripted):
        async def _agenerate(self, *_: Any, **__: Any) -> Any:
            asked.set()
            await asyncio.get_running_loop().create_future()

    agents = sole(create_agent(perdure.model(Slow(say=lambda _: None), name="slow"), []))
    async with real.worker(agents, workflows=WORKFLOWS) as runs:
        run = await runs.start_raw("graph", workflow=Straight.run)
        async with asyncio.timeout(WITHIN.total_seconds()):
            await asked.wait()
        await run.handle.cancel()
        with pytest.raises(WorkflowFailureError):
            await run.result()
        assert await run.status() == WorkflowExecutionStatus.CANCELED


async def test_its_parts_say_that_they_need_a_workflow() -> None:
    with pytest.raises(NotInRun, match="works inside a workflow only"):
        await perdure.workflow.run_graph("searcher", {})
    with pytest.raises(NotInRun, match="works inside a workflow only"):
        await perdure.workflow.ask("go?")
