"""A LangGraph graph runs in a workflow as it runs anywhere else."""

from typing import Any, Literal

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, AnyMessage, BaseMessage, HumanMessage, ToolMessage
from langgraph.func import entrypoint, task
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from typing_extensions import TypedDict

import perdure
from integration.runtime.fakes import Scripted, calls, chain, model, search, searching, sole
from integration.runtime.harness import HELLO, Lab

pytestmark = pytest.mark.timeout(60)


class Count(TypedDict):
    n: int


def counting(first: Any, router: Any) -> perdure.Agents:
    """Make a graph of two nodes, whose router decides whether the second one runs."""

    async def second(state: Count) -> Count:
        return {"n": state["n"] + 10}

    graph = StateGraph(Count)
    graph.add_node("first", first)
    graph.add_node("second", second)
    graph.add_edge(START, "first")
    graph.add_conditional_edges("first", router, ["second", END])
    graph.add_edge("second", END)
    return sole(graph)


async def add_async(state: Count) -> Count:
    return {"n": state["n"] + 1}


def add_sync(state: Count) -> Count:
    return {"n": state["n"] + 1}


async def route_async(state: Count) -> Literal["second", "__end__"]:
    return "second" if state["n"] == 1 else "__end__"


def route_sync(state: Count) -> Literal["second", "__end__"]:
    return "second" if state["n"] == 1 else "__end__"


@pytest.mark.parametrize("node", [add_async, add_sync], ids=["async_node", "sync_node"])
@pytest.mark.parametrize("router", [route_async, route_sync], ids=["async_router", "sync_router"])
@pytest.mark.parametrize(("n", "expected"), [(0, 11), (5, 6)], ids=["on", "end"])
async def test_nodes_and_routers_may_be_sync_or_async(
    lab: Lab, node: Any, router: Any, n: int, expected: int
) -> None:
    async with lab.worker(counting(node, router)) as runs:
        run = await runs.start("graph", {"n": n})
        assert await run.result() == {"n": expected}


async def test_create_agent_calls_model_and_tools_as_activities(lab: Lab) -> None:
    async with lab.worker(searching("hats")) as runs:
        run = await runs.start("searcher")
        assert await run.texts() == ["hello", "", "found hats", "done"]
        assert [call.kind for call in await run.calls()] == [
            "perdure.model",
            "perdure.tool",
            "perdure.model",
        ]


async def test_tool_node_and_tools_condition_work_as_in_langgraph(lab: Lab) -> None:
    tool = perdure.tool(search)
    bound = model(calls("search", {"q": "hats"}), "done").bind_tools([tool])

    async def think(state: MessagesState) -> MessagesState:
        return {"messages": [await bound.ainvoke(state["messages"])]}

    graph = StateGraph(MessagesState)
    graph.add_node("think", think)
    graph.add_node("tools", ToolNode([tool]))
    graph.add_edge(START, "think")
    graph.add_conditional_edges("think", tools_condition)
    graph.add_edge("tools", "think")
    async with lab.worker(sole(graph)) as runs:
        run = await runs.start("graph")
        assert await run.texts() == ["hello", "", "found hats", "done"]


async def test_parallel_tool_calls_are_scheduled_in_one_workflow_task(lab: Lab) -> None:
    async with lab.worker(searching("a", "b", "c")) as runs:
        run = await runs.start("searcher")
        await run.result()
        tools = [call for call in await run.calls() if call.kind == "perdure.tool"]
        assert len(tools) == 3
        assert len({call.task for call in tools}) == 1


async def test_results_of_parallel_tools_stand_in_the_order_of_the_calls(lab: Lab) -> None:
    async with lab.worker(searching("a", "b", "c")) as runs:
        run = await runs.start("searcher")
        texts = await run.texts()
        assert texts[2:5] == ["found a", "found b", "found c"]


class Seen(MessagesState):
    kinds: list[list[str]]


async def test_every_node_sees_real_message_objects(lab: Lab) -> None:
    bound = model("hi there")

    def note(state: Seen) -> list[list[str]]:
        return [*state.get("kinds", []), [type(m).__name__ for m in state["messages"]]]

    async def think(state: Seen) -> Seen:
        return {"messages": [await bound.ainvoke(state["messages"])], "kinds": note(state)}

    def last(state: Seen) -> Seen:
        return {"messages": [], "kinds": note(state)}

    async with lab.worker(chain(think, last, schema=Seen)) as runs:
        run = await runs.start("graph")
        output = await run.result()
        assert output["kinds"] == [["HumanMessage"], ["HumanMessage", "AIMessage"]]


async def test_the_result_holds_messages_of_their_kinds(lab: Lab) -> None:
    async with lab.worker(searching("hats")) as runs:
        run = await runs.start("searcher")
        output = await run.result()
        kinds = [type(message) for message in output["messages"]]
        assert kinds == [HumanMessage, AIMessage, ToolMessage, AIMessage]


