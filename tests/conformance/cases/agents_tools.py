"""`create_agent` with tools of every kind."""

from typing import Annotated, Any

from langchain.agents import AgentState, create_agent
from langchain.tools import InjectedState, InjectedToolCallId, ToolRuntime
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.tools import BaseTool, StructuredTool, ToolException, tool
from langgraph.types import Command
from pydantic import BaseModel

from conformance.case import Kit, Plan, case
from conformance.kits import calls

HELLO = {"messages": [{"role": "user", "content": "hello"}]}
ONE_CALL = {"model": 2, "tool": 1}


def search(q: str) -> str:
    """Search the shelf."""
    return f"found {q}"


async def look(q: str) -> str:
    """Look on the shelf."""
    return f"saw {q}"


class Weighing(BaseTool):
    """A tool written as a class."""

    name: str = "weigh"
    description: str = "Weigh something."

    def _run(self, what: str) -> str:
        return f"{what} weighs {len(what)}"


class Sum(BaseModel):
    """Two numbers."""

    a: int
    b: int = 1


def add(a: int, b: int = 1) -> int:
    """Add two numbers."""
    return a + b


def note(text: str, tool_call_id: Annotated[str, InjectedToolCallId]) -> Command[Any]:
    """Write a note into the state."""
    return Command(
        update={"note": text, "messages": [ToolMessage("noted", tool_call_id=tool_call_id)]}
    )


class Noted(AgentState[Any]):
    """A state with one field more."""

    note: str


@tool(response_format="content_and_artifact")
def fetch(q: str) -> tuple[str, dict[str, Any]]:
    """Fetch a page."""
    return f"page {q}", {"size": len(q), "parts": [1, 2]}


def count_words(state: Annotated[dict[str, Any], InjectedState]) -> str:
    """Count the messages so far."""
    return f"{len(state['messages'])} messages"


def recall(state: Annotated[dict[str, Any], InjectedState], which: str) -> str:
    """Recall one message."""
    first = state["messages"][0]
    return f"{which}: {type(first).__name__} {first.text}"


def whereabouts(q: str, runtime: ToolRuntime[Any, Any]) -> str:
    """Say what the runtime holds."""
    kinds = [type(message).__name__ for message in runtime.state["messages"]]
    return f"{q} {runtime.tool_call_id} {kinds}"


@tool(return_direct=True)
def finish(q: str) -> str:
    """Answer at once."""
    return f"the end: {q}"


def refuse(q: str) -> str:
    """Refuse."""
    raise ToolException(f"no {q}")


def agent_with(kit: Kit, tool: Any, name: str, *arguments: dict[str, Any], **more: Any) -> Plan:
    """Make an agent that calls one tool, once or in parallel, and then ends."""
    model = kit.model(calls(name, *arguments), "done")
    made = create_agent(model, [kit.tool(tool)], **more)
    return Plan(graph=made, input=HELLO, activities={"model": 2, "tool": len(arguments)})


@case("agent_sync_tool", area="Agents", feature="create_agent with a sync tool")
def agent_sync_tool(kit: Kit) -> Plan:
    return agent_with(kit, search, "search", {"q": "x"})


@case("agent_async_tool", area="Agents", feature="create_agent with an async tool")
def agent_async_tool(kit: Kit) -> Plan:
    return agent_with(kit, look, "look", {"q": "x"})


@case("agent_parallel_calls", area="Agents", feature="Three tool calls of one message at once")
def agent_parallel_calls(kit: Kit) -> Plan:
    return agent_with(kit, search, "search", {"q": "x"}, {"q": "y"}, {"q": "z"})


@case("agent_two_tools", area="Agents", feature="Two tools, called turn by turn")
def agent_two_tools(kit: Kit) -> Plan:
    model = kit.model(calls("search", {"q": "x"}), calls("look", {"q": "y"}, turn=2), "done")
    graph = create_agent(model, [kit.tool(search), kit.tool(look)])
    return Plan(graph=graph, input=HELLO, activities={"model": 3, "tool": 2})


