"""What else sync code of a run may do: pools, states, streams, timeouts, cancels."""

import asyncio
import operator
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, as_completed, wait
from threading import Thread
from typing import Annotated, Any, cast

import pytest
from langchain import agents as langchain_agents
from langchain_core.messages import HumanMessage
from langchain_core.runnables import RunnableConfig, RunnableLambda, RunnableParallel
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.config import get_config
from langgraph.func import entrypoint, task
from langgraph.graph import START, StateGraph
from langgraph.types import Command, interrupt
from temporalio import workflow
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError
from typing_extensions import TypedDict

import perdure
from integration.runtime.fakes import calls, chain, model, search, sole
from integration.runtime.harness import Lab, Started, eventually
from perdure.errors import ToolFailed

pytestmark = pytest.mark.timeout(60)


class Log(TypedDict):
    log: Annotated[list[Any], operator.add]


EMPTY: Log = {"log": []}
Node = Callable[[Log], Log]
create_agent: Any = cast("Any", langchain_agents).create_agent


def hello() -> list[Any]:
    return [HumanMessage("hi")]


def graph_of(*nodes: Any, **options: Any) -> Any:
    graph = StateGraph(Log)
    graph.add_sequence(list(nodes))
    return graph.add_edge(START, nodes[0].__name__).compile(**options)


async def kinds(run: Started) -> list[str]:
    return [call.kind.removeprefix("perdure.") for call in await run.calls()]


async def log_of(lab: Lab, *nodes: Any, **plugin: Any) -> tuple[list[Any], list[str]]:
    """Run nodes one after the other; return what they logged and the activities."""
    async with lab.worker(chain(*nodes, schema=Log), **plugin) as runs:
        run = await runs.start("graph", EMPTY)
        return (await run.result(skip=True))["log"], await kinds(run)


# Sync calls in async code


async def test_an_async_node_calls_a_model_in_the_sync_way(lab: Lab) -> None:
    talker = model("one")

    async def node(state: Log) -> Log:
        return {"log": [talker.invoke(hello()).text, (await talker.ainvoke(hello())).text]}

    assert await log_of(lab, node) == (["one", "one"], ["model", "model"])


async def test_async_nodes_that_wait_in_the_sync_way_overlap(lab: Lab) -> None:
    talker = model("one")

    async def node(state: Log) -> Log:
        return {"log": [talker.invoke(hello()).text]}

    graph = StateGraph(Log)
    for name in ("a", "b", "c"):
        graph.add_node(name, node)
        graph.add_edge(START, name)
    async with lab.worker(sole(graph.compile())) as runs:
        run = await runs.start("graph", EMPTY)
        assert await run.result() == {"log": ["one"] * 3}
        assert len({call.task for call in await run.calls()}) == 1


async def test_an_async_node_invokes_a_graph_in_the_sync_way(lab: Lab) -> None:
    agent = create_agent(model(calls("search", {"q": "x"}), "found"), [perdure.tool(search)])

    async def node(state: Log) -> Log:
        return {"log": [agent.invoke({"messages": hello()})["messages"][-1].text]}

    assert await log_of(lab, node) == (["found"], ["model", "tool", "model"])


async def test_an_error_of_a_sync_call_is_caught_in_an_async_node(lab: Lab) -> None:
    def broken(q: str) -> str:
        """Break."""
        raise ValueError("no")

    tool = perdure.tool(
        broken,
        retry=perdure.Retry(
            initial=perdure.LLM_RETRY.initial, maximum=perdure.LLM_RETRY.maximum, attempts=1
        ),
    )

    async def node(state: Log) -> Log:
        try:
            tool.invoke({"q": "x"})
        except ToolFailed as error:
            return {"log": ["no" in str(error)]}
        return {"log": ["nothing raised"]}

    assert await log_of(lab, node) == ([True], ["tool"])


