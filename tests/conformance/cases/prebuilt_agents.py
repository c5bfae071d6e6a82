"""`langgraph.prebuilt`: create_react_agent, and its parts by hand."""

from typing import Annotated, Any

from langchain_core.messages import AIMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import (
    InjectedState,
    ToolNode,
    ValidationNode,
    create_react_agent,
    tools_condition,
)
from langgraph.types import Command
from pydantic import BaseModel

from conformance.case import Kit, Plan, case
from conformance.kits import calls

HELLO = {"messages": [{"role": "user", "content": "hello"}]}


def bake(q: str) -> str:
    """Bake something."""
    return f"baked {q}"


def burn(q: str) -> str:
    """Fail."""
    raise ValueError(f"{q} is burnt")


def taste(state: Annotated[dict[str, Any], InjectedState]) -> str:
    """Taste."""
    return f"{len(state['messages'])} bites"


class Cake(BaseModel):
    """A cake."""

    kind: str


BAKE = calls("bake", {"q": "bread"})
FULL = {"model": 2, "tool": 1}


@case("react_agent", area="Agents", feature="create_react_agent with a prompt")
def react_agent(kit: Kit) -> Plan:
    graph = create_react_agent(kit.model(BAKE, "done"), [kit.tool(bake)], prompt="Be brief.")
    return Plan(graph=graph, input=HELLO, activities=FULL)


@case("react_agent_prompt", area="Agents", feature="create_react_agent with a prompt function")
def react_agent_prompt(kit: Kit) -> Plan:
    def prompt(state: Any) -> list[Any]:
        return [SystemMessage("You bake."), *state["messages"]]

    graph = create_react_agent(kit.model(BAKE, "done"), [kit.tool(bake)], prompt=prompt)
    return Plan(graph=graph, input=HELLO, activities=FULL)


@case(
    "react_agent_hooks", area="Agents", feature="create_react_agent with pre and post model hooks"
)
def react_agent_hooks(kit: Kit) -> Plan:
    def before(state: Any) -> dict[str, Any]:
        return {"llm_input_messages": state["messages"][-3:]}

    async def after(state: Any) -> dict[str, Any]:
        return {}

    graph = create_react_agent(
        kit.model(BAKE, "done"), [kit.tool(bake)], pre_model_hook=before, post_model_hook=after
    )
    return Plan(graph=graph, input=HELLO, activities=FULL)


@case(
    "react_agent_response_format", area="Agents", feature="create_react_agent(response_format=...)"
)
def react_agent_response_format(kit: Kit) -> Plan:
    def say(messages: list[Any]) -> AIMessage:
        if isinstance(messages[-1], ToolMessage):
            return AIMessage("done")
        if isinstance(messages[-1], AIMessage):
            return calls("Cake", {"kind": "plum"}, turn=9)
        return BAKE

    graph = create_react_agent(kit.model(say), [kit.tool(bake)], response_format=Cake)
    return Plan(graph=graph, input=HELLO, types=(Cake,), activities={"model": 3, "tool": 1})


def by_hand(kit: Kit, node: Any, *answers: Any) -> Plan:
    """Make the loop of model and tools by hand."""
    bound = kit.model(*answers).bind_tools([bake, burn, taste])

    async def agent(state: MessagesState) -> dict[str, Any]:
        return {"messages": [await bound.ainvoke(state["messages"])]}

    graph: Any = StateGraph(MessagesState)
    graph.add_node("agent", agent).add_node("tools", node)
    graph.add_edge(START, "agent").add_edge("tools", "agent")
    graph.add_conditional_edges("agent", tools_condition)
    return Plan(graph=graph, input=HELLO, activities=FULL)


@case("tool_node", area="Agents", feature="ToolNode and tools_condition by hand")
def tool_node(kit: Kit) -> Plan:
    return by_hand(kit, ToolNode([kit.tool(bake)]), BAKE, "done")


@case("tool_node_injected", area="Agents", feature="ToolNode injects the state")
def tool_node_injected(kit: Kit) -> Plan:
    return by_hand(kit, ToolNode([kit.tool(taste)]), calls("taste", {}), "done")


def excuse(error: ValueError) -> str:
    """Tell an error to the model."""
    return f"sorry: {error}"


@case(
    "tool_node_errors",
    area="Agents",
    feature="ToolNode(handle_tool_errors=function of an exception)",
)
def tool_node_errors(kit: Kit) -> Plan:
    node = ToolNode([kit.tool(burn)], handle_tool_errors=excuse)
    return by_hand(kit, node, calls("burn", {"q": "toast"}), "done")


@case("tool_node_error_types", area="Agents", feature="ToolNode(handle_tool_errors=(ValueError,))")
def tool_node_error_types(kit: Kit) -> Plan:
    node = ToolNode([kit.tool(burn)], handle_tool_errors=(ValueError,))
    return by_hand(kit, node, calls("burn", {"q": "toast"}), "done")


@case("validation_node", area="Agents", feature="ValidationNode")
def validation_node(kit: Kit) -> Plan:
    plan = by_hand(kit, ValidationNode([bake, Cake]), BAKE, "done")
    plan.activities = {"model": 2}
    return plan


def colleague(kit: Kit, name: str, other: str, *answers: Any) -> Any:
    """Make an agent that can hand over to another."""

    @tool(f"to_{other}", return_direct=True)
    def hand_over() -> Command[Any]:
        """Hand over to the other agent."""
        said = ToolMessage(f"to {other}", tool_call_id=f"to_{other}-1.1")
        return Command(goto=other, graph=Command.PARENT, update={"messages": [said]})

    return create_react_agent(
        kit.model(*answers, name=name), [kit.tool(bake), hand_over], name=name
    )


@case("swarm_by_hand", area="Agents", feature="Agents that hand over with Command(graph=PARENT)")
def swarm_by_hand(kit: Kit) -> Plan:
    graph: Any = StateGraph(MessagesState)
    first = colleague(kit, "ann", "bob", calls("to_bob", {}))

    def say(messages: list[Any]) -> AIMessage:
        is_baked = any(m.name == "bake" for m in messages if isinstance(m, ToolMessage))
        return AIMessage("all done") if is_baked else BAKE

    second = colleague(kit, "bob", "ann", say)
    graph.add_node("ann", first).add_node("bob", second).add_edge(START, "ann")
    return Plan(graph=graph, input=HELLO, activities={"model": 3, "tool": 2})
