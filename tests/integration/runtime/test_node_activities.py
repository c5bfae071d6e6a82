"""A whole node runs as one activity, and looks the same as in plain LangGraph."""

import asyncio
import operator
import threading
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Any, cast

import pytest
from langchain_core.messages import HumanMessage
from langchain_core.runnables import RunnableConfig, RunnableLambda
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.func import entrypoint, task
from langgraph.graph import START, StateGraph
from langgraph.runtime import Runtime
from langgraph.types import Command, RetryPolicy, Send, StreamWriter, interrupt
from pydantic import BaseModel
from typing_extensions import TypedDict

import perdure
from integration.runtime.fakes import model, sole
from integration.runtime.harness import Lab, Started
from perdure.errors import BadOption

pytestmark = pytest.mark.timeout(60)


class Log(TypedDict):
    log: Annotated[list[Any], operator.add]


EMPTY: Log = {"log": []}
ACTIVITY = {"perdure": {"activity": True}}


async def kinds(run: Started) -> list[str]:
    return [call.kind.removeprefix("perdure.") for call in await run.calls()]


def graph_of(*nodes: Any, schema: Any = Log, **options: Any) -> Any:
    graph = StateGraph(schema, **options)
    graph.add_sequence(list(nodes))
    return graph.add_edge(START, nodes[0].__name__)


async def outcome(lab: Lab, graph: Any, input: Any = None, **start: Any) -> tuple[Any, list[str]]:
    """Run a graph; return its output and the kinds of its activities."""
    async with lab.worker(sole(graph)) as runs:
        run = await runs.start("graph", EMPTY if input is None else input, **start)
        return await run.result(), await kinds(run)


async def test_a_sync_node_runs_as_one_activity_on_a_thread(lab: Lab, tmp_path: Path) -> None:
    @perdure.node
    def node(state: Log) -> Log:
        (tmp_path / "seen").write_text("I/O is fine here")
        return {"log": [(tmp_path / "seen").read_text(), threading.current_thread().name]}

    output, seen = await outcome(lab, graph_of(node))
    assert seen == ["node"]
    assert output["log"][0] == "I/O is fine here"
    assert "MainThread" not in output["log"][1]


async def test_an_async_node_runs_as_one_activity(lab: Lab) -> None:
    @perdure.node(timeout=timedelta(seconds=30))
    async def node(state: Log) -> Log:
        await asyncio.sleep(0)
        return {"log": ["done"]}

    assert await outcome(lab, graph_of(node)) == ({"log": ["done"]}, ["node"])


async def test_metadata_makes_a_plain_function_an_activity(lab: Lab) -> None:
    def node(state: Log) -> Log:
        return {"log": [Path(__file__).read_text()[:3]]}

    graph = StateGraph(Log).add_node("n", node, metadata={"perdure": {"timeout": 30}})
    assert await outcome(lab, graph.add_edge(START, "n")) == ({"log": ['"""']}, ["node"])


async def test_metadata_makes_a_chain_an_activity(lab: Lab) -> None:
    def begin(_: Log) -> int:
        return 1

    def end(number: int) -> Log:
        return {"log": [number + 1]}

    chain = RunnableLambda(begin) | RunnableLambda(end)
    graph = StateGraph(Log).add_node("n", chain, metadata=ACTIVITY).add_edge(START, "n")
    assert await outcome(lab, graph) == ({"log": [2]}, ["node"])


async def test_the_state_keeps_its_types_both_ways(lab: Lab) -> None:
    given: Log = {"log": [date(2026, 1, 2), (1, 2), {3}, HumanMessage("hi", id="m")]}

    @perdure.node
    def node(state: Log) -> Log:
        return {"log": [type(value).__name__ for value in state["log"]] + [(4, frozenset({5}))]}

    output, _ = await outcome(lab, graph_of(node), perdure.Agents().codec.encode(given, what="in"))
    assert output["log"][:4] == given["log"]
    assert output["log"][4:] == ["date", "tuple", "set", "HumanMessage", (4, frozenset({5}))]


class Form(BaseModel):
    count: int
    note: str = "none"


async def test_a_pydantic_state_reaches_the_node_as_one(lab: Lab) -> None:
    @perdure.node
    def node(state: Form) -> dict[str, Any]:
        return {"count": state.count + 1, "note": type(state).__name__}

    output, _ = await outcome(lab, graph_of(node, schema=Form), {"count": 1})
    assert output == {"count": 2, "note": "Form"}


@dataclass
class Part:
    log: Annotated[list[Any], operator.add]


async def test_a_node_gets_its_own_input_schema(lab: Lab) -> None:
    class Whole(TypedDict):
        log: Annotated[list[Any], operator.add]
        other: str

    @perdure.node
    def node(state: Part) -> dict[str, Any]:
        return {"log": [type(state).__name__, hasattr(state, "other")]}

    graph = StateGraph(Whole).add_node("node", node, input_schema=Part).add_edge(START, "node")
    output, _ = await outcome(lab, graph, {"log": [], "other": "x"})
    assert output["log"] == ["Part", False]


