"""Sync nodes call models, tools and agents; each call is an activity of its own."""

import asyncio
import operator
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any, cast

import pytest
from langchain import agents as langchain_agents
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda, RunnableParallel
from langgraph.func import entrypoint, task
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import interrupt
from typing_extensions import TypedDict

import perdure
from integration.runtime.fakes import calls, chain, model, search, sole
from integration.runtime.harness import HELLO, Lab, Started, is_failed_task
from perdure.errors import ToolFailed

pytestmark = pytest.mark.timeout(60)


class Log(TypedDict):
    log: Annotated[list[Any], operator.add]


EMPTY: Log = {"log": []}
Node = Callable[[Log], Log]


def hello() -> list[Any]:
    return [HumanMessage("hi")]


def finder() -> Any:
    """Make an agent that searches once."""
    talker = model(calls("search", {"q": "x"}), "found")
    return cast("Any", langchain_agents).create_agent(talker, [perdure.tool(search)])


async def kinds(run: Started) -> list[str]:
    return [call.kind.removeprefix("perdure.") for call in await run.calls()]


async def log_of(lab: Lab, *nodes: Node) -> tuple[list[Any], list[str]]:
    """Run sync nodes one after the other; return what they logged and the activities."""
    async with lab.worker(chain(*nodes, schema=Log)) as runs:
        run = await runs.start("graph", EMPTY)
        return (await run.result())["log"], await kinds(run)


async def test_a_sync_node_calls_a_model(lab: Lab) -> None:
    talker = model("one")

    def node(state: Log) -> Log:
        return {"log": [talker.invoke(hello()).text]}

    assert await log_of(lab, node) == (["one"], ["model"])


async def test_a_sync_node_calls_a_model_twice(lab: Lab) -> None:
    talker = model("one", "two")

    def node(state: Log) -> Log:
        first = talker.invoke(hello())
        second = talker.invoke([*hello(), first])
        return {"log": [first.text, second.text]}

    assert await log_of(lab, node) == (["one", "two"], ["model", "model"])


async def test_a_sync_node_calls_a_tool(lab: Lab) -> None:
    tool = perdure.tool(search)

    def node(state: Log) -> Log:
        return {"log": [tool.invoke({"q": "x"})]}

    assert await log_of(lab, node) == ([search("x")], ["tool"])


async def test_a_sync_batch_makes_its_calls_side_by_side(lab: Lab) -> None:
    talker = model("one")

    def node(state: Log) -> Log:
        return {"log": [m.text for m in talker.batch([hello(), hello(), hello()])]}

    async with lab.worker(chain(node, schema=Log)) as runs:
        run = await runs.start("graph", EMPTY)
        assert await run.result() == {"log": ["one"] * 3}
        assert len({call.task for call in await run.calls()}) == 1


async def test_a_sync_batch_as_completed_gives_all_results(lab: Lab) -> None:
    talker = model("one")

    def node(state: Log) -> Log:
        done = talker.batch_as_completed([hello(), hello()])
        return {"log": sorted((number, m.text) for number, m in done)}

    assert await log_of(lab, node) == ([(0, "one"), (1, "one")], ["model", "model"])


async def test_a_sync_stream_gives_the_text(lab: Lab) -> None:
    talker = model("one")

    def node(state: Log) -> Log:
        return {"log": ["".join(part.text for part in talker.stream(hello()))]}

    assert await log_of(lab, node) == (["one"], ["model"])


async def test_a_sync_chain_runs_step_by_step(lab: Lab) -> None:
    line = ChatPromptTemplate.from_messages([("human", "{q}")]) | model("one") | StrOutputParser()

    def node(state: Log) -> Log:
        return {"log": [line.invoke({"q": "hi"}), *line.batch([{"q": "a"}, {"q": "b"}])]}

    assert await log_of(lab, node) == (["one"] * 3, ["model"] * 3)


async def test_runnables_run_side_by_side_in_a_sync_node(lab: Lab) -> None:
    talker = model("one")
    both = RunnableParallel(a=talker, b=RunnableLambda(lambda _: "b"))

    def node(state: Log) -> Log:
        found = both.invoke(hello())
        return {"log": [found["a"].text, found["b"]]}

    assert await log_of(lab, node) == (["one", "b"], ["model"])


async def test_a_sync_node_invokes_an_agent(lab: Lab) -> None:
    agent: Any = cast("Any", langchain_agents).create_agent(
        model(calls("search", {"q": "x"}), "found"), [perdure.tool(search)]
    )

    def node(state: Log) -> Log:
        return {"log": [agent.invoke({"messages": hello()})["messages"][-1].text]}

    assert await log_of(lab, node) == (["found"], ["model", "tool", "model"])


async def test_a_sync_node_streams_an_agent(lab: Lab) -> None:
    agent: Any = cast("Any", langchain_agents).create_agent(
        model(calls("search", {"q": "x"}), "found"), [perdure.tool(search)]
    )

    def node(state: Log) -> Log:
        parts = agent.stream({"messages": hello()}, stream_mode="updates")
        return {"log": [next(iter(part)) for part in parts]}

    assert await log_of(lab, node) == (["model", "tools", "model"], ["model", "tool", "model"])