async def test_a_timeout_ends_a_sync_call_in_an_async_node(lab: Lab) -> None:
    async def node(state: Log) -> Log:
        try:
            async with asyncio.timeout(60):
                time.sleep(3600)
        except TimeoutError:
            return {"log": ["too long"]}
        return {"log": ["slept"]}

    assert (await log_of(lab, node))[0] == ["too long"]


# Pools and futures


async def test_a_pool_of_threads_calls_models_side_by_side(lab: Lab) -> None:
    talker = model("one")

    def node(state: Log) -> Log:
        with ThreadPoolExecutor(max_workers=3) as pool:
            return {"log": [m.text for m in pool.map(talker.invoke, [hello()] * 3)]}

    async with lab.worker(chain(node, schema=Log)) as runs:
        run = await runs.start("graph", EMPTY)
        assert await run.result() == {"log": ["one"] * 3}
        assert len({call.task for call in await run.calls()}) == 1


async def test_a_pool_that_closes_waits_for_its_calls(lab: Lab) -> None:
    talker = model("one")

    def node(state: Log) -> Log:
        said: list[str] = []
        with ThreadPoolExecutor() as pool:
            pool.submit(lambda: said.append(talker.invoke(hello()).text))
        return {"log": said}

    assert await log_of(lab, node) == (["one"], ["model"])


async def test_futures_come_as_they_complete(lab: Lab) -> None:
    def late(seconds: int) -> int:
        time.sleep(seconds)
        return seconds

    def node(state: Log) -> Log:
        with ThreadPoolExecutor() as pool:
            futures = [pool.submit(late, seconds) for seconds in (30, 10, 20)]
            return {"log": [future.result() for future in as_completed(futures)]}

    assert await log_of(lab, node) == ([10, 20, 30], [])


async def test_waiting_for_the_first_future_leaves_the_others(lab: Lab) -> None:
    def late(seconds: int) -> int:
        time.sleep(seconds)
        return seconds

    def node(state: Log) -> Log:
        with ThreadPoolExecutor() as pool:
            futures = [pool.submit(late, seconds) for seconds in (30, 10)]
            done, left = wait(futures, return_when=FIRST_COMPLETED)
            return {"log": [[one.result() for one in done], len(left)]}

    assert (await log_of(lab, node))[0] == [[10], 1]


async def test_many_futures_that_are_done_have_the_same_order_on_replay(lab: Lab) -> None:
    talker = model("one")

    def node(state: Log) -> Log:
        with ThreadPoolExecutor() as pool:
            futures = {pool.submit(int, str(number)): number for number in range(40)}
            wait(futures)
            order = [futures[future] for future in as_completed(futures)]
        return {"log": [talker.invoke([HumanMessage(str(order))]).text]}

    assert await log_of(lab, node) == (["one"], ["model"])


async def test_a_future_gives_its_exception(lab: Lab) -> None:
    def fail() -> None:
        time.sleep(5)
        raise ValueError("no")

    def node(state: Log) -> Log:
        with ThreadPoolExecutor() as pool:
            return {"log": [str(pool.submit(fail).exception())]}

    assert (await log_of(lab, node))[0] == ["no"]


async def test_a_future_that_takes_too_long_times_out(lab: Lab) -> None:
    def node(state: Log) -> Log:
        with ThreadPoolExecutor() as pool:
            future = pool.submit(time.sleep, 30)
            try:
                future.result(timeout=10)
            except TimeoutError:
                return {"log": ["too long"]}
        return {"log": ["in time"]}

    assert (await log_of(lab, node))[0] == ["too long"]


async def test_runnables_stream_side_by_side_in_a_sync_node(lab: Lab) -> None:
    both = RunnableParallel(a=model("one"), b=RunnableLambda(lambda _: "b"))

    def node(state: Log) -> Log:
        parts: dict[str, Any] = {}
        for part in both.stream(hello()):
            parts |= {name: getattr(value, "text", value) for name, value in part.items()}
        return {"log": [parts["a"], parts["b"]]}

    assert await log_of(lab, node) == (["one", "b"], ["model"])