async def test_a_private_state_passes_between_nodes(lab: Lab) -> None:
    class Secret(TypedDict):
        code: int

    @perdure.node
    def first(state: Log) -> Secret:
        return {"code": 7}

    @perdure.node
    def second(state: Secret) -> Log:
        return {"log": [state["code"]]}

    assert await outcome(lab, graph_of(first, second)) == ({"log": [7]}, ["node", "node"])


async def test_a_node_gets_config_runtime_writer_and_context(lab: Lab) -> None:
    class Context(TypedDict):
        who: str

    @perdure.node
    def node(
        state: Log, config: RunnableConfig, runtime: Runtime[Context], writer: StreamWriter
    ) -> Log:
        writer("chunk")
        given = cast("Any", config)
        parts, metadata = given["configurable"], given["metadata"]
        return {
            "log": [
                parts["tenant_id"],
                metadata["langgraph_node"],
                metadata["asked"],
                runtime.context["who"],
                given["tags"],
            ]
        }

    graph = graph_of(node, context_schema=Context)
    start: dict[str, Any] = {
        "configurable": {"tenant_id": "t1"},
        "metadata": {"asked": "yes"},
        "context": {"who": "ann"},
        "tags": ["a"],
    }
    output, _ = await outcome(lab, graph, **start)
    assert output["log"] == ["t1", "node", "yes", "ann", ["a"]]


async def test_what_a_node_streams_is_streamed_in_the_run(lab: Lab) -> None:
    @perdure.node
    def talker(state: Log, writer: StreamWriter) -> Log:
        writer("one")
        writer({"two": 2})
        return {"log": []}

    inner = graph_of(talker).compile()

    async def node(state: Log) -> Log:
        return {"log": [chunk async for chunk in inner.astream(EMPTY, stream_mode="custom")]}

    output, seen = await outcome(lab, graph_of(node))
    assert (output["log"], seen) == (["one", {"two": 2}], ["node"])


async def test_a_node_returns_commands_and_sends(lab: Lab) -> None:
    @perdure.node
    def first(state: Log) -> Command[Any]:
        return Command(update={"log": ["first"]}, goto=[Send("worker", 1), Send("worker", 1)])

    @perdure.node
    def worker(number: int) -> list[Any]:
        return [Command(update={"log": [number]}), {"log": ["too"]}]

    graph = StateGraph(Log).add_node("first", first).add_node("worker", worker)
    graph.add_edge(START, "first")
    output, seen = await outcome(lab, graph)
    assert output["log"] == ["first", 1, "too", 1, "too"]
    assert seen == ["node"] * 3


async def test_a_node_of_a_sub_graph_is_found_by_its_path(lab: Lab) -> None:
    def deep(state: Log) -> Log:
        return {"log": [Path(__file__).read_text()[:3]]}

    inner = StateGraph(Log).add_node("deep", deep, metadata=ACTIVITY).add_edge(START, "deep")
    middle = StateGraph(Log).add_node("inner", inner.compile()).add_edge(START, "inner")
    outer = StateGraph(Log).add_node("middle", middle.compile()).add_edge(START, "middle")
    output, seen = await outcome(lab, outer)
    assert (output["log"], seen) == (['"""'], ["node"])


async def test_a_command_to_the_parent_graph_leaves_the_sub_graph(lab: Lab) -> None:
    @perdure.node
    def leave(state: Log) -> Command[Any]:
        return Command(graph=Command.PARENT, update={"log": ["up"]}, goto="after")

    def after(state: Log) -> Log:
        return {"log": ["after"]}

    inner = StateGraph(Log).add_node("leave", leave).add_edge(START, "leave").compile()
    outer = StateGraph(Log).add_node("inner", inner).add_node("after", after)
    output, _ = await outcome(lab, outer.add_edge(START, "inner"))
    assert output["log"] == ["up", "after"]


async def test_an_interrupt_in_a_node_activity_asks_and_goes_on(lab: Lab) -> None:
    @perdure.node
    def node(state: Log) -> Log:
        return {"log": [interrupt("first?"), interrupt("second?")]}

    async with lab.worker(sole(graph_of(node))) as runs:
        run = await runs.start("graph", EMPTY)
        for answer in ("a", "b"):
            asked = await run.question()
            decision = {"type": "respond", "by": "ann", "value": answer, "question": asked["id"]}
            await run.decide(decision)
        assert (await run.result())["log"] == ["a", "b"]
        assert await kinds(run) == ["node"] * 3