@case("agent_base_tool", area="Agents", feature="A tool written as a subclass of BaseTool")
def agent_base_tool(kit: Kit) -> Plan:
    return agent_with(kit, Weighing(), "weigh", {"what": "lead"})


@case("agent_structured_tool", area="Agents", feature="StructuredTool with an args_schema")
def agent_structured_tool(kit: Kit) -> Plan:
    made = StructuredTool.from_function(add, name="add", args_schema=Sum)
    return agent_with(kit, made, "add", {"a": 2, "b": 3}, {"a": 5})


@case("agent_tool_command", area="Agents", feature="A tool that returns Command(update=...)")
def agent_tool_command(kit: Kit) -> Plan:
    return agent_with(kit, note, "note", {"text": "buy milk"}, state_schema=Noted)


def person(name: str) -> dict[str, Any]:
    """Describe a person."""
    return {"name": name, "age": 3, "address": {"town": "Ulm", "street": "Gasse"}}


@case("agent_tool_key_order", area="Agents", feature="A tool's dict keeps the order of its keys")
def agent_tool_key_order(kit: Kit) -> Plan:
    return Plan(
        graph=create_agent(kit.model(calls("person", {"name": "ann"}), "done"), [kit.tool(person)]),
        input=HELLO,
        activities={"model": 2, "tool": 1},
    )


@case("agent_tool_artifact", area="Agents", feature="A tool with content and artifact")
def agent_tool_artifact(kit: Kit) -> Plan:
    return agent_with(kit, fetch, "fetch", {"q": "xyz"})


@case("agent_injected_state", area="Agents", feature="A tool with InjectedState")
def agent_injected_state(kit: Kit) -> Plan:
    return agent_with(kit, count_words, "count_words", {})


@case("agent_injected_state_args", area="Agents", feature="InjectedState beside own arguments")
def agent_injected_state_args(kit: Kit) -> Plan:
    return agent_with(kit, recall, "recall", {"which": "first"})


@case("agent_tool_runtime", area="Agents", feature="A tool with ToolRuntime")
def agent_tool_runtime(kit: Kit) -> Plan:
    return agent_with(kit, whereabouts, "whereabouts", {"q": "at"})


@case("agent_return_direct", area="Agents", feature="A tool with return_direct ends the agent")
def agent_return_direct(kit: Kit) -> Plan:
    plan = agent_with(kit, finish, "finish", {"q": "x"})
    plan.activities = {"model": 1, "tool": 1}
    return plan


@case(
    "agent_tool_exception", area="Agents", feature="A tool's ToolException with handle_tool_error"
)
def agent_tool_exception(kit: Kit) -> Plan:
    made = StructuredTool.from_function(refuse, name="refuse", handle_tool_error="refused, sorry")
    return agent_with(kit, made, "refuse", {"q": "x"})


@case(
    "agent_unknown_tool",
    area="Agents",
    feature="The model calls a tool that does not exist",
    caveat="with `repairs` (the default) the model is asked again, before the graph sees it",
)
def agent_unknown_tool(kit: Kit) -> Plan:
    model = kit.model(calls("nothing", {"q": "x"}), "done", repairs=0)
    graph = create_agent(model, [kit.tool(search)])
    return Plan(graph=graph, input=HELLO, activities={"model": 2})


@case("agent_no_tools", area="Agents", feature="create_agent without tools")
def agent_no_tools(kit: Kit) -> Plan:
    return Plan(graph=create_agent(kit.model("done"), []), input=HELLO, activities={"model": 1})


@case("agent_many_turns", area="Agents", feature="Twelve turns of one agent")
def agent_many_turns(kit: Kit) -> Plan:
    def say(messages: list[Any]) -> Any:
        turn = sum(isinstance(message, AIMessage) for message in messages)
        return calls("search", {"q": str(turn)}, turn=turn) if turn < 11 else "done"

    graph = create_agent(kit.model(say), [kit.tool(search)])
    return Plan(graph=graph, input=HELLO, activities={"model": 12, "tool": 11})
