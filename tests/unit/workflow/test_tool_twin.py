from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, TypedDict

import pytest
from langchain.agents import create_agent
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import BaseTool, StructuredTool, Tool, ToolException
from langchain_core.tools import tool as make_tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.constants import START
from langgraph.graph import StateGraph
from langgraph.prebuilt import InjectedState
from langgraph.types import Command

import perdure
from perdure.core.declared import DECLARED
from perdure.errors import BadOption, NameTaken

pytestmark = pytest.mark.usefixtures("fresh_declarations")

THREAD = {"configurable": {"thread_id": "t"}}
CALL = {"name": "send", "args": {"to": "ann"}, "id": "c1", "type": "tool_call"}


def send(to: str, body: str = "hi") -> str:
    """Send a mail."""
    return f"sent {body} to {to}"


async def send_later(to: str) -> str:
    """Send a mail, asynchronously."""
    return f"sent later to {to}"


class Lookup(BaseTool):
    """A tool of one's own."""

    name: str = "lookup"
    description: str = "Look something up."
    top: int = 1

    def _run(self, query: str) -> str:
        return f"{query} {self.top}"


# The user's object and its twin


def test_a_function_becomes_a_tool():
    assert perdure.tool(send).invoke({"to": "ann"}) == "sent hi to ann"


async def test_a_function_becomes_a_tool_that_can_be_awaited():
    assert await perdure.tool(send).ainvoke({"to": "ann"}) == "sent hi to ann"


async def test_an_async_function_becomes_a_tool():
    assert await perdure.tool(send_later).ainvoke({"to": "ann"}) == "sent later to ann"


def test_a_function_is_unchanged():
    before = dict(vars(send))
    perdure.tool(send, effect=True, approve=perdure.Approve())

    assert (send("ann"), vars(send)) == ("sent hi to ann", before)


@pytest.mark.parametrize("make", [lambda: make_tool(send), Lookup], ids=["structured", "own"])
def test_a_tool_that_was_given_is_unchanged(make):
    inner = make()
    before = (type(inner), inner.name, dict(vars(inner)))
    perdure.tool(inner, name="other", effect=True)

    assert (type(inner), inner.name, dict(vars(inner))) == before


@pytest.mark.parametrize("make", [lambda: make_tool(send), Lookup], ids=["structured", "own"])
def test_a_twin_is_one_of_its_class(make):
    inner = make()

    assert isinstance(perdure.tool(inner), type(inner))


def test_a_twin_shows_the_model_the_same_tool():
    inner = make_tool(send)
    ours = perdure.tool(inner)

    assert (ours.name, ours.description, ours.args) == (inner.name, inner.description, inner.args)


def test_a_tool_of_ones_own_is_called_straight_through():
    assert perdure.tool(Lookup(top=3)).invoke("tea") == "tea 3"


def test_a_call_of_a_model_is_answered_with_a_message():
    answer = perdure.tool(send).invoke(CALL)

    assert answer == ToolMessage("sent hi to ann", name="send", tool_call_id="c1")


async def test_an_awaited_call_of_a_model_is_answered_with_a_message():
    answer = await perdure.tool(send).ainvoke(CALL)

    assert answer == ToolMessage("sent hi to ann", name="send", tool_call_id="c1")


def with_artifact(query: str) -> tuple[str, list[int]]:
    """Look up."""
    return query, [1, 2]


async def test_an_artifact_comes_along():
    inner = make_tool(with_artifact, response_format="content_and_artifact")
    call = {"name": "with_artifact", "args": {"query": "q"}, "id": "c", "type": "tool_call"}

    assert (await perdure.tool(inner).ainvoke(call)).artifact == [1, 2]


def broken(x: str) -> str:
    """Fail."""
    raise ToolException(f"no {x}")


@pytest.mark.parametrize("handled", [True, False])
async def test_an_error_is_handled_as_the_tool_says(handled):
    tool = perdure.tool(StructuredTool.from_function(broken, handle_tool_error=handled))
    call = {"name": "broken", "args": {"x": "tea"}, "id": "c", "type": "tool_call"}
    if not handled:
        with pytest.raises(ToolException):
            await tool.ainvoke(call)
    else:
        assert (await tool.ainvoke(call)).content == "no tea"


# Names and options


def test_a_tool_is_known_by_its_name():
    perdure.tool(send)

    assert DECLARED.names("tool") == ["send"]


def test_a_tool_may_be_given_a_name():
    assert perdure.tool(send, name="mail").name == "mail"


def test_the_worker_finds_the_very_tool():
    inner = make_tool(send)
    perdure.tool(inner)

    assert DECLARED.find("tool", "send").build() is inner


def test_what_is_said_about_a_tool_is_kept():
    terms = perdure.Approve()
    perdure.tool(send, effect=True, idempotent=False, approve=terms, timeout=timedelta(seconds=9))
    entry = DECLARED.find("tool", "send")

    assert (entry.effect, entry.idempotent, entry.approve, entry.override.timeout) == (
        True,
        False,
        terms,
        timedelta(seconds=9),
    )


