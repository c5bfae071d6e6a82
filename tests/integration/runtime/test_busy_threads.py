"""Two runs on one thread follow each other, as the second one's starter says."""

import asyncio
import operator
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import START, StateGraph
from langgraph.types import interrupt
from typing_extensions import TypedDict

import perdure
from integration.runtime.harness import Lab, Runs, eventually
from perdure.client import Client, RunHandle
from perdure.client.threads import lock_id
from perdure.errors import BadOption, RunExists, RunFailed, ThreadBusy, Unavailable
from perdure.testing.replay import assert_run_replays

pytestmark = pytest.mark.timeout(90)


class Log(TypedDict):
    log: Annotated[list[Any], operator.add]


def note(state: Log) -> Log:
    return {"log": [f"after {len(state['log'])}"]}


def ask(state: Log) -> Log:
    """Ask, unless the run was started with a name that says not to."""
    return {"log": []} if state["log"][-2].startswith("quick") else {"log": [interrupt("go on?")]}


def agents(threads: Any, *nodes: Callable[..., Any]) -> perdure.Agents:
    made = perdure.Agents(threads=threads)
    graph = StateGraph(Log)
    graph.add_sequence(list(nodes or (note, ask)))
    made.add("log", graph.add_edge(START, (nodes or (note,))[0].__name__))
    return made


@pytest.fixture
def thread() -> str:
    return f"t-{uuid4().hex[:8]}"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "threads.sqlite"


@pytest.fixture(params=["sqlite", "object"])
def threads(request: pytest.FixtureRequest, file: Path) -> Any:
    return f"sqlite:///{file}" if request.param == "sqlite" else InMemorySaver()


class Line:
    """Starts runs on one thread."""

    def __init__(self, runs: Runs, thread: str) -> None:
        self.runs, self.thread, self.client = runs, thread, Client(runs.client)

    async def start(self, name: str, on_busy: Any = "refuse", **more: Any) -> RunHandle:
        more.setdefault("run_id", f"{name}-{self.thread}")
        return await self.client.start(
            "log",
            {"log": [name]},
            thread=self.thread,
            on_busy=on_busy,
            task_queue=self.runs.queue,
            **more,
        )

    async def waiting(self, name: str, on_busy: Any = "refuse") -> RunHandle:
        """Start a run and wait until it asks."""
        run = await self.start(name, on_busy)

        async def look() -> bool | None:
            return True if (await run.status()).questions else None

        await eventually(look, what="a question")
        return run

    async def log(self, run: RunHandle) -> list[Any]:
        output: Any = await run.result()
        return output["log"]

    async def answer(self, run: RunHandle) -> Any:
        await run.decide({"type": "respond", "by": "ann", "value": "yes"})
        return await run.result()

    async def check(self, *runs: RunHandle) -> None:
        """Wait for the end of the line; every history replays, that of the line too."""
        lock = self.runs.client.get_workflow_handle(lock_id(self.thread))
        await lock.result()
        for run_id in (lock.id, *(run.run_id for run in runs)):
            await assert_run_replays(self.runs.agents, self.runs.client, run_id)


async def test_a_free_thread_is_taken_at_once(real: Lab, threads: Any, thread: str) -> None:
    async with real.worker(agents(threads)) as runs:
        line = Line(runs, thread)
        run = await line.start("quick")
        assert await run.result() == {"log": ["quick", "after 1"]}
        await line.check(run)


async def test_a_busy_thread_is_refused_with_the_run_that_has_it(
    real: Lab, threads: Any, thread: str
) -> None:
    async with real.worker(agents(threads)) as runs:
        line = Line(runs, thread)
        first = await line.waiting("first")
        with pytest.raises(ThreadBusy, match=f"run 'first-{thread}' of agent 'log' has the thread"):
            await line.start("second")
        await line.answer(first)
        await line.check(first)


async def test_the_runs_on_a_thread_are_listed_in_their_order(
    real: Lab, threads: Any, thread: str
) -> None:
    async with real.worker(agents(threads)) as runs:
        line = Line(runs, thread)
        assert await line.client.runs_on(thread) == []
        first = await line.waiting("first")
        second = await line.start("quick", "queue")
        assert await line.client.runs_on(thread) == [first.run_id, second.run_id]
        await line.answer(first)
        await second.result()
        await line.check(first, second)
        assert await line.client.runs_on(thread) == []


async def test_langgraphs_words_are_taken_too(real: Lab, threads: Any, thread: str) -> None:
    async with real.worker(agents(threads)) as runs:
        line = Line(runs, thread)
        first = await line.waiting("first")
        with pytest.raises(ThreadBusy):
            await line.start("second", "reject")
        second = await line.start("quick", "enqueue")
        await line.answer(first)
        await second.result()
        await line.check(first, second)


async def test_queued_runs_follow_in_order(real: Lab, threads: Any, thread: str) -> None:
    async with real.worker(agents(threads)) as runs:
        line = Line(runs, thread)
        first = await line.waiting("first")
        second = await line.start("quick2", "queue")
        third = await line.start("quick3", "queue")
        await line.answer(first)
        assert (await line.log(third)) == [
            "first", "after 1", "yes", "quick2", "after 4", "quick3", "after 6",
        ]  # fmt: skip
        await line.check(first, second, third)


async def test_a_queued_run_that_is_cancelled_leaves_the_line(
    real: Lab, threads: Any, thread: str
) -> None:
    async with real.worker(agents(threads)) as runs:
        line = Line(runs, thread)
        first = await line.waiting("first")
        second = await line.start("quick2", "queue")
        third = await line.start("quick3", "queue")
        await line.client.cancel(second.run_id)
        with pytest.raises(RunFailed):
            await second.result()
        await line.answer(first)
        assert (await line.log(third)) == ["first", "after 1", "yes", "quick3", "after 4"]
        await line.check(first, second, third)