async def test_sync_graphs_nest_three_deep(lab: Lab) -> None:
    talker = model("deep")

    def innermost(state: Log) -> Log:
        return {"log": [talker.invoke(hello()).text]}

    def within(node: Any) -> Any:
        graph = StateGraph(Log)
        graph.add_node("node", node)
        graph.add_edge(START, "node")
        compiled = graph.compile()

        def outer(state: Log) -> Log:
            return {"log": compiled.invoke(EMPTY)["log"]}

        return outer

    assert await log_of(lab, within(within(innermost))) == (["deep"], ["model"])


async def test_sleep_in_a_sync_node_is_a_timer(lab: Lab) -> None:
    def node(state: Log) -> Log:
        time.sleep(3600)
        return {"log": ["later"]}

    async with lab.worker(chain(node, schema=Log), guard="off") as runs:
        run = await runs.start("graph", EMPTY)
        assert await run.result(skip=True) == {"log": ["later"]}
        assert [length.total_seconds() for _, length in await run.timers()] == [3600]


async def test_an_exception_of_a_call_is_caught_in_a_sync_node(lab: Lab) -> None:
    def broken(q: str) -> str:
        """Break."""
        raise ValueError("no")

    tool = perdure.tool(
        broken,
        retry=perdure.Retry(
            initial=perdure.LLM_RETRY.initial, maximum=perdure.LLM_RETRY.maximum, attempts=1
        ),
    )

    def node(state: Log) -> Log:
        try:
            tool.invoke({"q": "x"})
        except ToolFailed as error:
            return {"log": ["no" in str(error)]}
        return {"log": ["nothing raised"]}

    assert await log_of(lab, node) == ([True], ["tool"])


async def test_a_sync_node_interrupts_after_a_call(lab: Lab) -> None:
    talker = model("one")

    def node(state: Log) -> Log:
        said = talker.invoke(hello()).text
        return {"log": [said, interrupt("colour?")]}

    async with lab.worker(chain(node, schema=Log)) as runs:
        run = await runs.start("graph", EMPTY)
        await run.question()
        await run.decide({"type": "respond", "by": "ann", "value": "red"})
        assert await run.result() == {"log": ["one", "red"]}


async def test_parallel_sync_nodes_overlap(lab: Lab) -> None:
    talker = model("one")

    def node(state: Log) -> Log:
        return {"log": [talker.invoke(hello()).text]}

    graph = StateGraph(Log)
    for name in ("a", "b", "c"):
        graph.add_node(name, node)
        graph.add_edge(START, name)
    async with lab.worker(sole(graph.compile())) as runs:
        run = await runs.start("graph", EMPTY)
        assert await run.result() == {"log": ["one"] * 3}
        assert len({call.task for call in await run.calls()}) == 1


async def test_sync_tasks_of_a_sync_entrypoint_run_side_by_side(lab: Lab) -> None:
    talker = model("one")

    @task
    def say(number: int) -> str:
        return f"{number} {talker.invoke(hello()).text}"

    @entrypoint()
    def flow(count: int) -> list[str]:
        return [future.result() for future in [say(number) for number in range(count)]]

    async with lab.worker(sole(flow)) as runs:
        run = await runs.start("graph", 3)
        assert await run.result() == ["0 one", "1 one", "2 one"]
        assert len({call.task for call in await run.calls()}) == 1


async def test_without_the_bridge_a_sync_call_is_told(lab: Lab) -> None:
    talker = model("one")

    def node(state: Log) -> Log:
        return {"log": [talker.invoke(hello()).text]}

    agents = perdure.Agents(bridge=False)
    agents.add("graph", chain(node, schema=Log).graph("graph"))
    async with lab.worker(agents) as runs:
        run = await runs.start("graph", EMPTY)
        failure = await run.failure()
        assert failure.type == "sync_call"
        assert "model 'm' was called in sync code that cannot wait" in str(failure)


async def test_many_runs_that_wait_in_sync_code_share_a_small_cache(lab: Lab) -> None:
    talker = model("one", "two", "three")

    def node(state: MessagesState) -> Any:
        return {"messages": [AIMessage(talker.invoke(state["messages"]).text)]}

    crowded = Lab(client=lab.client, environment=lab.environment, cache=3)
    graph = StateGraph(MessagesState)
    for name in ("a", "b", "c"):
        graph.add_node(name, node)
    graph.add_edge(START, "a")
    graph.add_edge("a", "b")
    graph.add_edge("b", "c")
    async with crowded.worker(sole(graph.compile())) as runs:
        started = [await runs.start("graph", HELLO) for _ in range(18)]
        texts = await asyncio.gather(*(run.texts() for run in started))
        assert texts == [["hello", "one", "two", "three"]] * 18
        histories = [await run.events() for run in started]
        assert not [e for events in histories for e in events if is_failed_task(e)]


def test_outside_a_run_threads_are_left_alone() -> None:
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(lambda: 5).result() == 5
