"""A durable graph is the graph: its fields, its class, its waits, its checkpointer and cache."""

import asyncio
import operator
from collections.abc import AsyncGenerator, Callable
from typing import Annotated, Any
from unittest.mock import Mock

import pytest
import pytest_asyncio
from langchain_core.callbacks import AsyncCallbackHandler
from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from langgraph.cache.memory import InMemoryCache
from langgraph.channels import LastValue
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.func import entrypoint, task
from langgraph.graph import START, StateGraph
from langgraph.pregel import NodeBuilder, Pregel
from langgraph.types import CachePolicy, Command, interrupt
from pydantic import BaseModel
from temporalio.client import Client
from typing_extensions import TypedDict

import perdure
from perdure.core.names import MODEL_ACTIVITY, TOOL_ACTIVITY
from perdure.errors import NotAGraph
from perdure.testing import DevServer, durable
from perdure.testing.durable import stop_workers

pytestmark = pytest.mark.timeout(90)
Wrap = Callable[[Any], Any]


class Log(TypedDict):
    log: Annotated[list[Any], operator.add]


class Typed(BaseModel):
    log: Annotated[list[Any], operator.add]


class Broken(InMemorySaver):
    """A checkpointer that cannot write."""

    def put(self, *_: Any, **__: Any) -> Any:
        raise ValueError("the disk is full")


class Listener(AsyncCallbackHandler):
    """Counts model calls."""

    def __init__(self) -> None:
        self.calls = 0

    async def on_chat_model_start(self, *_: Any, **__: Any) -> None:
        await asyncio.sleep(0)
        self.calls += 1


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def wrap() -> AsyncGenerator[Wrap]:
    async with DevServer(in_memory=True) as server:
        yield lambda graph: durable(graph, address=server.address)
        await asyncio.to_thread(stop_workers, server.address)


def one(state: Log) -> Any:
    return {"log": ["one"]}


def two(state: Log) -> Any:
    return {"log": ["two"]}


def build(*nodes: Any, state: Any = Log, **options: Any) -> Any:
    graph = StateGraph(state)
    before = START
    for node in nodes:
        graph.add_node(node.__name__, node)
        graph.add_edge(before, node.__name__)
        before = node.__name__
    return graph.compile(**options)


def thread() -> Any:
    return {"configurable": {"thread_id": "t"}}


def test_it_is_of_the_graphs_own_class(wrap: Wrap) -> None:
    plain = build(one)
    assert isinstance(wrap(plain), type(plain))


def test_what_is_set_on_it_is_set_on_the_graph(wrap: Wrap) -> None:
    plain = build(one)
    wrap(plain).step_timeout = 3
    assert plain.step_timeout == 3


def test_what_is_no_graph_is_refused(wrap: Wrap) -> None:
    with pytest.raises(NotAGraph, match="takes a graph"):
        wrap(object())


def test_a_batch_may_return_its_exceptions(wrap: Wrap) -> None:
    def odd(state: Log) -> Any:
        if state["log"]:
            raise ValueError("odd")
        return {"log": ["fine"]}

    found = wrap(build(odd)).batch([{"log": []}, {"log": [1]}], return_exceptions=True)
    assert [repr(one) for one in found] == ["{'log': ['fine']}", "ValueError('odd')"]


def test_a_bound_config_is_used(wrap: Wrap) -> None:
    plain = build(one, checkpointer=InMemorySaver())
    wrap(plain).with_config(thread()).invoke({"log": []})
    assert plain.get_state(thread()).values == {"log": ["one"]}