async def test_an_interrupting_run_goes_on_from_what_the_other_one_left(
    real: Lab, threads: Any, thread: str
) -> None:
    async with real.worker(agents(threads)) as runs:
        line = Line(runs, thread)
        first = await line.waiting("first")
        second = await line.start("quick", "interrupt")
        assert await second.result() == {"log": ["first", "after 1", "quick", "after 3"]}
        with pytest.raises(RunFailed, match="cancelled"):
            await first.result()
        await line.check(first, second)


async def test_an_interrupting_run_goes_before_queued_ones(
    real: Lab, threads: Any, thread: str
) -> None:
    async with real.worker(agents(threads)) as runs:
        line = Line(runs, thread)
        first = await line.waiting("first")
        second = await line.start("quick2", "queue")
        third = await line.start("quick3", "interrupt")
        log = await line.log(second)
        assert [name for name in log if name.startswith("quick")] == ["quick3", "quick2"]
        await line.check(first, second, third)


async def test_a_rolled_back_run_leaves_nothing(real: Lab, threads: Any, thread: str) -> None:
    async with real.worker(agents(threads)) as runs:
        line = Line(runs, thread)
        before = await line.start("quick0")
        await before.result()
        first = await line.waiting("first", "queue")
        second = await line.start("quick", "rollback")
        assert await second.result() == {"log": ["quick0", "after 1", "quick", "after 3"]}
        await line.check(before, first, second)


async def test_a_rolled_back_first_run_leaves_an_empty_thread(
    real: Lab, threads: Any, thread: str
) -> None:
    async with real.worker(agents(threads)) as runs:
        line = Line(runs, thread)
        first = await line.waiting("first")
        second = await line.start("quick", "rollback")
        assert await second.result() == {"log": ["quick", "after 1"]}
        await line.check(first, second)


async def test_a_rolled_back_run_takes_back_its_answer_to_an_old_question(
    real: Lab, file: Path, thread: str
) -> None:
    """What a run wrote to a checkpoint that it found is taken out as well."""

    def ask_twice(state: Log) -> Log:
        return {"log": [interrupt("one?"), interrupt("two?")]}

    async with real.worker(agents(f"sqlite:///{file}", ask_twice)) as runs:
        line = Line(runs, thread)
        before = await line.start("a", on_pause="return")
        await before.result()
        answer = await line.client.start(
            "log",
            {"$": "Command", "resume": "1"},
            thread=thread,
            on_busy="queue",
            task_queue=runs.queue,
        )

        async def asked() -> bool | None:
            return True if (await answer.status()).questions else None

        await eventually(asked, what="the second question")
        third = await line.client.start(
            "log",
            {"$": "Command", "resume": "A"},
            thread=thread,
            on_busy="rollback",
            task_queue=runs.queue,
            on_pause="return",
        )
        await third.result()
        async with AsyncSqliteSaver.from_conn_string(str(file)) as saver:
            graph = StateGraph(Log).add_node(ask_twice).add_edge(START, "ask_twice")
            state = await graph.compile(checkpointer=saver).aget_state(
                {"configurable": {"thread_id": thread}}
            )
        assert [task.interrupts[0].value for task in state.tasks] == ["two?"]
        await line.check(before, answer, third)


async def test_a_run_that_exists_is_refused_and_the_line_goes_on(
    real: Lab, threads: Any, thread: str
) -> None:
    async with real.worker(agents(threads)) as runs:
        line = Line(runs, thread)
        first = await line.waiting("first")
        with pytest.raises(RunExists):
            await line.start("first", "queue")
        second = await line.start("quick", "queue")
        await line.answer(first)
        await second.result()
        await line.check(first, second)


async def test_of_many_clients_at_once_one_has_the_thread(
    real: Lab, threads: Any, thread: str
) -> None:
    async with real.worker(agents(threads)) as runs:
        line = Line(runs, thread)
        names = [f"n{number}" for number in range(6)]
        tried = await asyncio.gather(*(line.start(n) for n in names), return_exceptions=True)
        started = [one for one in tried if isinstance(one, RunHandle)]
        refused = [one for one in tried if isinstance(one, ThreadBusy)]
        assert (len(started), len(refused)) == (1, 5)
        await line.client.cancel(started[0].run_id)
        await line.check(started[0])


async def test_a_run_that_is_terminated_frees_the_thread(
    real: Lab, threads: Any, thread: str
) -> None:
    async with real.worker(agents(threads)) as runs:
        line = Line(runs, thread)
        first = await line.waiting("first")
        second = await line.start("quick", "queue")
        await runs.client.get_workflow_handle(first.run_id).terminate()
        assert (await line.log(second))[-2:] == ["quick", "after 3"]
        await line.check(second)


async def test_a_line_does_not_hear_a_cancel(real: Lab, threads: Any, thread: str) -> None:
    async with real.worker(agents(threads)) as runs:
        line = Line(runs, thread)
        first = await line.waiting("first")
        second = await line.start("quick", "queue")
        await runs.client.get_workflow_handle(lock_id(thread)).cancel()
        await line.answer(first)
        await second.result()
        await line.check(first, second)


async def test_a_thread_without_a_worker_is_told(real: Lab, thread: str) -> None:
    with pytest.raises(Unavailable, match="no worker took run"):
        await Client(real.client).start(
            "log", thread=thread, task_queue=f"nobody-{thread}", run_id=f"r-{thread}"
        )


async def test_an_unknown_word_is_refused(real: Lab, thread: str) -> None:
    with pytest.raises(BadOption, match="on_busy='push': choose of refuse"):
        await Client(real.client).start("log", thread=thread, on_busy="push")  # type: ignore[arg-type]