async def test_a_thread_in_a_run_is_refused(lab: Lab) -> None:
    def node(state: Log) -> Log:
        Thread(target=print).start()
        return {"log": []}

    async with lab.worker(chain(node, schema=Log), guard="off") as runs:
        failure = await (await runs.start("graph", EMPTY)).failure()
        assert "was started inside a run" in str(failure)


async def test_asyncio_run_in_a_sync_node_waits(lab: Lab) -> None:
    talker = model("one")

    def node(state: Log) -> Log:
        return {"log": [asyncio.run(talker.ainvoke(hello())).text]}

    assert await log_of(lab, node) == (["one"], ["model"])


# Graphs in sync nodes


async def test_a_sync_node_reads_and_changes_the_state_of_a_graph(lab: Lab) -> None:
    def inner(state: Log) -> Log:
        return {"log": ["inner"]}

    def node(state: Log) -> Log:
        compiled = graph_of(inner, checkpointer=InMemorySaver())
        config: RunnableConfig = {"configurable": {"thread_id": "own"}}
        compiled.invoke(EMPTY, config)
        compiled.update_state(config, {"log": ["changed"]})
        history = list(compiled.get_state_history(config))
        return {"log": [compiled.get_state(config).values["log"], len(history)]}

    assert (await log_of(lab, node))[0] == [["inner", "changed"], 4]


async def test_a_sync_batch_of_a_graph_runs_side_by_side(lab: Lab) -> None:
    talker = model("one")

    def inner(state: Log) -> Log:
        return {"log": [talker.invoke(hello()).text]}

    compiled = graph_of(inner)

    def node(state: Log) -> Log:
        return {"log": [one["log"] for one in compiled.batch([EMPTY, EMPTY])]}

    async with lab.worker(chain(node, schema=Log)) as runs:
        run = await runs.start("graph", EMPTY)
        assert await run.result() == {"log": [["one"], ["one"]]}
        assert len({call.task for call in await run.calls()}) == 1


async def test_a_stream_that_nobody_reads_on_runs_no_further(lab: Lab) -> None:
    talker = model("one", "two")

    def first(state: Log) -> Log:
        return {"log": [talker.invoke(hello()).text]}

    def second(state: Log) -> Log:
        return {"log": [talker.invoke(hello()).text]}

    compiled = graph_of(first, second)

    def node(state: Log) -> Log:
        for part in compiled.stream(EMPTY, stream_mode="updates"):
            return {"log": [part["first"]["log"]]}
        return {"log": []}

    assert await log_of(lab, node) == ([["one"]], ["model"])


async def test_a_graph_three_deep_asks_and_goes_on(lab: Lab) -> None:
    talker = model("one")

    def innermost(state: Log) -> Log:
        return {"log": [talker.invoke(hello()).text, interrupt("colour?")]}

    deepest = graph_of(innermost)

    def middle(state: Log) -> Log:
        return {"log": deepest.invoke(EMPTY)["log"]}

    inner = graph_of(middle)

    def node(state: Log) -> Log:
        return {"log": inner.invoke(EMPTY)["log"]}

    async with lab.worker(chain(node, schema=Log)) as runs:
        run = await runs.start("graph", EMPTY)
        await run.question()
        await run.decide({"type": "respond", "by": "ann", "value": "red"})
        assert await run.result() == {"log": ["one", "red"]}


async def test_a_sync_graph_hands_over_to_its_parent(lab: Lab) -> None:
    talker = model("one")

    def leaves(state: Log) -> Command[Any]:
        return Command(goto="last", graph=Command.PARENT, update={"log": ["handed"]})

    def last(state: Log) -> Log:
        return {"log": [talker.invoke(hello()).text]}

    graph = StateGraph(Log)
    graph.add_node("inner", graph_of(leaves))
    graph.add_node("last", last)
    graph.add_edge(START, "inner")
    async with lab.worker(sole(graph.compile())) as runs:
        run = await runs.start("graph", EMPTY)
        assert await run.result() == {"log": ["handed", "one"]}


