"""Any graph can be called in a workflow, with its own methods."""

import asyncio
import operator
from collections.abc import AsyncGenerator
from typing import Annotated, Any

import pytest
import pytest_asyncio
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.errors import GraphRecursionError
from langgraph.graph import START, StateGraph
from langgraph.types import Command, interrupt
from typing_extensions import TypedDict

from perdure.testing import DevServer, durable
from perdure.testing.durable import stop_workers

pytestmark = pytest.mark.timeout(90)


class Log(TypedDict):
    log: Annotated[list[Any], operator.add]


class Mine(Exception):
    """An exception of the app."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def address() -> AsyncGenerator[str]:
    async with DevServer() as server:
        yield server.address
        await asyncio.to_thread(stop_workers, server.address)


def one(state: Log) -> Any:
    return {"log": ["one"]}


def ask(state: Log) -> Any:
    return {"log": [interrupt("colour?")]}


async def slow(state: Log) -> Any:
    await asyncio.sleep(0.01)
    return {"log": ["slow"]}


def broken(state: Log) -> Any:
    raise Mine("no")


def build(*nodes: Any, **options: Any) -> Any:
    graph = StateGraph(Log)
    before = START
    for node in nodes:
        graph.add_node(node.__name__, node)
        graph.add_edge(before, node.__name__)
        before = node.__name__
    return graph.compile(**options)


def thread(name: str = "t") -> Any:
    return {"configurable": {"thread_id": name}}


def test_a_sync_call_gives_the_graphs_result(address: str) -> None:
    assert durable(build(one), address=address).invoke({"log": []}) == {"log": ["one"]}


async def test_an_async_call_gives_the_graphs_result(address: str) -> None:
    graph = durable(build(one, slow), address=address)
    assert await graph.ainvoke({"log": []}) == {"log": ["one", "slow"]}


async def test_a_stream_has_the_parts_of_plain_langgraph(address: str) -> None:
    plain = build(one, slow)
    modes = ["updates", "values"]
    expected = [part async for part in plain.astream({"log": []}, stream_mode=modes)]
    graph = durable(plain, address=address)
    assert [part async for part in graph.astream({"log": []}, stream_mode=modes)] == expected


def test_a_sync_stream_has_the_parts_of_plain_langgraph(address: str) -> None:
    plain = build(one, slow)
    expected = [{"one": {"log": ["one"]}}, {"slow": {"log": ["slow"]}}]
    graph = durable(plain, address=address)
    assert list(graph.stream({"log": []}, stream_mode="updates")) == expected


async def test_an_interrupt_returns_and_is_resumed_by_the_next_call(address: str) -> None:
    graph = durable(build(one, ask, checkpointer=InMemorySaver()), address=address)
    first = await graph.ainvoke({"log": []}, thread())
    assert [i.value for i in first["__interrupt__"]] == ["colour?"]
    assert await graph.ainvoke(Command(resume="red"), thread()) == {"log": ["one", "red"]}


async def test_the_graphs_own_checkpointer_has_the_states(address: str) -> None:
    plain = build(one, slow, checkpointer=InMemorySaver())
    await durable(plain, address=address).ainvoke({"log": []}, thread())
    states = [(s.values, s.next) async for s in plain.aget_state_history(thread())]
    assert states == [
        ({"log": ["one", "slow"]}, ()),
        ({"log": ["one"]}, ("slow",)),
        ({"log": []}, ("one",)),
        ({"log": []}, ("__start__",)),
    ]


async def test_the_state_is_read_and_changed(address: str) -> None:
    graph = durable(build(one, ask, checkpointer=InMemorySaver()), address=address)
    await graph.ainvoke({"log": []}, thread())
    assert (await graph.aget_state(thread())).next == ("ask",)
    await graph.aupdate_state(thread(), {"log": ["blue"]}, as_node="ask")
    assert graph.get_state(thread()).values == {"log": ["one", "blue"]}


async def test_the_exception_is_the_very_one_that_was_raised(address: str) -> None:
    with pytest.raises(Mine, match="no"):
        await durable(build(broken), address=address).ainvoke({"log": []})


async def test_the_recursion_limit_is_langgraphs_own_error(address: str) -> None:
    graph = StateGraph(Log)
    graph.add_node("one", one)
    graph.add_edge(START, "one")
    graph.add_edge("one", "one")
    with pytest.raises(GraphRecursionError):
        await durable(graph, address=address).ainvoke({"log": []}, {"recursion_limit": 3})


async def test_a_value_that_has_no_json_form_comes_back_as_it_is(address: str) -> None:
    thing = object()
    result = await durable(build(one), address=address).ainvoke({"log": [thing]})
    assert result["log"][0] is thing


async def test_every_step_may_run_from_the_start_again(address: str) -> None:
    graph = durable(build(one, slow), address=address, max_cached_workflows=0)
    assert await graph.ainvoke({"log": []}) == {"log": ["one", "slow"]}