def test_the_same_function_may_be_declared_again():
    perdure.tool(send)
    perdure.tool(send, effect=True)

    assert DECLARED.find("tool", "send").effect


def test_another_function_of_the_name_is_refused():
    perdure.tool(send)

    with pytest.raises(NameTaken, match="two different tools are named 'send'"):
        perdure.tool(send_later, name="send")


def in_region(region: str):
    def lookup(query: str) -> str:
        """Look up."""
        return f"{query} in {region}"

    return lookup


def test_a_function_that_closes_over_another_value_is_refused():
    perdure.tool(in_region("us"))

    with pytest.raises(NameTaken):
        perdure.tool(in_region("eu"))


def test_a_function_that_closes_over_the_same_value_is_the_same():
    perdure.tool(in_region("us"))
    perdure.tool(in_region("us"))

    assert DECLARED.names("tool") == ["lookup"]


def test_a_tool_with_other_settings_is_refused():
    perdure.tool(Lookup(top=1))

    with pytest.raises(NameTaken):
        perdure.tool(Lookup(top=2))


def test_a_declared_tool_is_not_declared_again():
    with pytest.raises(BadOption, match=r"tool 'send' is a perdure\.tool already"):
        perdure.tool(perdure.tool(send))


@pytest.mark.parametrize("spec", [5, None, "send", {"name": "send"}, Lookup], ids=repr)
def test_what_is_no_tool_is_refused(spec):
    with pytest.raises(BadOption, match="a tool is made of a function or a BaseTool"):
        perdure.tool(spec)


def test_a_function_without_a_docstring_is_refused():
    with pytest.raises(ValueError, match="docstring"):
        perdure.tool(lambda x: x)


# Approval as plain LangGraph


class State(TypedDict):
    said: str
    left: int


def fakes(call: dict[str, object]) -> GenericFakeChatModel:
    def answers() -> Iterator[AIMessage]:
        yield AIMessage("", tool_calls=[call])
        yield AIMessage("done")

    class Fake(GenericFakeChatModel):
        def bind_tools(self, tools, **kwargs):
            return self

    return Fake(messages=answers())


def approving(spec: object = send, call: dict[str, object] = CALL, **terms: object):
    tool = perdure.tool(spec, effect=True, approve=perdure.Approve(**terms))
    return create_agent(fakes(call), [tool], checkpointer=InMemorySaver())


ASKED = {"messages": [HumanMessage("x")]}


def question(output) -> dict[str, object]:
    (pause,) = output["__interrupt__"]
    return pause.value


class Both:
    """Drive a graph through its sync or its async half."""

    def __init__(self, graph, half: str) -> None:
        self.graph, self.half = graph, half

    async def __call__(self, payload):
        if self.half == "sync":
            return self.graph.invoke(payload, THREAD)
        return await self.graph.ainvoke(payload, THREAD)


@pytest.fixture(params=["sync", "async"])
def half(request) -> str:
    return request.param


async def decided(half: str, decision: object, **options: object) -> ToolMessage:
    run = Both(approving(**options), half)
    await run(ASKED)
    output = await run(Command(resume=decision))
    return next(m for m in output["messages"] if isinstance(m, ToolMessage))


async def test_a_person_is_asked_before_the_tool_runs(half):
    output = await Both(approving(), half)(ASKED)

    assert not [m for m in output["messages"] if isinstance(m, ToolMessage)]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("perdure_question", "tool: send(to='ann')"),
        ("action", "send"),
        ("args", {"to": "ann"}),
        ("allowed", ["approve", "reject"]),
        ("within", 3600.0),
        ("on_deadline", "fail"),
        ("approvers", ["ann"]),
    ],
)
async def test_the_question_shows_call_and_terms(half, name, shown):
    graph = approving(
        allowed=("approve", "reject"),
        within=timedelta(hours=1),
        on_deadline="fail",
        approvers=("ann",),
    )

    assert question(await Both(graph, half)(ASKED))[name] == shown


async def test_an_approved_call_runs(half):
    answer = await decided(half, {"type": "approve", "by": "ann"})

    assert (answer.content, answer.status) == ("sent hi to ann", "success")


async def test_an_edited_call_runs_with_the_new_arguments(half):
    answer = await decided(half, {"type": "edit", "args": {"to": "bob", "body": "bye"}})

    assert answer.content == "sent bye to bob"


async def test_a_rejected_call_is_told_to_the_model(half):
    answer = await decided(half, {"type": "reject", "by": "ann", "message": "too early"})

    assert (answer.content, answer.status) == (
        "The call of 'send' was not carried out, rejected by ann: too early",
        "error",
    )


