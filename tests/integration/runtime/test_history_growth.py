"""A run's history grows by what is new, and each call gets what it would get without Perdure."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import SummarizationMiddleware
from langchain_core.messages import (
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    trim_messages,
)
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import Send

import perdure
from integration.runtime.fakes import sole
from integration.runtime.harness import HELLO, Lab
from integration.runtime.witness import LONG, Witness, count, fleet, look, own_resolvers
from perdure.activity.resolver import Resolver
from perdure.client.runs import Client

pytestmark = pytest.mark.timeout(120)
PROMPT = "You look things up until you know. " * 10
Make = Callable[[Any, Any], Any]


@pytest.fixture
def resolvers(monkeypatch: pytest.MonkeyPatch) -> list[Resolver]:
    return own_resolvers(monkeypatch, capacity=1)


def agent(model: Any, tool: Any) -> Any:
    return create_agent(model, [tool], system_prompt=PROMPT)


def summarising(model: Any, tool: Any) -> Any:
    middleware = SummarizationMiddleware(model=model, trigger=("messages", 9), keep=("messages", 4))
    return create_agent(model, [tool], system_prompt=PROMPT, middleware=[middleware])


def looping(change: Callable[[list[Any]], list[Any]]) -> Make:
    """Make a graph that asks a model ten times, and changes the talk on the way."""

    def make(model: Any, tool: Any) -> Any:
        async def think(state: MessagesState) -> Any:
            said = await model.ainvoke(change(state["messages"]))
            n = len(state["messages"])
            return {
                "messages": [said.model_copy(update={"tool_calls": [], "content": f"{n}{LONG}"})]
            }

        def again(state: MessagesState) -> str:
            return "think" if len(state["messages"]) < 12 else "__end__"

        graph = StateGraph(MessagesState)
        graph.add_node("think", think)
        graph.add_edge(START, "think")
        graph.add_conditional_edges("think", again, ["think", "__end__"])
        return graph.compile()

    return make


def trimmed(messages: list[Any]) -> list[Any]:
    return trim_messages(messages, max_tokens=4, token_counter=len, include_system=True)


def edited(messages: list[Any]) -> list[Any]:
    middle = len(messages) // 2
    return [
        SystemMessage(PROMPT),
        *messages[:middle],
        HumanMessage(f"{middle}"),
        *messages[middle:],
    ]


def removing(model: Any, tool: Any) -> Any:
    async def think(state: MessagesState) -> Any:
        said = await model.ainvoke(state["messages"])
        gone = [RemoveMessage(id=m.id) for m in state["messages"][:-3] if m.id]
        return {"messages": [*gone, said.model_copy(update={"tool_calls": [], "content": LONG})]}

    graph = StateGraph(MessagesState)
    graph.add_node("one", think)
    graph.add_node("two", think)
    graph.add_node("three", think)
    graph.add_edge(START, "one")
    graph.add_edge("one", "two")
    graph.add_edge("two", "three")
    return graph.compile()


def nested(model: Any, tool: Any) -> Any:
    graph = StateGraph(MessagesState)
    graph.add_node("inner", agent(model, tool))
    graph.add_node("after", summarising(model, tool))
    graph.add_edge(START, "inner")
    graph.add_edge("inner", "after")
    return graph.compile()


def branching(model: Any, tool: Any) -> Any:
    async def think(state: Any) -> Any:
        said = await model.ainvoke([SystemMessage(PROMPT), *state["messages"]])
        return {"messages": [said.model_copy(update={"tool_calls": []})]}

    def fan(state: MessagesState) -> list[Send]:
        same = [*state["messages"], HumanMessage(LONG, id="same")]
        return [Send("think", {"messages": [*same, HumanMessage(f"{n}")]}) for n in range(3)]

    graph = StateGraph(MessagesState)
    graph.add_node("think", think)
    graph.add_conditional_edges(START, fan, ["think"])
    return graph.compile()


def whole_node(model: Any, tool: Any) -> Any:
    def note(state: MessagesState) -> Any:
        return {"messages": [HumanMessage(f"{len(state['messages'])} {LONG}")]}

    graph = StateGraph(MessagesState)
    graph.add_node("inner", agent(model, tool))
    graph.add_node("note", note, metadata={"perdure": {"activity": True}})
    graph.add_node("last", agent(model, tool))
    graph.add_edge(START, "inner")
    graph.add_edge("inner", "note")
    graph.add_edge("note", "last")
    return graph.compile()


SHAPES: dict[str, tuple[Make, Any]] = {
    "agent": (agent, look),
    "summarised": (summarising, look),
    "trimmed": (looping(trimmed), look),
    "edited": (looping(edited), look),
    "removed": (removing, look),
    "nested": (nested, look),
    "branches": (branching, look),
    "node": (whole_node, look),
    "runtime": (agent, count),
}


@pytest.mark.parametrize("shape", SHAPES)
async def test_every_call_gets_what_it_gets_in_plain_langgraph(
    lab: Lab, shape: str, resolvers: list[Resolver]
) -> None:
    make, tool = SHAPES[shape]
    plain = Witness(turns=6, tool=tool.__name__)
    # A plain model shares its messages with the graph, so what it spoils is spoilt for all.
    plainly = plain.model()
    output = await make(plainly, tool).ainvoke(HELLO)
    durable = Witness(turns=6, tool=tool.__name__)
    asked, used = perdure.model(durable.model(), name="m"), perdure.tool(tool)
    async with fleet(lab, lambda: sole(make(asked, used))) as runs:
        run = await runs.start("graph", refer=True)
        client = Client(runs.client)
        told = runs.agents.codec.decode(await client.result(run.id))
        made = await client.raw_calls(run.id)
    shown = [one.input["messages"] for one in made if one.activity == "perdure.model"]
    assert shown == [runs.agents.codec.encode(one, what="x") for one in durable.seen] or (
        shape == "branches"
    )
    assert [one.missing for one in made if one.missing] == []
    order: Any = sorted if shape == "branches" else list
    assert order(map(repr, durable.told())) == order(map(repr, plain.told()))
    assert not any("spoilt" in m.additional_kwargs for one in durable.seen for m in one)
    assert [m.content for m in told["messages"]] == [m.content for m in output["messages"]]
    assert sum(one.asked for one in resolvers) > 0


async def size_of(lab: Lab, turns: int) -> int:
    witness = Witness(turns=turns)
    asked = perdure.model(witness.model(), name=f"m{turns}")
    used = perdure.tool(look)
    async with lab.worker(sole(agent(asked, used))) as runs:
        run = await runs.start("graph", refer=True, recursion_limit=500)
        await run.handle.result()
        return sum(e.ByteSize() for e in await run.events())


@pytest.mark.parametrize("cache", [100], ids=["cached"])
async def test_history_grows_with_the_turns(lab: Lab) -> None:
    sizes = {turns: await size_of(lab, turns) for turns in (20, 40, 80)}
    first, second = (sizes[40] - sizes[20]) / 20, (sizes[80] - sizes[40]) / 40
    assert abs(second - first) / 30 < 1  # bytes by turn and turn
    assert second < 3_500


async def test_a_result_of_a_program_that_knows_nothing_of_pieces_is_whole(lab: Lab) -> None:
    asked = perdure.model(Witness(turns=6).model(), name="m")
    async with lab.worker(sole(agent(asked, perdure.tool(look)))) as runs:
        run = await runs.start("graph")
        assert "$" not in await run.handle.result()


async def test_a_result_that_refers_to_history_is_small(lab: Lab) -> None:
    asked = perdure.model(Witness(turns=6).model(), name="m")
    async with lab.worker(sole(agent(asked, perdure.tool(look)))) as runs:
        run = await runs.start("graph", refer=True)
        raw = await run.handle.result()
        assert (raw["$"], len(json.dumps(raw)) < 1000) == ("result", True)
