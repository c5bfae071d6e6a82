"""`interrupt()` inside a tool asks a person, wherever the tool runs."""

from typing import Any

import pytest
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode
from langgraph.types import Command, interrupt

import perdure
from integration.runtime.fakes import calls, sole
from integration.runtime.harness import Lab, Started
from integration.runtime.kinds import durable, plain, shape

pytestmark = pytest.mark.timeout(60)
THREAD: Any = {"configurable": {"thread_id": "1"}}


@tool
def book(city: str) -> str:
    """Book a hotel."""
    when = interrupt({"when in": city})
    who = interrupt(f"who goes to {city} on {when}?")
    return f"{city} on {when} for {who}"


async def langgraph(graph: Any, input: Any, *answers: Any) -> Any:
    """Give the answers one after the other on plain LangGraph."""
    output = await graph.ainvoke(input, THREAD)
    for answer in answers:
        ids = [i.id for i in output["__interrupt__"]]
        output = await graph.ainvoke(Command(resume={ids[0]: answer}), THREAD)
    return output


async def answer(run: Started, *answers: Any) -> None:
    """Give the answers one after the other in a run."""
    for value in answers:
        question = await run.question()
        await run.decide({"type": "respond", "value": value, "question": question["id"]})


@pytest.mark.parametrize("where", ["activity", "workflow"])
async def test_a_tool_asks_twice_and_goes_on_with_the_answers(lab: Lab, where: Any) -> None:
    turns = (calls("book", {"city": "Rome"}), "done")
    expected = await langgraph(
        plain(book, *turns, checkpointer=InMemorySaver()), {"messages": []}, "Monday", "Ann"
    )
    async with lab.worker(sole(durable(book, *turns, where=where))) as runs:
        run = await runs.start("graph", {"messages": []})
        await answer(run, "Monday", "Ann")
        output = await run.result()
        assert shape(output["messages"]) == shape(expected["messages"])
        tools = [c for c in await run.calls() if c.kind == "perdure.tool"]
        # Each answer costs one more call: what was asked before is not asked of the tool again.
        assert len(tools) == (3 if where == "activity" else 0)


async def test_tools_in_one_node_get_each_its_own_answer(lab: Lab) -> None:
    given = {"messages": [calls("book", {"city": "Rome"}, {"city": "Oslo"})]}

    def graph(kind: Any) -> Any:
        made = StateGraph(MessagesState).add_node("tools", ToolNode([kind]))
        return made.add_edge(START, "tools")

    answers = ("Monday", "Ann", "Friday", "Bob")
    expected = await langgraph(graph(book).compile(InMemorySaver()), given, *answers)
    async with lab.worker(sole(graph(perdure.tool(book, where="activity")))) as runs:
        run = await runs.start("graph", runs.agents.codec.encode(given, what="input"))
        await answer(run, *answers)
        output = await run.result()
        assert shape(output["messages"]) == shape(expected["messages"])
        assert output["messages"][-1].content == "Oslo on Friday for Bob"


async def test_parallel_calls_of_an_agent_ask_at_once(lab: Lab) -> None:
    turns = (calls("book", {"city": "Rome"}, {"city": "Oslo"}), "done")
    async with lab.worker(sole(durable(book, *turns, where="activity"))) as runs:
        run = await runs.start("graph", {"messages": []})
        for value in ("Monday", "Ann"):
            for question in await run.questions(2):
                await run.decide({"type": "respond", "value": value, "question": question["id"]})
        messages = (await run.result())["messages"]
        assert [m.content for m in messages if m.type == "tool"] == [
            "Rome on Monday for Ann",
            "Oslo on Monday for Ann",
        ]


async def test_an_effect_that_asks_keeps_its_key(lab: Lab) -> None:
    @tool
    def pay(amount: int) -> str:
        """Pay."""
        before = perdure.effect_key()
        interrupt("sure?")
        return f"{before == perdure.effect_key()} {before}"

    paying = perdure.tool(pay, effect=True)

    async def node(state: Any) -> Any:
        return {"messages": [("ai", await paying.ainvoke({"amount": 1}))]}

    graph = StateGraph(MessagesState).add_node("node", node).add_edge(START, "node")
    async with lab.worker(sole(graph)) as runs:
        run = await runs.start("graph", {"messages": []})
        await answer(run, "yes")
        (text,) = await run.texts()
        first, second = [c.input["key"] for c in await run.calls()]
        assert first == second
        assert text == f"True {first}"


async def test_a_tool_that_only_asks_runs_in_the_workflow(lab: Lab) -> None:
    @tool
    def ask_human(question: str) -> str:
        """Ask a human."""
        return str(interrupt({"question": question})["data"])

    turns = (calls("ask_human", {"question": "why?"}), "done")
    async with lab.worker(sole(durable(ask_human, *turns))) as runs:
        run = await runs.start("graph", {"messages": []})
        await answer(run, {"data": "because"})
        assert (await run.texts())[-2] == "because"
        assert [c.kind for c in await run.calls()] == ["perdure.model", "perdure.model"]