async def test_the_exception_of_a_node_keeps_its_type_in_the_graph(lab: Lab) -> None:
    @perdure.node
    def fails(state: Log) -> Log:
        raise KeyError("no such customer")

    inner = graph_of(fails).compile()

    async def node(state: Log) -> Log:
        try:
            await inner.ainvoke(EMPTY)
        except KeyError as error:
            return {"log": [error.args[0]]}
        return EMPTY

    assert await outcome(lab, graph_of(node)) == ({"log": ["no such customer"]}, ["node"])


async def test_a_node_that_may_recover_is_tried_again(lab: Lab) -> None:
    tried: list[int] = []
    retry = perdure.Retry(
        initial=timedelta(milliseconds=10), maximum=timedelta(milliseconds=10), attempts=3
    )

    @perdure.node(retry=retry)
    def node(state: Log) -> Log:
        tried.append(1)
        if len(tried) < 3:
            raise ConnectionError("down")
        return {"log": [len(tried)]}

    output, seen = await outcome(lab, graph_of(node))
    assert (output["log"], seen) == ([3], ["node"])


async def test_a_retry_policy_of_the_graph_is_not_multiplied(lab: Lab) -> None:
    tried: list[int] = []

    @perdure.node
    def node(state: Log) -> Log:
        tried.append(1)
        raise ConnectionError("down")

    policy = RetryPolicy(max_attempts=2, initial_interval=0.01, jitter=False)
    graph = StateGraph(Log).add_node("node", node, retry_policy=policy).add_edge(START, "node")
    async with lab.worker(sole(graph)) as runs:
        run = await runs.start("graph", EMPTY)
        await run.failure(skip=True)
        assert len(tried) == 2
        assert await kinds(run) == ["node", "node"]


async def test_a_node_that_takes_too_long_fails_with_its_name(lab: Lab) -> None:
    once = perdure.Retry(initial=timedelta(seconds=1), maximum=timedelta(seconds=1), attempts=1)

    @perdure.node(timeout=timedelta(seconds=1), retry=once)
    async def node(state: Log) -> Log:
        await asyncio.get_running_loop().create_future()
        return EMPTY

    async with lab.worker(sole(graph_of(node))) as runs:
        failure = await (await runs.start("graph", EMPTY)).failure(skip=True)
        assert "node 'node': no end within 1 s" in failure.message


async def test_a_cancel_reaches_a_node(real: Lab) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    @perdure.node
    async def node(state: Log) -> Log:
        begun.set()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ended.set()
        return EMPTY

    async with real.worker(sole(graph_of(node))) as runs:
        run = await runs.start("graph", EMPTY)
        async with asyncio.timeout(20):
            await begun.wait()
            await run.handle.cancel()
            await ended.wait()


async def test_a_model_called_in_a_node_activity_is_part_of_it(lab: Lab) -> None:
    talker = model("hello")

    @perdure.node
    def node(state: Log) -> Log:
        return {"log": [talker.invoke("hi").text]}

    assert await outcome(lab, graph_of(node)) == ({"log": ["hello"]}, ["node"])


def double(number: int) -> int:
    return 2 * number


async def triple(number: int, *, config: RunnableConfig) -> int:
    return 3 * number + int((config.get("configurable") or {}).get("more", 0))


async def test_tasks_run_as_activities_side_by_side(lab: Lab) -> None:
    both: list[Any] = [perdure.node(task(_plain)), task(perdure.node(triple))]

    @entrypoint(checkpointer=InMemorySaver())
    async def flow(number: int) -> list[int]:
        return list(await asyncio.gather(*(one(number) for one in both)))

    output, seen = await outcome(lab, flow, 5, configurable={"more": 1})
    assert (output, seen) == ([50, 16], ["node", "node"])


def _plain(number: int) -> int:
    return 10 * number


async def test_a_sync_entrypoint_waits_for_a_task_that_is_an_activity(lab: Lab) -> None:
    doubled = cast("Any", task(perdure.node(double)))

    @entrypoint()
    def flow(number: int) -> int:
        return cast("int", doubled(number).result())

    assert await outcome(lab, flow, 5) == (10, ["node"])


def test_outside_a_run_the_function_is_called_as_it_is() -> None:
    assert perdure.node(double)(4) == 8
    assert graph_of(perdure.node(_node)).compile().invoke(EMPTY) == {"log": ["plain"]}


def _node(state: Log) -> Log:
    return {"log": ["plain"]}


def test_a_wrong_option_in_metadata_is_told_when_the_worker_starts() -> None:
    graph = StateGraph(Log).add_node("n", _node, metadata={"perdure": {"timout": 3}})
    with pytest.raises(BadOption, match="unknown option 'timout'"):
        perdure.Plugin(sole(graph.add_edge(START, "n"))).configure_worker(cast("Any", {}))


def test_a_graph_is_no_function() -> None:
    with pytest.raises(BadOption, match="takes a function"):
        perdure.node(graph_of(_node).compile())