def bare(output: dict[str, Any]) -> list[dict[str, Any]]:
    """Return messages without the ids that every run draws anew."""
    messages: list[AnyMessage] = output["messages"]
    return [message.model_dump(exclude={"id"}) for message in messages]


async def test_one_graph_gives_the_same_in_langgraph_and_in_a_run(lab: Lab) -> None:
    agents = searching("hats", "coats")
    graph = agents.graph("searcher")
    before = bare(await graph.ainvoke(HELLO))
    async with lab.worker(agents) as runs:
        run = await runs.start("searcher")
        inside = bare(await run.result())
    after = bare(await graph.ainvoke(HELLO))
    assert before == inside == after


async def test_a_run_changes_nothing_in_the_graph(lab: Lab) -> None:
    agents = searching("hats")
    graph = agents.graph("searcher")
    held = {name: id(node.bound) for name, node in graph.nodes.items()}
    attributes = dict(vars(graph))
    async with lab.worker(agents) as runs:
        await (await runs.start("searcher")).result()
    assert agents.graph("searcher") is graph
    assert {name: id(node.bound) for name, node in graph.nodes.items()} == held
    assert vars(graph) == attributes


async def test_runs_of_one_compiled_graph_share_no_state(lab: Lab) -> None:
    async def one(state: Count) -> Count:
        decision = perdure.ask("go on?")
        return {"n": state["n"] + int(decision.by)}

    async with lab.worker(chain(one, schema=Count)) as runs:
        first, second = [await runs.start("graph", {"n": n}) for n in (100, 200)]
        await first.question()
        await second.question()
        await second.decide({"type": "approve", "by": "2"})
        await first.decide({"type": "approve", "by": "1"})
        assert [await first.result(), await second.result()] == [{"n": 101}, {"n": 202}]


async def test_a_node_runs_again_although_its_state_is_the_same(lab: Lab) -> None:
    tool = perdure.tool(search)

    async def look(state: Count) -> None:
        await tool.ainvoke({"q": "the same"})

    def count(state: Count) -> Count:
        return {"n": state["n"] + 1}

    graph = StateGraph(Count)
    for node in (count, look):
        graph.add_node(node)
    graph.add_edge(START, "look")
    graph.add_edge("look", "count")
    graph.add_conditional_edges(
        "count", lambda state: "look" if state["n"] % 3 else END, ["look", END]
    )
    async with lab.worker(sole(graph)) as runs:
        run = await runs.start("graph", {"n": 0})
        await run.result()
        inputs = [call.input for call in await run.calls()]
        assert [(call["tool"], call["args"]) for call in inputs] == [
            ("search", {"q": "the same"})
        ] * 3


async def test_a_tool_called_in_a_node_returns_what_its_function_returns(lab: Lab) -> None:
    tool = perdure.tool(search)

    async def look(state: MessagesState) -> MessagesState:
        return {"messages": [HumanMessage(repr(await tool.ainvoke({"q": "x"})))]}

    async with lab.worker(chain(look)) as runs:
        run = await runs.start("graph")
        assert (await run.texts())[-1] == "'found x'"


async def test_a_model_in_a_subgraph_is_an_activity_too(lab: Lab) -> None:
    inner = create_agent(model("from within"), [])
    graph = StateGraph(MessagesState).add_node("inner", inner).add_edge(START, "inner")
    async with lab.worker(sole(graph)) as runs:
        run = await runs.start("graph")
        assert (await run.texts())[-1] == "from within"
        assert [call.kind for call in await run.calls()] == ["perdure.model"]


async def test_a_model_sees_the_conversation_as_it_stands(lab: Lab) -> None:
    def say(messages: list[BaseMessage]) -> AIMessage:
        return AIMessage(" ".join(f"{m.type}:{m.text}" for m in messages))

    told = perdure.model(Scripted(say=say), name="echo")
    agents = sole(create_agent(told, [], system_prompt="be brief"), "echo")
    async with lab.worker(agents) as runs:
        run = await runs.start("echo")
        assert (await run.texts())[-1] == "system:be brief human:hello"


async def test_the_functional_api_runs_too(lab: Lab) -> None:
    tool = perdure.tool(search)

    @task
    async def look(q: str) -> str:
        return await tool.ainvoke({"q": q})

    @entrypoint()
    async def flow(start: dict[str, Any]) -> list[str]:
        both = [look(q) for q in start["queries"]]
        return [await one for one in both]

    async with lab.worker(sole(flow)) as runs:
        run = await runs.start("graph", {"queries": ["a", "b"]})
        assert await run.result() == ["found a", "found b"]
