"""A call that fails for now is made again; one that fails for good ends the run."""

from datetime import timedelta
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.tools import ToolException

import perdure
from integration.runtime.fakes import Scripted, calls, chain, model, sole
from integration.runtime.harness import Lab, Started

pytestmark = pytest.mark.timeout(60)


class Flaky:
    """Fail so many times, then succeed."""

    def __init__(self, failures: int, error: Exception | None = None) -> None:
        self.left = failures
        self.tried = 0
        self.error = error or ConnectionError("the line is down")

    def __call__(self) -> str:
        self.tried += 1
        if self.left:
            self.left -= 1
            raise self.error
        return f"after {self.tried} attempts"


def calling(flaky: Flaky, **options: Any) -> perdure.Agents:
    """Make a graph of one node that calls a flaky tool."""

    def reach() -> str:
        """Reach the outside."""
        return flaky()

    tool = perdure.tool(reach, **options)

    async def node(state: dict[str, Any]) -> dict[str, Any]:
        return {"messages": [HumanMessage(await tool.ainvoke({}))]}

    return chain(node)


async def attempts(run: Started) -> int:
    (started,) = await run.events("ACTIVITY_TASK_STARTED")
    return started.activity_task_started_event_attributes.attempt


async def test_a_tool_is_tried_again_until_it_works(lab: Lab) -> None:
    async with lab.worker(calling(Flaky(3))) as runs:
        run = await runs.start("graph")
        assert (await run.texts(skip=True))[-1] == "after 4 attempts"
        assert await attempts(run) == 4


async def test_attempts_are_spread_by_a_growing_backoff(lab: Lab) -> None:
    async with lab.worker(calling(Flaky(3))) as runs:
        run = await runs.start("graph")
        await run.result(skip=True)
        events = await run.events("ACTIVITY_TASK_SCHEDULED", "ACTIVITY_TASK_COMPLETED")
        scheduled, completed = [event.event_time.ToDatetime() for event in events]
        waited = completed - scheduled
        assert timedelta(seconds=2 + 4 + 8) <= waited < timedelta(seconds=25)


async def test_a_tool_that_never_works_fails_the_run_after_its_attempts(lab: Lab) -> None:
    flaky = Flaky(99)
    async with lab.worker(calling(flaky)) as runs:
        run = await runs.start("graph")
        failure = await run.failure(skip=True)
        assert failure.type == "tool_failed"
        assert "the line is down" in str(failure)
        assert flaky.tried == perdure.TOOL_RETRY.attempts


async def test_a_mistake_in_a_tool_is_not_tried_again(lab: Lab) -> None:
    flaky = Flaky(99, KeyError("customer"))
    async with lab.worker(calling(flaky)) as runs:
        run = await runs.start("graph")
        failure = await run.failure()
        assert failure.type == "tool_failed"
        assert "KeyError" in str(failure)
        assert flaky.tried == 1


async def test_a_model_is_tried_again_until_it_works(lab: Lab) -> None:
    flaky = Flaky(2)

    def say(_: list[BaseMessage]) -> AIMessage:
        return AIMessage(flaky())

    agent = create_agent(perdure.model(Scripted(say=say), name="m"), [])
    async with lab.worker(sole(agent)) as runs:
        run = await runs.start("graph")
        assert (await run.texts(skip=True))[-1] == "after 3 attempts"
        assert await attempts(run) == 3


async def test_a_model_that_never_works_fails_the_run_after_its_attempts(lab: Lab) -> None:
    flaky = Flaky(99)

    def say(_: list[BaseMessage]) -> AIMessage:
        return AIMessage(flaky())

    agent = create_agent(perdure.model(Scripted(say=say), name="m"), [])
    async with lab.worker(sole(agent)) as runs:
        run = await runs.start("graph")
        failure = await run.failure(skip=True)
        assert failure.type == "model_failed"
        assert "model 'm'" in str(failure)
        assert "the line is down" in str(failure)
        assert flaky.tried == perdure.LLM_RETRY.attempts


async def test_a_tool_exception_fails_the_run_with_the_words_of_the_tool(lab: Lab) -> None:
    async with lab.worker(calling(Flaky(99, ToolException("no such customer")))) as runs:
        run = await runs.start("graph")
        failure = await run.failure()
        assert (failure.type, "no such customer" in str(failure)) == ("tool_failed", True)


async def test_a_tool_that_hands_its_errors_to_the_model_goes_on(lab: Lab) -> None:
    from langchain_core.tools import tool as make_tool  # noqa: PLC0415

    @make_tool
    def find(customer: str) -> str:
        """Find a customer."""
        raise ToolException(f"no customer {customer}")

    find.handle_tool_error = True
    agent = create_agent(model(calls("find", {"customer": "bob"}), "sorry"), [perdure.tool(find)])
    async with lab.worker(sole(agent)) as runs:
        run = await runs.start("graph")
        assert (await run.texts())[2:] == ["no customer bob", "sorry"]
