"""Retry, timeout, cache, error handlers and limits of nodes: as in plain LangGraph."""

import asyncio
import operator
from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Any, cast

import pytest
from langgraph.cache.memory import InMemoryCache
from langgraph.errors import NodeError, NodeTimeoutError
from langgraph.func import entrypoint, task
from langgraph.graph import START, StateGraph
from langgraph.types import CachePolicy, Command, RetryPolicy, Send, TimeoutPolicy
from temporalio import workflow
from typing_extensions import TypedDict

from integration.runtime.fakes import sole
from integration.runtime.harness import Lab

pytestmark = pytest.mark.timeout(60)


class Log(TypedDict):
    log: Annotated[list[Any], operator.add]


EMPTY: Log = {"log": []}


async def both(lab: Lab, make: Callable[[], Any], **compile: Any) -> Any:
    """Run a graph as plain LangGraph and in a run; return the output, which must be the same."""
    plain = await make().compile(**compile).ainvoke(EMPTY)
    async with lab.worker(sole(make().compile(**compile)), guard="off") as runs:
        run = await runs.start("graph", EMPTY)
        assert await run.result(skip=True) == plain
    return plain


def one(node: Any, **options: Any) -> Callable[[], Any]:
    """Make a graph of one node, with counters of its own each time."""

    def make() -> Any:
        return StateGraph(Log).add_node("node", node, **options).add_edge(START, "node")

    return make


async def fails_twice(state: Log, runtime: Any) -> Log:
    number = runtime.execution_info.node_attempt
    if number < 3:
        raise ConnectionError(f"attempt {number}")
    return {"log": [number]}


async def test_a_retry_policy_tries_again(lab: Lab) -> None:
    policy = RetryPolicy(max_attempts=3, initial_interval=0.01, jitter=False)
    assert await both(lab, one(fails_twice, retry_policy=policy)) == {"log": [3]}


async def test_a_retry_waits_on_a_durable_timer(lab: Lab) -> None:
    policy = RetryPolicy(max_attempts=3, initial_interval=60, backoff_factor=2, jitter=False)
    async with lab.worker(sole(one(fails_twice, retry_policy=policy)())) as runs:
        run = await runs.start("graph", EMPTY)
        await run.result(skip=True)
        assert [length.total_seconds() for _, length in await run.timers()] == [60, 120]


async def test_the_jitter_of_a_retry_replays(lab: Lab) -> None:
    policy = RetryPolicy(max_attempts=3, initial_interval=1, backoff_factor=1, jitter=True)
    async with lab.worker(sole(one(fails_twice, retry_policy=policy)())) as runs:
        run = await runs.start("graph", EMPTY)
        await run.result(skip=True)
        lengths = [length.total_seconds() for _, length in await run.timers()]
        assert len(set(lengths)) == 2
        assert all(1 <= length <= 2 for length in lengths)


async def test_what_a_retry_policy_does_not_name_is_not_tried_again(lab: Lab) -> None:
    async def node(state: Log) -> Log:
        raise ValueError("mine")

    policy = RetryPolicy(max_attempts=3, initial_interval=0.01, retry_on=KeyError)
    async with lab.worker(sole(one(node, retry_policy=policy)())) as runs:
        run = await runs.start("graph", EMPTY)
        assert "ValueError: mine" in (await run.failure(skip=True)).message
        assert await run.timers() == []


async def sleeps(state: Log) -> Log:
    await asyncio.sleep(3600)
    return EMPTY


async def test_a_node_that_exceeds_its_timeout_fails_as_in_langgraph(lab: Lab) -> None:
    with pytest.raises(NodeTimeoutError):
        await one(sleeps, timeout=0.01)().compile().ainvoke(EMPTY)
    async with lab.worker(sole(one(sleeps, timeout=60)())) as runs:
        failure = await (await runs.start("graph", EMPTY)).failure(skip=True)
        assert "NodeTimeoutError" in failure.message
        assert "60" in failure.message


async def test_a_node_that_is_idle_too_long_fails_as_in_langgraph(lab: Lab) -> None:
    policy = TimeoutPolicy(idle_timeout=timedelta(minutes=1), run_timeout=timedelta(hours=2))
    async with lab.worker(sole(one(sleeps, timeout=policy)())) as runs:
        run = await runs.start("graph", EMPTY)
        failure = await run.failure(skip=True)
        assert "NodeTimeoutError" in failure.message
        lengths = [length.total_seconds() for _, length in await run.timers()]
        assert sorted(lengths) == [60, 3600, 7200]


async def test_a_heartbeat_keeps_a_node_from_being_idle(lab: Lab) -> None:
    async def node(state: Log, runtime: Any) -> Log:
        for _ in range(3):
            await asyncio.sleep(0.03)
            runtime.heartbeat()
        return {"log": ["kept"]}

    policy = TimeoutPolicy(idle_timeout=0.2, refresh_on="heartbeat")
    assert await both(lab, one(node, timeout=policy)) == {"log": ["kept"]}


def sending(*payloads: Any) -> Any:
    """Make a router that sends these to the node "work"."""

    def route(_: Log) -> list[Send]:
        return [Send("work", payload) for payload in payloads]

    return route


def repeat(payload: dict[str, Any]) -> Log:
    return {"log": [payload["x"]]}


def naming(name: str) -> Any:
    def node(_: Log) -> Log:
        return {"log": [name]}

    return node