async def test_a_person_may_answer_in_place_of_the_tool(half):
    answer = await decided(half, {"type": "respond", "value": "sent by hand"})

    assert (answer.content, answer.status) == ("sent by hand", "success")


@pytest.mark.parametrize(
    "wrong", ["yes", True, {"by": "ann"}, {"type": ["approve"]}, {"type": "approve", "by": 3}]
)
async def test_after_a_malformed_decision_the_person_is_asked_again_with_the_reason(half, wrong):
    run = Both(approving(), half)
    await run(ASKED)
    asked = question(await run(Command(resume=wrong)))

    assert (asked["action"], "must be" in asked["refused"]) == ("send", True)


async def test_after_malformed_decisions_a_good_one_is_taken(half):
    run = Both(approving(), half)
    await run(ASKED)
    await run(Command(resume="yes"))
    await run(Command(resume=["yes"]))
    output = await run(Command(resume={"type": "approve"}))

    assert output["messages"][-1].content == "done"


def stateful(to: str, state: Annotated[dict, InjectedState]) -> str:
    """Send a mail that knows the conversation."""
    return f"{to} after {len(state['messages'])}"


STATEFUL = {**CALL, "name": "stateful"}


async def test_what_langgraph_injects_is_not_shown_to_the_person(half):
    output = await Both(approving(stateful, STATEFUL), half)(ASKED)

    assert question(output)["args"] == {"to": "ann"}


async def test_what_langgraph_injects_is_there_after_an_edit(half):
    answer = await decided(
        half, {"type": "edit", "args": {"to": "bob"}}, spec=stateful, call=STATEFUL
    )

    assert answer.content == "bob after 2"


def count(state: Annotated[dict, InjectedState]) -> str:
    """Count the messages."""
    return str(len(state["messages"]))


async def test_a_tool_that_takes_injected_values_only_shows_no_arguments(half):
    call = {"name": "count", "args": {}, "id": "c1", "type": "tool_call"}
    output = await Both(approving(count, call), half)(ASKED)

    assert question(output)["args"] == {}


async def test_the_one_argument_of_a_simple_tool_is_shown(half):
    simple = Tool(name="simple", func=lambda text: text.upper(), description="Shout.")
    call = {"name": "simple", "args": {"__arg1": "tea"}, "id": "c1", "type": "tool_call"}
    output = await Both(approving(simple, call), half)(ASKED)

    assert question(output)["args"] == {"__arg1": "tea"}


def in_a_node(tool: BaseTool, payload: object):
    graph = StateGraph(State)
    graph.add_node("do", lambda _: {"said": tool.invoke(payload)})
    graph.add_edge(START, "do")
    return graph.compile(checkpointer=InMemorySaver())


def test_a_text_in_place_of_arguments_is_shown_under_its_name():
    graph = in_a_node(perdure.tool(Lookup(), approve=perdure.Approve()), "tea")

    assert question(graph.invoke({"said": ""}, THREAD))["args"] == {"query": "tea"}


def test_a_text_in_place_of_arguments_can_be_edited():
    graph = in_a_node(perdure.tool(Lookup(), approve=perdure.Approve()), "tea")
    graph.invoke({"said": ""}, THREAD)
    resume = Command(resume={"type": "edit", "args": {"query": "milk"}})

    assert graph.invoke(resume, THREAD)["said"] == "milk 1"


# `perdure.ask` as plain LangGraph


def asking(**terms: object):
    def node(state: State) -> dict[str, object]:
        decision = perdure.ask("pay?", action="pay", args={"left": state["left"]}, **terms)
        return {"said": f"{decision.type} by {decision.by}"}

    graph = StateGraph(State)
    graph.add_node("ask", node)
    graph.add_edge(START, "ask")
    return graph.compile(checkpointer=InMemorySaver())


START_STATE = {"said": "", "left": 3}


async def test_a_node_can_ask(half):
    output = await Both(asking(), half)(START_STATE)

    assert question(output)["perdure_question"] == "pay?"


async def test_a_node_gets_the_decision(half):
    run = Both(asking(), half)
    await run(START_STATE)

    assert (await run(Command(resume={"type": "reject", "by": "ann"})))["said"] == "reject by ann"


async def test_a_node_is_not_given_a_malformed_decision(half):
    run = Both(asking(), half)
    await run(START_STATE)
    await run(Command(resume=True))

    assert (await run(Command(resume={"type": "approve", "by": "bob"})))["said"] == "approve by bob"


@pytest.mark.parametrize(
    "terms",
    [
        {"within": timedelta(0)},
        {"within": 60},
        {"allowed": ()},
        {"allowed": ("bogus",)},
        {"on_deadline": "explode"},
        {"reminders": (timedelta(days=2),)},
        {"approvers": "ann"},
    ],
    ids=str,
)
def test_terms_that_cannot_be_met_are_refused_by_ask(terms):
    with pytest.raises(BadOption):
        asking(**terms).invoke(START_STATE, THREAD)
