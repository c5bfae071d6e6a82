"""A run goes on with what the last run on its thread left, in LangGraph's own format."""

import asyncio
import operator
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import START, StateGraph
from langgraph.types import Command, interrupt
from temporalio.client import WorkflowFailureError
from typing_extensions import TypedDict

import perdure
from integration.runtime.harness import Lab, Runs, Started, eventually

pytestmark = pytest.mark.timeout(90)


class Log(TypedDict):
    log: Annotated[list[Any], operator.add]


def note(state: Log) -> Log:
    return {"log": [len(state["log"])]}


def ask(state: Log) -> Log:
    return {"log": [interrupt("colour?")]}


def fail(state: Log) -> Log:
    raise RuntimeError("broken")


def graph(*nodes: Callable[..., Any]) -> Any:
    made = StateGraph(Log)
    made.add_sequence(list(nodes))
    return made.add_edge(START, nodes[0].__name__)


def agents(file: Path, *nodes: Callable[..., Any]) -> perdure.Agents:
    made = perdure.Agents(threads=f"sqlite:///{file}")
    made.add("log", graph(*nodes))
    return made


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "threads.sqlite"


async def run(runs: Runs, value: Any, **more: Any) -> Any:
    """Start a run on thread "t" without a line, and wait for it."""
    started = await runs.start("log", value, thread="t", **more)
    return await started.result()


async def plainly(file: Path, look: Callable[[Any], Awaitable[Any]], *nodes: Any) -> Any:
    """Look at the thread with plain LangGraph."""
    async with AsyncSqliteSaver.from_conn_string(str(file)) as saver:
        return await look(graph(*nodes).compile(checkpointer=saver))


CONFIG: Any = {"configurable": {"thread_id": "t"}}


async def test_the_next_run_starts_from_the_state_that_the_last_one_left(
    real: Lab, file: Path
) -> None:
    async with real.worker(agents(file, note)) as runs:
        assert await run(runs, {"log": ["a"]}) == {"log": ["a", 1]}
        assert await run(runs, {"log": ["b"]}) == {"log": ["a", 1, "b", 3]}
        assert await run(runs, {"log": ["c"]}) == {"log": ["a", 1, "b", 3, "c", 5]}


async def test_another_thread_starts_empty(real: Lab, file: Path) -> None:
    async with real.worker(agents(file, note)) as runs:
        await run(runs, {"log": ["a"]})
        other = await runs.start("log", {"log": ["b"]}, thread="u")
        assert await other.result() == {"log": ["b", 1]}


@dataclass
class Point:
    x: int


class Places(TypedDict, total=False):
    point: Point
    seen: str


def place(state: Places) -> Places:
    held = state.get("point")
    return {"point": Point(1), "seen": type(held).__name__}


async def test_types_that_the_state_names_come_back_as_themselves(real: Lab, file: Path) -> None:
    known = perdure.Agents(threads=f"sqlite:///{file}")
    known.add("log", StateGraph(Places).add_node(place).add_edge(START, "place"))
    async with real.worker(known) as runs:
        assert (await run(runs, {}))["seen"] == "NoneType"
        assert (await run(runs, {}))["seen"] == "Point"


async def test_plain_langgraph_reads_the_thread(real: Lab, file: Path) -> None:
    async with real.worker(agents(file, note)) as runs:
        await run(runs, {"log": ["a"]})
    state = await plainly(file, lambda g: g.aget_state(CONFIG), note)
    assert (state.values, state.next) == ({"log": ["a", 1]}, ())


async def test_plain_langgraph_goes_on_with_the_thread(real: Lab, file: Path) -> None:
    async with real.worker(agents(file, note)) as runs:
        await run(runs, {"log": ["a"]})
        output = await plainly(file, lambda g: g.ainvoke({"log": ["b"]}, CONFIG), note)
        assert output == {"log": ["a", 1, "b", 3]}
        assert await run(runs, {"log": ["c"]}) == {"log": ["a", 1, "b", 3, "c", 5]}


async def test_a_thread_that_plain_langgraph_left_in_an_interrupt_goes_on(
    real: Lab, file: Path
) -> None:
    await plainly(file, lambda g: g.ainvoke({"log": ["a"]}, CONFIG), note, ask, note_again)
    async with real.worker(agents(file, note, ask, note_again)) as runs:
        output = await run(runs, {"$": "Command", "resume": "red"})
        assert output == {"log": ["a", 1, "red", "again"]}


def note_again(state: Log) -> Log:
    return {"log": ["again"]}


async def test_plain_langgraph_goes_on_with_a_thread_that_waits(real: Lab, file: Path) -> None:
    async with real.worker(agents(file, note, ask, note_again)) as runs:
        await run(runs, {"log": ["a"]}, on_pause="return")
    output = await plainly(
        file, lambda g: g.ainvoke(Command(resume="red"), CONFIG), note, ask, note_again
    )
    assert output == {"log": ["a", 1, "red", "again"]}