def test_calls_of_a_patched_class_begin_no_other_call(
    wrap: Wrap, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrap(build(one))
    monkeypatch.setattr(Pregel, "invoke", lambda self, *a, **kw: wrap(self).invoke(*a, **kw))
    inner = build(two)

    def call(state: Log) -> Any:
        return {"log": inner.invoke({"log": []})["log"]}

    assert build(one, call).invoke({"log": []}) == {"log": ["one", "two"]}


async def test_a_graph_does_not_run_ahead_of_who_reads_its_stream(wrap: Wrap) -> None:
    ran: list[str] = []

    def note(state: Log) -> Any:
        ran.append("note")
        return {"log": ["note"]}

    stream = wrap(build(one, note)).astream({"log": []}, stream_mode="updates")
    async for _ in stream:
        break
    await stream.aclose()
    assert ran == []


async def test_a_cancelled_call_cancels_its_nodes(wrap: Wrap) -> None:
    seen: list[str] = []
    started = asyncio.Event()

    async def wait(state: Log) -> Any:
        started.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    call = asyncio.create_task(wrap(build(wait)).ainvoke({"log": []}))
    await started.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert seen == ["cancelled"]


async def test_short_waits_end_in_their_order(wrap: Wrap) -> None:
    async def slow(state: Log) -> Any:
        await asyncio.sleep(0.4)
        return {"log": ["slow"]}

    async def quick(state: Log) -> Any:
        await asyncio.sleep(0.01)
        return {"log": ["quick"]}

    graph = StateGraph(Log)
    graph.add_node("slow", slow)
    graph.add_node("quick", quick)
    graph.add_edge(START, "slow")
    graph.add_edge(START, "quick")
    stream = wrap(graph).astream({"log": []}, stream_mode="updates")
    assert [next(iter(part)) async for part in stream] == ["quick", "slow"]


async def test_a_step_timeout_ends_a_slow_node(wrap: Wrap) -> None:
    async def slow(state: Log) -> Any:
        await asyncio.sleep(60)

    graph = wrap(build(slow))
    graph.step_timeout = 0.05
    with pytest.raises(TimeoutError):
        await graph.ainvoke({"log": []})


def test_an_error_of_the_checkpointer_is_raised(wrap: Wrap) -> None:
    with pytest.raises(ValueError, match="the disk is full"):
        wrap(build(one, checkpointer=Broken())).invoke({"log": []}, thread())


async def test_the_state_between_two_parts_of_a_stream_is_that_of_plain_langgraph(
    wrap: Wrap,
) -> None:
    async def states(graph: Any) -> list[Any]:
        parts = graph.astream({"log": []}, thread(), stream_mode="updates", durability="sync")
        return [(await graph.aget_state(thread())).next async for _ in parts]

    expected = await states(build(one, two, checkpointer=InMemorySaver()))
    assert await states(wrap(build(one, two, checkpointer=InMemorySaver()))) == expected


def test_the_graphs_own_cache_outlives_a_call(wrap: Wrap) -> None:
    calls: list[int] = []

    def count(state: Log) -> Any:
        calls.append(1)
        return {"log": ["counted"]}

    builder = StateGraph(Log)
    builder.add_node("count", count, cache_policy=CachePolicy())
    builder.add_edge(START, "count")
    graph = wrap(builder.compile(cache=InMemoryCache()))
    graph.invoke({"log": []})
    graph.invoke({"log": []})
    assert calls == [1]


def test_two_questions_of_one_entrypoint_are_answered_one_by_one(wrap: Wrap) -> None:
    @task
    def ask(name: str) -> Any:
        return interrupt(name)

    @entrypoint(checkpointer=InMemorySaver())
    def program(_: Any) -> Any:
        return [ask("a").result(), ask("b").result()]

    graph = wrap(program)
    graph.invoke({}, thread())
    graph.invoke(Command(resume=1), thread())
    assert graph.invoke(Command(resume=2), thread()) == [1, 2]


def test_a_state_of_the_apps_own_class_comes_back_as_such(wrap: Wrap) -> None:
    graph = wrap(build(one, state=Typed, checkpointer=InMemorySaver()))
    assert graph.invoke({"log": []}, thread(), version="v2").value == Typed(log=["one"])


def test_a_mock_may_be_a_node(wrap: Wrap) -> None:
    add_one = Mock(side_effect=lambda x: x + 1)
    graph = Pregel(
        nodes={"one": NodeBuilder().subscribe_only("in").do(add_one).write_to("out")},
        channels={"in": LastValue(int), "out": LastValue(int)},
        input_channels="in",
        output_channels="out",
    )
    assert wrap(graph).invoke(2) == 3


def test_a_plain_model_and_a_plain_tool_are_called_where_they_are(wrap: Wrap) -> None:
    def talk(state: Log) -> Any:
        @tool
        def shout(text: str) -> str:
            """Shout."""
            return text.upper()

        said = FakeListChatModel(responses=["hello"]).invoke("hi").text
        return {"log": [shout.invoke({"text": said})]}

    assert wrap(build(talk)).invoke({"log": []}) == {"log": ["HELLO"]}


def test_async_callbacks_of_a_sync_model_call_are_made(wrap: Wrap) -> None:
    listener = Listener()

    def talk(state: Log) -> Any:
        model = FakeListChatModel(responses=["hello"])
        model.invoke([HumanMessage("hi")], {"callbacks": [listener]})
        return {"log": []}

    wrap(build(talk)).invoke({"log": []})
    assert listener.calls == 1


def test_each_checkpoint_has_a_later_time_than_the_one_before(wrap: Wrap) -> None:
    graph = wrap(build(one, two, checkpointer=InMemorySaver()))
    graph.invoke({"log": []}, thread())
    times = [state.created_at for state in graph.get_state_history(thread())]
    assert times == sorted(set(times), reverse=True)


async def activities_of(address: str) -> list[str]:
    """List the activities of the only call that a server knows."""
    client = await Client.connect(address)
    calls = [one async for one in client.list_workflows()]
    history = await client.get_workflow_handle(calls[0].id).fetch_history()
    return [
        event.activity_task_scheduled_event_attributes.activity_type.name
        for event in history.events
        if event.HasField("activity_task_scheduled_event_attributes")
    ]


async def test_models_and_tools_are_activities_if_asked_for() -> None:
    @tool
    def shout(text: str) -> str:
        """Shout."""
        return text.upper()

    model = FakeListChatModel(responses=["hello", "bye"])

    def talk(state: Log) -> Any:
        return {"log": [shout.invoke({"text": model.invoke("hi").text})]}

    async with DevServer(in_memory=True) as server:
        graph = durable(build(talk), address=server.address, intercept=True)
        assert await graph.ainvoke({"log": []}) == {"log": ["HELLO"]}
        kinds = await activities_of(server.address)
        await asyncio.to_thread(stop_workers, server.address)
    assert kinds == [MODEL_ACTIVITY, TOOL_ACTIVITY]


async def test_a_declared_model_answers_within_the_time_of_its_node(wrap: Wrap) -> None:
    model = perdure.model(FakeListChatModel(responses=["hello"]), name="durable-calls")

    async def talk(state: Log) -> Any:
        async with asyncio.timeout(20):
            return {"log": [(await model.ainvoke("hi")).text]}

    assert await wrap(build(talk)).ainvoke({"log": []}) == {"log": ["hello"]}
