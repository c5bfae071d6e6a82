"""LangChain's human-in-the-loop middleware and Agent Inbox, decided call by call."""

from typing import Any

import pytest
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import Command, interrupt

from integration.runtime.fakes import calls, sole
from integration.runtime.harness import Lab, Started
from integration.runtime.kinds import durable, plain, shape

pytestmark = pytest.mark.timeout(60)
THREAD: Any = {"configurable": {"thread_id": "1"}}


@tool
def refund(amount: int) -> str:
    """Refund."""
    return f"refunded {amount}"


def turns(*amounts: int) -> Any:
    return calls("refund", *({"amount": amount} for amount in amounts)), "done"


def review(**more: Any) -> Any:
    return [HumanInTheLoopMiddleware({"refund": True}, **more)]


def langchain(decision: dict[str, Any]) -> dict[str, Any]:
    if decision["type"] == "edit":
        return {"type": "edit", "edited_action": {"name": "refund", "args": decision["args"]}}
    said = {"message": decision["message"]} if "message" in decision else {}
    return {"type": decision["type"], **said}


DECISIONS = [
    {"type": "approve"},
    {"type": "edit", "args": {"amount": 20}},
    {"type": "reject", "message": "too much"},
    {"type": "respond", "message": "ask again tomorrow"},
]


async def test_each_request_of_a_turn_is_decided_by_itself_in_any_order(lab: Lab) -> None:
    graph = plain(refund, *turns(1, 2, 3, 4), middleware=review(), checkpointer=InMemorySaver())
    await graph.ainvoke({"messages": []}, THREAD)
    answer = {"decisions": [langchain(decision) for decision in DECISIONS]}
    expected = await graph.ainvoke(Command(resume=answer), THREAD)
    async with lab.worker(sole(durable(refund, *turns(1, 2, 3, 4), middleware=review()))) as runs:
        run = await runs.start("graph", {"messages": []})
        questions = await run.questions(4)
        base = questions[0]["id"].rpartition(".")[0]
        assert [q["id"] for q in questions] == [f"{base}.{n}" for n in (1, 2, 3, 4)]
        assert [q["args"] for q in questions] == [{"amount": n} for n in (1, 2, 3, 4)]
        for question, decision in reversed(list(zip(questions, DECISIONS, strict=True))):
            await run.decide({**decision, "question": question["id"]})
        output = await run.result()
        assert shape(output["messages"]) == shape(expected["messages"])


async def test_only_what_the_configuration_allows_is_taken(lab: Lab) -> None:
    strict: Any = {"refund": {"allowed_decisions": ["approve", "reject"]}}
    middleware = [HumanInTheLoopMiddleware(strict)]
    async with lab.worker(sole(durable(refund, *turns(1, 2), middleware=middleware))) as runs:
        run = await runs.start("graph", {"messages": []})
        first, second = await run.questions(2)
        refusal = await run.refused(
            {"type": "edit", "args": {"amount": 9}, "question": first["id"]}
        )
        assert "'edit' is not allowed" in str(refusal)
        for question in (first, second):
            await run.decide({"type": "approve", "question": question["id"]})
        texts = [m.content for m in (await run.result())["messages"] if m.type == "tool"]
        assert texts == ["refunded 1", "refunded 2"]


async def per_call(graph: Any, *decisions: dict[str, Any]) -> Any:
    """Answer each call's interrupt on plain LangGraph."""
    output = await graph.ainvoke({"messages": []}, THREAD)
    ids = [i.id for i in output["__interrupt__"]]
    answers = {i: langchain(d) for i, d in zip(ids, decisions, strict=True)}
    return await graph.ainvoke(Command(resume=answers), THREAD)


async def test_calls_that_are_reviewed_one_by_one_get_each_its_decision(lab: Lab) -> None:
    options: Any = {"middleware": review(interrupt_mode="per_call")}
    graph = plain(refund, *turns(1, 2, 3, 4), **options, checkpointer=InMemorySaver())
    expected = await per_call(graph, *DECISIONS)
    async with lab.worker(sole(durable(refund, *turns(1, 2, 3, 4), **options))) as runs:
        run = await runs.start("graph", {"messages": []})
        questions = sorted(await run.questions(4), key=lambda q: q["args"]["amount"])
        for question, decision in zip(questions, DECISIONS, strict=True):
            assert question["action"] == "refund"
            assert question["allowed"] == ["approve", "edit", "reject", "respond"]
            await run.decide({**decision, "question": question["id"]})
        output = await run.result()
        assert shape(output["messages"]) == shape(expected["messages"])


async def test_an_edit_that_does_not_fit_the_tool_is_refused_and_the_run_goes_on(lab: Lab) -> None:
    options: Any = {"middleware": review(interrupt_mode="per_call")}
    async with lab.worker(sole(durable(refund, *turns(1), **options))) as runs:
        run = await runs.start("graph", {"messages": []})
        await run.question()
        refusal = await run.refused({"type": "edit", "args": {"amount": "lots"}})
        assert "do not fit the tool" in str(refusal)
        await run.decide({"type": "edit", "args": {"amount": 5}})
        assert "refunded 5" in str((await run.result())["messages"])


REQUEST = {
    "action_request": {"action": "send", "args": {"to": "ann"}},
    "config": {
        "allow_accept": True, "allow_edit": True, "allow_respond": True, "allow_ignore": False,
    },
    "description": "# Send it?",
}  # fmt: skip
INBOX: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"type": "approve"}, {"type": "accept", "args": None}),
    (
        {"type": "edit", "args": {"to": "bob"}},
        {"type": "edit", "args": {"action": "send", "args": {"to": "bob"}}},
    ),
    ({"type": "respond", "value": "later"}, {"type": "response", "args": "later"}),
]


@pytest.mark.parametrize(("decision", "expected"), INBOX, ids=lambda v: v["type"])
async def test_agent_inbox_gets_the_response_of_its_own_form(
    lab: Lab, decision: dict[str, Any], expected: dict[str, Any]
) -> None:
    def node(state: MessagesState) -> Any:
        (response,) = interrupt([REQUEST])
        return {"messages": [("ai", str(response))]}

    graph = StateGraph(MessagesState).add_node("node", node).add_edge(START, "node")
    async with lab.worker(sole(graph)) as runs:
        run = await runs.start("graph", {"messages": []})
        question = await run.question()
        assert question["action"] == "send"
        assert question["text"] == "# Send it?"
        assert question["allowed"] == ["approve", "edit", "respond"]
        await run.decide(decision)
        assert (await run.texts())[-1] == str(expected)


async def test_a_nobody_decided_in_time_of_one_call_rejects_that_one_only(lab: Lab) -> None:
    async with lab.worker(sole(durable(refund, *turns(1, 2), middleware=review()))) as runs:
        run: Started = await runs.start("graph", {"messages": []})
        first, _ = await run.questions(2)
        await run.decide({"type": "approve", "question": first["id"]})
        messages = (await run.result(skip=True))["messages"]
        texts = {m.tool_call_id: m.content for m in messages if m.type == "tool"}
        assert texts["call-1.1"] == "refunded 1"
        assert "nobody decided" in texts["call-1.2"]
