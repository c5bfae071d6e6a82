"""Exceptions that are no ordinary ones neither kill the worker nor loop."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from langgraph.errors import NodeCancelledError
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import Command

import perdure
from integration.runtime.fakes import chain, sole
from integration.runtime.harness import Lab

pytestmark = pytest.mark.timeout(60)
State = dict[str, Any]


class Rude(BaseException):
    """No Exception at all."""


class Mute(Exception):
    """An exception that cannot be written."""

    def __str__(self) -> str:
        raise RuntimeError("I do not speak")


ODD: dict[str, Any] = {
    "system_exit": SystemExit(3),
    "keyboard_interrupt": KeyboardInterrupt(),
    "base_exception": Rude("rude"),
    "cancelled": asyncio.CancelledError(),
    "stop_iteration": StopIteration(1),
    "stop_async_iteration": StopAsyncIteration(1),
    "timeout": TimeoutError(),
    "group": ExceptionGroup("several", [ValueError("a"), KeyError("b")]),
    "mute": Mute(),
    "surrogate": ValueError("bad \ud800 text"),
    "huge": ValueError("x" * 5_000_000),
    "memory": MemoryError(),
    "assertion": AssertionError(),
    "node_cancelled": NodeCancelledError("node"),
}


@pytest.mark.parametrize("how", ["sync", "async"])
@pytest.mark.parametrize("error", ODD.values(), ids=ODD)
async def test_an_odd_exception_in_a_node_fails_the_run(
    lab: Lab, error: BaseException, how: str
) -> None:
    def throw_sync(state: State) -> State:
        raise error

    async def throw_async(state: State) -> State:
        raise error

    node = throw_sync if how == "sync" else throw_async
    async with lab.worker(chain(node)) as runs:
        failure = await (await runs.start("graph")).failure()
        assert failure.type in ("node_failed", "unexpected")
        assert len(failure.message) < 2000


async def test_a_generator_exit_in_a_sync_node_fails_the_run(lab: Lab) -> None:
    def throw(state: State) -> State:
        raise GeneratorExit

    async with lab.worker(chain(throw)) as runs:
        assert (await (await runs.start("graph")).failure()).type == "node_failed"


@pytest.mark.parametrize("error", [SystemExit(3), Rude("rude")], ids=["system_exit", "rude"])
async def test_an_odd_exception_in_parallel_nodes_fails_the_run(
    lab: Lab, error: BaseException
) -> None:
    async def left(state: State) -> State:
        raise error

    async def right(state: State) -> State:
        return {"messages": []}

    graph = StateGraph(MessagesState).add_node(left).add_node(right)
    graph.add_edge(START, "left").add_edge(START, "right")
    async with lab.worker(sole(graph)) as runs:
        failure = await (await runs.start("graph")).failure()
        assert failure.type == "node_failed"
        assert type(error).__name__ in str(failure)


async def test_endless_recursion_in_a_node_fails_the_run(lab: Lab) -> None:
    def deep(state: State) -> State:
        return deep(state)

    async with lab.worker(chain(deep)) as runs:
        assert (await (await runs.start("graph")).failure()).type == "node_failed"


async def test_a_command_to_a_parent_that_is_not_there_fails_the_run(lab: Lab) -> None:
    def node(state: State) -> Command[Any]:
        return Command(graph=Command.PARENT, goto="elsewhere")

    async with lab.worker(chain(node)) as runs:
        assert (await (await runs.start("graph")).failure()).type in ("node_failed", "unexpected")


TOOL_ODD = {
    key: ODD[key] for key in ("system_exit", "stop_iteration", "mute", "surrogate", "huge", "group")
}


@pytest.mark.parametrize("error", TOOL_ODD.values(), ids=TOOL_ODD)
async def test_an_odd_exception_in_a_tool_fails_the_run(lab: Lab, error: BaseException) -> None:
    def throw() -> str:
        """Throw."""
        raise error

    once = perdure.Retry(initial=timedelta(seconds=1), maximum=timedelta(seconds=1), attempts=1)
    tool = perdure.tool(throw, retry=once)

    async def node(state: State) -> None:
        await tool.ainvoke({})

    async with lab.worker(chain(node)) as runs:
        assert (await (await runs.start("graph")).failure()).type == "tool_failed"


async def test_the_worker_goes_on_after_an_odd_exception(lab: Lab) -> None:
    def node(state: State) -> State:
        if state["messages"][0].text == "exit":
            raise SystemExit(3)
        return {"messages": []}

    async with lab.worker(chain(node)) as runs:
        first = await runs.start("graph", {"messages": ["exit"]})
        await first.failure()
        second = await runs.start("graph", {"messages": ["stay"]})
        assert await second.texts() == ["stay"]