def cached_twice() -> Any:
    """Run a node with a cache policy twice, with the same state each time."""
    counted: list[int] = []

    async def work(state: Log) -> Log:
        counted.append(1)
        return {"log": [len(counted) if not workflow.in_workflow() else 1]}

    async def again(state: Log) -> Command[Any]:
        if len(state["log"]) > 1:
            return Command()
        return Command(goto=Send("work", {"log": []}))

    graph = StateGraph(Log).add_node("work", work, cache_policy=CachePolicy())
    graph.add_node("again", again)
    cast("Any", graph).add_conditional_edges(START, sending({"log": []}), ["work"])
    return graph.add_edge("work", "again")


async def test_a_cache_policy_keeps_a_result_within_the_run(lab: Lab) -> None:
    output = await both(lab, cached_twice, cache=InMemoryCache())
    assert output == {"log": [1, 1]}


async def test_runs_do_not_share_what_their_nodes_cached(lab: Lab) -> None:
    entered: list[str] = []

    async def node(state: Log) -> Log:
        if not workflow.unsafe.is_replaying():
            entered.append(workflow.info().workflow_id)
        return {"log": [1]}

    graph = one(node, cache_policy=CachePolicy())().compile(cache=InMemoryCache())
    async with lab.worker(sole(graph)) as runs:
        for _ in range(2):
            await (await runs.start("graph", EMPTY)).result()
    assert len(set(entered)) == 2


async def test_a_cached_result_ends_with_its_time(lab: Lab) -> None:
    @task(cache_policy=CachePolicy(ttl=60))
    async def moment() -> float:
        return workflow.time()

    @entrypoint(cache=InMemoryCache())
    async def flow(_: Any) -> list[bool]:
        first = await moment()
        await asyncio.sleep(30)
        second = await moment()
        await asyncio.sleep(60)
        return [first == second, await moment() == second]

    async with lab.worker(sole(flow)) as runs:
        run = await runs.start("graph", 1)
        assert await run.result(skip=True) == [True, False]


def handled(name: str) -> Any:
    async def handler(state: Log, error: NodeError) -> Log:
        await asyncio.sleep(0.001)
        return {"log": [f"{name} handled {error.node}: {error.error}"]}

    return handler


def failing(name: str) -> Any:
    async def node(state: Log) -> Log:
        await asyncio.sleep(0.001)
        raise ValueError(f"{name} broke")

    return node


def two_failing() -> Any:
    graph = StateGraph(Log)
    for name in ("a", "b", "c"):
        graph.add_node(name, failing(name), error_handler=handled(name))
        graph.add_edge(START, name)
    return graph


async def test_error_handlers_take_over(lab: Lab) -> None:
    output = await both(lab, two_failing)
    assert output["log"] == [f"{n} handled {n}: {n} broke" for n in "abc"]


async def test_handlers_of_errors_in_one_tick_begin_in_the_same_order_on_replay(lab: Lab) -> None:
    made = StateGraph(Log)
    order: list[str] = []

    def handler(name: str) -> Any:
        async def handle(state: Log, error: NodeError) -> Log:
            order.append(name)
            await asyncio.sleep(1)
            return {"log": [name]}

        return handle

    def broken(name: str) -> Any:
        async def node(state: Log) -> Log:
            raise ValueError(name)

        return node

    names = [f"n{number}" for number in range(12)]
    for name in names:
        made.add_node(name, broken(name), error_handler=handler(name)).add_edge(START, name)
    async with lab.worker(sole(made)) as runs:
        run = await runs.start("graph", EMPTY)
        await run.result(skip=True)
    passes = [order[i : i + len(names)] for i in range(0, len(order), len(names))]
    assert len(passes) > 1
    assert all(one == passes[0] for one in passes)


async def test_a_deferred_node_waits_for_the_longer_branch(lab: Lab) -> None:
    def make() -> Any:
        graph = StateGraph(Log)
        for name in ("short", "long1", "long2"):
            graph.add_node(name, naming(name))
        graph.add_node("last", naming("last"), defer=True)
        graph.add_edge(START, "short").add_edge(START, "long1").add_edge("long1", "long2")
        return graph.add_edge("short", "last").add_edge("long2", "last")

    assert (await both(lab, make))["log"][-1] == "last"


async def test_two_sends_of_the_same_both_run(lab: Lab) -> None:
    def make() -> Any:
        graph = StateGraph(Log).add_node("work", cast("Any", repeat))
        return cast("Any", graph).add_conditional_edges(
            START, sending({"x": 1}, {"x": 1}), ["work"]
        )

    assert await both(lab, make) == {"log": [1, 1]}


async def test_a_node_runs_again_although_its_state_is_the_same(lab: Lab) -> None:
    class Count(TypedDict):
        same: str

    async def node(state: Count) -> Command[Any]:
        return Command(goto="node")

    graph = StateGraph(Count).add_node("node", node).add_edge(START, "node")
    async with lab.worker(sole(graph)) as runs:
        run = await runs.start("graph", {"same": "x"}, recursion_limit=7)
        failure = await run.failure()
        assert "GraphRecursionError: Recursion limit of 7 reached" in failure.message


async def test_the_recursion_limit_speaks_as_langgraph_does(lab: Lab) -> None:
    def loop(state: Log) -> Command[Any]:
        return Command(goto="node")

    plain: str = ""
    try:
        await one(loop)().compile().ainvoke(EMPTY, {"recursion_limit": 3})
    except RecursionError as error:
        plain = str(error)
    async with lab.worker(sole(one(loop)())) as runs:
        run = await runs.start("graph", EMPTY, recursion_limit=3)
        failure = await run.failure()
        assert " ".join(plain.split()) in failure.message
        assert "GraphRecursionError" in _classes(failure)


def _classes(failure: Any) -> list[str]:
    """List the types of a failure and of its causes."""
    return [] if failure is None else [str(failure.type), *_classes(failure.cause)]