async def test_an_interrupt_in_a_sub_graph_goes_on_in_the_next_run(real: Lab, file: Path) -> None:
    inner = graph(ask, note_again).compile()
    made = perdure.Agents(threads=f"sqlite:///{file}")
    outer = StateGraph(Log)
    outer.add_node("inner", inner)
    made.add("log", outer.add_edge(START, "inner"))
    async with real.worker(made) as runs:
        await run(runs, {"log": []}, on_pause="return")
        assert await run(runs, {"$": "Command", "resume": "red"}) == {"log": ["red", "again"]}


async def test_a_sub_graph_that_remembers_between_runs_does_so_on_a_thread(
    real: Lab, file: Path
) -> None:
    class Inner(TypedDict):
        mine: Annotated[list[str], operator.add]

    def remember(state: Inner) -> Any:
        return {"mine": ["x"]}

    built = StateGraph(Inner).add_node(remember).add_edge(START, "remember")
    inner = built.compile(checkpointer=True)

    async def call(state: Log) -> Log:
        return {"log": [len((await inner.ainvoke({"mine": []}))["mine"])]}

    made = perdure.Agents(threads=f"sqlite:///{file}")
    made.add("log", graph(call))
    async with real.worker(made) as runs:
        await run(runs, {"log": []})
        assert await run(runs, {"log": []}) == {"log": [1, 2]}


async def test_a_run_that_waits_has_left_its_state_already(real: Lab, file: Path) -> None:
    async with real.worker(agents(file, note, ask)) as runs:
        started = await runs.start("log", {"log": ["a"]}, thread="t")
        await started.question()
        state = await plainly(file, lambda g: g.aget_state(CONFIG), note, ask)
        assert (state.values, state.next) == ({"log": ["a", 1]}, ("ask",))
        assert state.tasks[0].interrupts[0].value == "colour?"


async def test_a_run_that_fails_leaves_how_far_it_got(real: Lab, file: Path) -> None:
    async with real.worker(agents(file, note, fail)) as runs:
        started = await runs.start("log", {"log": ["a"]}, thread="t")
        await started.failure()
        state = await plainly(file, lambda g: g.aget_state(CONFIG), note, fail)
        assert (state.values, state.next) == ({"log": ["a", 1]}, ("fail",))


async def test_a_cancelled_run_leaves_how_far_it_got(real: Lab, file: Path) -> None:
    async with real.worker(agents(file, note, sleep)) as runs:
        started = await runs.start("log", {"log": ["a"]}, thread="t")
        await eventually(lambda: _in(started, "sleep"), what="the second node")
        await started.handle.cancel()
        with pytest.raises(WorkflowFailureError):
            await started.result()
        state = await plainly(file, lambda g: g.aget_state(CONFIG), note, sleep)
        assert (state.values, state.next) == ({"log": ["a", 1]}, ("sleep",))


async def sleep(state: Log) -> Log:
    await asyncio.sleep(3600)
    return {"log": []}


async def _in(started: Started, node: str) -> bool | None:
    return True if await started.events("TIMER_STARTED") else None


async def test_a_thread_keeps_every_checkpoint_when_it_is_told_to(real: Lab, file: Path) -> None:
    async def history(made: Any) -> list[Any]:
        return [state.values async for state in made.aget_state_history(CONFIG)]

    async with real.worker(agents(file, note, note_again)) as runs:
        await run(runs, {"log": ["a"]}, checkpoints="all")
    states = await plainly(file, history, note, note_again)
    assert states == [{"log": ["a", 1, "again"]}, {"log": ["a", 1]}, {"log": ["a"]}, {"log": []}]


async def test_any_saver_of_langgraphs_can_keep_the_threads(real: Lab) -> None:
    saver = InMemorySaver()
    made = perdure.Agents(threads=saver)
    made.add("log", graph(note))
    async with real.worker(made) as runs:
        await run(runs, {"log": ["a"]})
        assert await run(runs, {"log": ["b"]}) == {"log": ["a", 1, "b", 3]}
    state = await graph(note).compile(checkpointer=saver).aget_state(CONFIG)
    assert state.values == {"log": ["a", 1, "b", 3]}


async def test_a_thread_written_by_a_clock_that_is_ahead_still_moves_on(
    real: Lab, file: Path
) -> None:
    async def ahead(made: Any) -> None:
        await made.ainvoke({"log": ["a"]}, CONFIG)
        saver = made.checkpointer
        found = await saver.aget_tuple(CONFIG)
        late = {**found.checkpoint, "id": "3f0e5b7c-0000-6000-8000-000000000000"}
        await saver.aput(
            {"configurable": {"thread_id": "t", "checkpoint_ns": ""}}, late, found.metadata, {}
        )

    await plainly(file, ahead, note)
    async with real.worker(agents(file, note)) as runs:
        await run(runs, {"log": ["b"]})
        assert await run(runs, {"log": ["c"]}) == {"log": ["a", 1, "b", 3, "c", 5]}