async def test_the_config_of_the_node_is_there_after_a_wait(lab: Lab) -> None:
    talker = model("one")

    def name() -> str:
        return get_config().get("metadata", {})["langgraph_node"]

    def alpha(state: Log) -> Log:
        before = name()
        talker.invoke(hello())
        return {"log": [before, name()]}

    def beta(state: Log) -> Log:
        return {"log": [[name() for _ in talker.batch([hello()])]]}

    graph = StateGraph(Log)
    for node in (alpha, beta):
        graph.add_node(node.__name__, node)
        graph.add_edge(START, node.__name__)
    async with lab.worker(sole(graph.compile())) as runs:
        run = await runs.start("graph", EMPTY)
        assert await run.result() == {"log": ["alpha", "alpha", ["beta"]]}


async def test_an_async_task_waits_for_a_sync_one(lab: Lab) -> None:
    talker = model("one")

    @task
    def say(number: int) -> str:
        return f"{number} {talker.invoke(hello()).text}"

    @entrypoint()
    async def flow(count: int) -> list[str]:
        return list(await asyncio.gather(*(say(number) for number in range(count))))

    async with lab.worker(sole(flow)) as runs:
        run = await runs.start("graph", 2)
        assert await run.result() == ["0 one", "1 one"]


async def test_a_sync_entrypoint_is_invoked_in_a_sync_node(lab: Lab) -> None:
    talker = model("one")

    @entrypoint()
    def flow(text: str) -> str:
        return text + talker.invoke(hello()).text

    def node(state: Log) -> Log:
        return {"log": [flow.invoke("got ")]}

    assert await log_of(lab, node) == (["got one"], ["model"])


# Cancelling


async def test_a_cancel_reaches_a_sync_node_that_waits(lab: Lab) -> None:
    talker = model("one")

    def node(state: Log) -> Log:
        try:
            time.sleep(3600)
        finally:
            state["log"].append(talker)
        return {"log": ["slept"]}

    async with lab.worker(chain(node, schema=Log)) as runs:
        run = await runs.start("graph", EMPTY)
        await eventually_timer(run)
        await run.handle.cancel()
        with pytest.raises(WorkflowFailureError):
            await run.result()
        assert await run.status() == WorkflowExecutionStatus.CANCELED


async def test_a_cancel_reaches_the_calls_of_a_batch(lab: Lab) -> None:
    def late(seconds: int) -> int:
        time.sleep(seconds)
        return seconds

    def node(state: Log) -> Log:
        return {"log": RunnableLambda(late).batch([3600, 7200])}

    async with lab.worker(chain(node, schema=Log)) as runs:
        run = await runs.start("graph", EMPTY)
        await eventually_timer(run)
        await run.handle.cancel()
        with pytest.raises(WorkflowFailureError):
            await run.result()
        assert await run.status() == WorkflowExecutionStatus.CANCELED


async def eventually_timer(run: Started) -> None:
    async def look() -> Any:
        return await run.timers() or None

    await eventually(look, what="a timer")


# Workflows written by hand


@workflow.defn
class ByHand:
    """Call a model in the sync way, in the sandbox."""

    @workflow.run
    async def run(self) -> list[str]:
        return [TALKER.invoke("hello").text, *(m.text for m in TALKER.batch(["a", "b"]))]


TALKER = model("one", name="by hand")


async def test_a_sandboxed_workflow_calls_models_in_the_sync_way(lab: Lab) -> None:
    async with lab.worker(perdure.Agents(), workflows=[ByHand]) as runs:
        run = await runs.start_raw(workflow=ByHand.run)
        assert await run.handle.result() == ["one"] * 3
        assert await kinds(run) == ["model"] * 3
