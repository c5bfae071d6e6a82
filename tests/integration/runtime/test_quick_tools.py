"""A quick tool's first attempt is one event; what it does not bring goes the ordinary way."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.tools import ToolException, tool
from langgraph.types import interrupt
from temporalio.api.history.v1 import HistoryEvent
from temporalio.converter import DataConverter

import perdure
from integration.runtime.fakes import calls, chain, model
from integration.runtime.harness import Lab, Started
from perdure.client.payloads import decoder
from perdure.client.reading import read_timeline
from perdure.core import options
from perdure.core.declared import DECLARED
from perdure.errors import BadOption, ToolFailed

pytestmark = pytest.mark.timeout(60)
BRISK = perdure.Retry(initial=timedelta(milliseconds=20), maximum=timedelta(seconds=1), attempts=3)


def agent(fn: Callable[..., Any], *turns: AIMessage | str, **more: Any) -> perdure.Agents:
    """Make an agent with one quick tool."""
    quick = perdure.tool(fn, quick=True, **more)
    return apart(create_agent(model(*turns, "done"), [quick]))


def apart(graph: Any) -> perdure.Agents:
    """Register a graph whose nodes make all of its quick calls themselves."""
    agents = perdure.Agents(fuse=False)
    agents.add("graph", graph)
    return agents


async def markers(run: Started) -> list[HistoryEvent]:
    """List the events that stand for quick calls."""
    return [
        event
        for event in await run.events("MARKER_RECORDED")
        if event.marker_recorded_event_attributes.marker_name == "core_local_activity"
    ]


async def timeline(run: Started) -> Any:
    history = await run.handle.fetch_history()
    return read_timeline([history], decode=decoder(DataConverter.default))


def look(q: str) -> str:
    """Look something up."""
    return f"found {q}"


def turns(count: int) -> list[AIMessage]:
    return [calls("look", {"q": f"q{n}"}, turn=n) for n in range(1, count + 1)]


@pytest.mark.parametrize(("quick", "events"), [(True, 7), (False, 12)], ids=["quick", "ordinary"])
async def test_a_turn_takes_seven_events_with_a_quick_tool_and_else_twelve(
    lab: Lab, quick: bool, events: int
) -> None:
    counts: list[int] = []
    for length in (2, 3):
        DECLARED.clear()
        made = create_agent(model(*turns(length), "done"), [perdure.tool(look, quick=quick)])
        async with lab.worker(apart(made)) as runs:
            run = await runs.start("graph")
            await run.result()
            counts.append(len(await run.events()))
    assert counts[1] - counts[0] == events


async def test_the_model_reads_what_a_quick_tool_returned(lab: Lab) -> None:
    async with lab.worker(agent(look, *turns(2))) as runs:
        run = await runs.start("graph")
        assert await run.texts() == ["hello", "", "found q1", "", "found q2", "done"]


@pytest.mark.parametrize("quick", [True, False], ids=["quick", "ordinary"])
async def test_parallel_calls_of_a_reply_are_asked_for_in_one_step(lab: Lab, quick: bool) -> None:
    first = calls("look", *({"q": str(n)} for n in range(5)))
    made = create_agent(model(first, "done"), [perdure.tool(look, quick=quick)])
    async with lab.worker(apart(made)) as runs:
        run = await runs.start("graph")
        await run.result()
        if quick:
            steps = [
                event.marker_recorded_event_attributes.workflow_task_completed_event_id
                for event in await markers(run)
            ]
        else:
            steps = [call.task for call in await run.calls() if call.kind == "perdure.tool"]
        assert len(steps) == 5
        assert len(set(steps)) == 1


async def test_a_run_can_switch_quick_calls_off(lab: Lab) -> None:
    async with lab.worker(agent(look, *turns(1))) as runs:
        run = await runs.start("graph", options={"tools": {"look": {"quick": False}}})
        await run.result()
        assert [c.kind for c in await run.calls()] == [
            "perdure.model", "perdure.tool", "perdure.model",
        ]  # fmt: skip


async def test_a_run_cannot_make_a_tool_quick(lab: Lab) -> None:
    async with lab.worker(agent(look, *turns(1))) as runs:
        run = await runs.start("graph", options={"tools": {"look": {"quick": True}}})
        error = await run.failure()
        assert error.type == "bad_option"
        assert "can only switch it off" in str(error)


TRIES: Counter[str] = Counter()


@pytest.fixture(autouse=True)
def _count_anew() -> None:
    TRIES.clear()


def flaky(q: str) -> str:
    """Fail the first time."""
    TRIES[q] += 1
    if TRIES[q] == 1:
        raise ConnectionError("cut")
    return f"found {q} at attempt {TRIES[q]}"


async def test_a_passing_failure_is_tried_again_as_an_ordinary_call(lab: Lab) -> None:
    made = agent(flaky, calls("flaky", {"q": "x"}), retry=BRISK)
    async with lab.worker(made) as runs:
        run = await runs.start("graph")
        texts = await run.texts(skip=True)
        assert texts[2] == "found x at attempt 2"
        (again,) = [c for c in await run.calls() if c.kind == "perdure.tool"]
        assert again.at.retry_policy.maximum_attempts == 2
        assert again.input["tried"] == "quick-1"
        ((text, pause),) = await run.timers()
        assert text == "before the next attempt: tool: flaky(q='x')"
        assert pause == BRISK.initial


async def test_the_time_line_shows_both_attempts_as_one_call(lab: Lab) -> None:
    made = agent(flaky, calls("flaky", {"q": "x"}), retry=BRISK)
    async with lab.worker(made) as runs:
        run = await runs.start("graph")
        await run.result(skip=True)
        (call,) = [c for c in (await timeline(run)).calls if c.kind == "tool"]
        assert (call.name, call.attempts, call.outcome, call.quick) == ("flaky", 2, "ok", False)
        assert call.earlier is not None
        assert "cut" in call.earlier.message


class NoShelf(ValueError):
    """A class of the app."""


def wrong(q: str) -> str:
    """Fail for good."""
    TRIES[q] += 1
    raise NoShelf(f"no shelf {q}")


async def test_a_failure_for_good_ends_the_run_after_one_attempt(lab: Lab) -> None:
    async with lab.worker(agent(wrong, calls("wrong", {"q": "x"}))) as runs:
        run = await runs.start("graph")
        error = await run.failure()
        assert error.type == "tool_failed"
        assert "no shelf x" in str(error)
        line = await timeline(run)
        (call,) = [c for c in line.calls if c.kind == "tool"]
        assert (call.name, call.args, call.outcome) == ("wrong", {"q": "x"}, "failed")
    assert TRIES["x"] == 1


async def test_a_node_sees_the_class_that_a_quick_tool_raised(lab: Lab) -> None:
    quick = perdure.tool(wrong, quick=True)

    async def ask(state: dict[str, Any]) -> dict[str, Any]:
        try:
            await quick.ainvoke({"q": "x"})
        except NoShelf as error:
            return {"messages": [AIMessage(f"{isinstance(error, ToolFailed)}")]}
        return {}

    async with lab.worker(chain(ask)) as runs:
        run = await runs.start("graph")
        assert (await run.texts())[-1] == "True"


async def test_a_tool_handles_its_own_errors(lab: Lab) -> None:
    @tool
    def complain(q: str) -> str:
        """Complain."""
        raise ToolException(f"not {q}")

    complain.handle_tool_error = True
    quick = perdure.tool(complain, quick=True)
    made = create_agent(model(calls("complain", {"q": "x"}), "done"), [quick])
    async with lab.worker(apart(made)) as runs:
        run = await runs.start("graph")
        output = await run.result()
        said = output["messages"][2]
        assert isinstance(said, ToolMessage)
        assert (said.text, said.status) == ("not x", "error")


async def slow(q: str) -> str:
    """Take long the first time."""
    TRIES[q] += 1
    if TRIES[q] == 1:
        await asyncio.Event().wait()
    return f"found {q}"


async def test_a_tool_without_an_answer_in_time_goes_the_ordinary_way(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("perdure.workflow.quick.QUICK_TIMEOUT", timedelta(milliseconds=300))
    made = agent(slow, calls("slow", {"q": "x"}), calls("slow", {"q": "y"}, turn=2))
    TRIES["y"] = 1
    async with lab.worker(made) as runs:
        run = await runs.start("graph")
        assert (await run.texts())[2] == "found x"
        line = await timeline(run)
        first, second = [c for c in line.calls if c.kind == "tool"]
        assert first.attempts == 2
        assert first.earlier is not None
        assert first.earlier.code == "timed_out"
        assert (second.attempts, second.quick) == (1, False)
        assert await run.timers() == []


def much(size: int) -> str:
    """Return much."""
    TRIES[str(size)] += 1
    return "x" * size


async def test_a_large_result_goes_the_ordinary_way(lab: Lab) -> None:
    size = options.QUICK_RESULT + 1
    async with lab.worker(agent(much, calls("much", {"size": size}))) as runs:
        run = await runs.start("graph")
        assert len((await run.texts())[2]) == size
        (marker,) = await markers(run)
        assert marker.ByteSize() < 2000
        (call,) = [c for c in (await timeline(run)).calls if c.kind == "tool"]
        assert call.attempts == 2
    assert TRIES[str(size)] == 2


async def test_many_results_of_one_step_are_kept_below_what_a_message_carries(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("perdure.workflow.quick.QUICK_RESULTS", 3 * options.QUICK_RESULT)
    size = options.QUICK_RESULT - 1000
    quick = perdure.tool(much, quick=True)

    async def gather(state: dict[str, Any]) -> dict[str, Any]:
        found = await asyncio.gather(*(quick.ainvoke({"size": size - n}) for n in range(5)))
        return {"messages": [AIMessage(str(len(found)))]}

    async with lab.worker(chain(gather)) as runs:
        run = await runs.start("graph")
        assert (await run.texts())[-1] == "5"
        assert len(await run.calls()) == 2


async def test_a_quick_tool_may_ask_a_person(lab: Lab) -> None:
    def which(q: str) -> str:
        """Ask which."""
        return f"{q}: {interrupt('which?')}"

    async with lab.worker(agent(which, calls("which", {"q": "x"}))) as runs:
        run = await runs.start("graph")
        question = await run.question()
        await run.decide({"type": "respond", "by": "ann", "question": question["id"], "value": 7})
        assert (await run.texts())[2] == "x: 7"
        assert [c.kind for c in await run.calls()] == ["perdure.model"] * 2


async def test_the_time_line_shows_quick_calls_as_calls_of_tools(lab: Lab) -> None:
    async with lab.worker(agent(look, *turns(2))) as runs:
        run = await runs.start("graph")
        await run.result()
        line = await timeline(run)
        assert (line.model_calls, line.tool_calls) == (3, 2)
        first = next(c for c in line.calls if c.kind == "tool")
        assert (first.name, first.args, first.call_id) == ("look", {"q": "q1"}, "call-1.1")
        assert (first.outcome, first.attempts) == ("ok", 1)
        assert isinstance(first.result, dict)
        assert first.result["content"] == "found q1"
        assert first.summary == "tool: look(q='q1')"
        assert first.seconds is not None
        assert first.seconds < 2
        assert first.worker
        assert [c.kind for c in line.calls] == ["model", "tool", "model", "tool", "model"]


async def test_whether_a_call_is_quick_is_recorded_with_the_reply(lab: Lab) -> None:
    """New code that is not quick any more goes on with a run that made quick calls."""

    def made(*, quick: bool) -> perdure.Agents:
        DECLARED.clear()
        tools = [perdure.tool(look, quick=quick), perdure.tool(which)]
        said = [*turns(1), calls("which", {"q": "x"}, turn=2), calls("look", {"q": "z"}, turn=3)]
        return apart(create_agent(model(*said, "done"), tools))

    def which(q: str) -> str:
        """Ask which."""
        return f"{q}: {interrupt('which?')}"

    queue = uuid4().hex
    lab = replace(lab, cache=0)  # the test server holds a task for a worker that is gone
    async with lab.worker(made(quick=True), queue=queue) as runs:
        run = await runs.start("graph")
        question = await run.question()
        runs.started.clear()
    agents = made(quick=False)
    async with lab.worker(agents, queue=queue) as runs:
        again = Started(handle=run.handle, agents=agents, environment=lab.environment)
        runs.started.append(again)
        await again.decide({"type": "respond", "by": "a", "question": question["id"], "value": 1})
        assert len(await again.texts()) == 8
        assert len(await markers(again)) == 1


@pytest.mark.parametrize(
    "more",
    [
        {"effect": True},
        {"idempotent": False},
        {"approve": perdure.Approve()},
        {"where": "workflow"},
    ],
    ids=lambda o: next(iter(o)),
)
def test_a_quick_tool_is_neither_an_effect_nor_asked_for(more: dict[str, Any]) -> None:
    with pytest.raises(BadOption, match=f"quick=True and {next(iter(more))}="):
        perdure.tool(look, quick=True, **more)
