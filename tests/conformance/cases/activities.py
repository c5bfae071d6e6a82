"""Whole-node activities, graphs written for Temporal's plugin, sub-agents, unmodified objects."""

from datetime import timedelta
from typing import Any

from langchain.agents import create_agent
from langchain_core.messages import HumanMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import tool as make_tool
from langgraph.func import entrypoint, task
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode
from langgraph.types import Command, Send

import perdure
from conformance.case import Kit, Plan, case
from conformance.cases._states import Items, line
from conformance.kits import calls

AREA = "Node activities"


def blocking(state: Items) -> Any:
    return {"items": [f"{sorted(state)}", state["n"]]}


async def waiting(state: Items) -> Any:
    return {"items": ["async"]}


@case("node_activity", area=AREA, feature="perdure.node, sync")
def node_activity(kit: Kit) -> Plan:
    graph = StateGraph(Items).add_node("n", kit.node(blocking)).add_edge(START, "n")
    return Plan(graph=graph, input={"items": [], "n": 1}, states=True, activities={"node": 1})


@case("node_activity_async", area=AREA, feature="perdure.node, async, with a timeout")
def node_activity_async(kit: Kit) -> Plan:
    node = kit.node(waiting, timeout=timedelta(seconds=30))
    graph = StateGraph(Items).add_node("n", node).add_edge(START, "n")
    return Plan(graph=graph, input={"items": []}, activities={"node": 1})


@case("node_activity_io", area=AREA, feature="perdure.node: files and the clock are free to use")
def node_activity_io(kit: Kit) -> Plan:
    def node(state: Items) -> Any:
        import tempfile  # noqa: PLC0415
        import time  # noqa: PLC0415

        with tempfile.TemporaryFile() as file:
            file.write(b"x")
            return {"items": [file.tell(), time.time() > 0]}

    graph = StateGraph(Items).add_node("n", kit.node(node)).add_edge(START, "n")
    return Plan(graph=graph, input={"items": []}, activities={"node": 1})


def node_messages(state: MessagesState) -> Any:
    from langchain_core.messages import AIMessage  # noqa: PLC0415

    return {"messages": [AIMessage(",".join(type(m).__name__ for m in state["messages"]))]}


@case("node_activity_messages", area=AREA, feature="perdure.node gets and returns messages")
def node_activity_messages(kit: Kit) -> Plan:
    graph = StateGraph(MessagesState).add_node("n", kit.node(node_messages)).add_edge(START, "n")
    return Plan(graph=graph, input={"messages": [HumanMessage("x", id="h")]})


def node_command(state: Items) -> Any:
    return Command(goto="there", update={"items": ["from an activity"]})


@case("node_activity_command", area=AREA, feature="perdure.node that returns a Command")
def node_activity_command(kit: Kit) -> Plan:
    graph = StateGraph(Items).add_node("n", kit.node(node_command), destinations=("there",))
    graph.add_node("there", lambda s: {"items": ["there"]}).add_edge(START, "n")
    return Plan(graph=graph, input={"items": []})


def node_send(state: Any) -> Any:
    return {"items": [state["n"]]}


@case("node_activity_send", area=AREA, feature="perdure.node by Send, twice with the same payload")
def node_activity_send(kit: Kit) -> Plan:
    graph = StateGraph(Items).add_node("n", kit.node(node_send))
    graph.add_conditional_edges(START, lambda s: [Send("n", {"n": 1})] * 2, ["n"])
    return Plan(graph=graph, input={"items": []}, activities={"node": 2})


def node_config(state: Items, config: RunnableConfig) -> Any:
    return {"items": [config["configurable"]["tenant"], config["metadata"]["langgraph_node"]]}


@case("node_activity_config", area=AREA, feature="perdure.node gets configurable keys and metadata")
def node_activity_config(kit: Kit) -> Plan:
    graph = StateGraph(Items).add_node("n", kit.node(node_config)).add_edge(START, "n")
    return Plan(graph=graph, input={"items": []}, config={"configurable": {"tenant": "acme"}})


def node_loop(state: Items) -> Any:
    return {"items": ["again"]}


@case("node_activity_again", area=AREA, feature="perdure.node runs again with an identical state")
def node_activity_again(kit: Kit) -> Plan:
    graph = StateGraph(Items).add_node("n", kit.node(node_loop)).add_edge(START, "n")
    graph.add_conditional_edges("n", lambda s: "n" if len(s["items"]) < 3 else "__end__")
    return Plan(graph=graph, input={"items": []}, activities={"node": 3})


def node_by_metadata(state: Items) -> Any:
    return {"items": ["by metadata"]}


@case("node_metadata", area=AREA, feature="metadata={'perdure': {...}} makes a node an activity")
def node_metadata(kit: Kit) -> Plan:
    graph = StateGraph(Items)
    graph.add_node("n", node_by_metadata, metadata={"perdure": {"activity": True}})
    return Plan(graph=graph.add_edge(START, "n"), input={"items": []}, activities={"node": 1})


def node_for_plugin(state: Items) -> Any:
    return {"items": ["for the plugin"]}


@case("node_plugin_activity", area=AREA, feature="Temporal's plugin: execute_in='activity'")
def node_plugin_activity(kit: Kit) -> Plan:
    graph = StateGraph(Items)
    graph.add_node(
        "n",
        node_for_plugin,
        metadata={"execute_in": "activity", "start_to_close_timeout": timedelta(seconds=20)},
    )
    return Plan(graph=graph.add_edge(START, "n"), input={"items": []}, activities={"node": 1})


@case("node_plugin_workflow", area=AREA, feature="Temporal's plugin: execute_in='workflow'")
def node_plugin_workflow(kit: Kit) -> Plan:
    graph = StateGraph(Items)
    graph.add_node("n", node_for_plugin, metadata={"execute_in": "workflow"})
    return Plan(graph=graph.add_edge(START, "n"), input={"items": []}, activities={})


def double_task(n: int) -> int:
    return n * 2


@case("node_activity_task", area=AREA, feature="perdure.node on a @task")
def node_activity_task(kit: Kit) -> Plan:
    double = kit.node(task(double_task))

    @entrypoint()
    async def flow(given: Any) -> Any:
        return [await double(2), await double(2)]

    return Plan(graph=flow, input={"x": 1}, activities={"node": 2})


def billing_graph(kit: Kit) -> Any:
    return create_agent(kit.model("You owe 3.", name="billing"), [])


@case("agent_tool", area="Sub-agents", feature="perdure.agent_tool: another agent as a child run")
def agent_tool(kit: Kit) -> Plan:
    billing = billing_graph(kit)
    if kit.durable:
        tool = perdure.agent_tool("ask_billing", description="Ask billing.", name="ask_billing")
    else:

        @make_tool("ask_billing")
        async def tool(request: str) -> str:
            """Ask billing."""
            found = await billing.ainvoke({"messages": [HumanMessage(request)]})
            return str(found["messages"][-1].text)

    model = kit.model(calls("ask_billing", {"request": "how much?"}), "3, they say.")
    return Plan(
        graph=create_agent(model, [tool]),
        input={"messages": [HumanMessage("what do I owe?")]},
        others={"ask_billing": billing},
    )


OWN = "Unmodified objects"


@make_tool
def unmodified_price(item: str) -> str:
    """Tell a price."""
    return f"{item}: 3"


@make_tool
async def unmodified_later(item: str) -> str:
    """Tell a price."""
    return f"{item}: 4"


@case("plain_agent", area=OWN, feature="create_agent with a plain model and plain @tool functions")
def plain_agent(kit: Kit) -> Plan:
    model = kit.model(
        calls("unmodified_price", {"item": "tea"}),
        calls("unmodified_later", {"item": "milk"}, turn=2),
        "7",
    )
    return Plan(
        graph=create_agent(model, [unmodified_price, unmodified_later]),
        input={"messages": [HumanMessage("sum?")]},
        intercept=True,
        activities={"model": 3, "tool": 2},
    )


@case("plain_model_node", area=OWN, feature="a plain model in a node's closure")
def plain_model_node(kit: Kit) -> Plan:
    model = kit.model("one", "two")

    async def talk(state: MessagesState) -> Any:
        return {"messages": [await model.ainvoke(state["messages"])]}

    return Plan(
        graph=line(talk, schema=MessagesState),
        input={"messages": [HumanMessage("hi")]},
        intercept=True,
        activities={"model": 1},
    )


@case("plain_model_sync", area=OWN, feature="a plain model called by a sync node")
def plain_model_sync(kit: Kit) -> Plan:
    model = kit.model("one", "two")

    def talk(state: MessagesState) -> Any:
        return {"messages": [model.invoke(state["messages"])]}

    return Plan(
        graph=line(talk, schema=MessagesState),
        input={"messages": [HumanMessage("hi")]},
        intercept=True,
        activities={"model": 1},
    )


@case("plain_toolnode", area=OWN, feature="a plain ToolNode and a model with bound tools")
def plain_toolnode(kit: Kit) -> Plan:
    model = kit.model(calls("unmodified_price", {"item": "tea"}), "3").bind_tools(
        [unmodified_price]
    )

    async def talk(state: MessagesState) -> Any:
        return {"messages": [await model.ainvoke(state["messages"])]}

    graph = StateGraph(MessagesState).add_node("talk", talk)
    graph.add_node("tools", ToolNode([unmodified_price])).add_edge(START, "talk")
    graph.add_edge("tools", "talk").add_conditional_edges(
        "talk", lambda s: "tools" if s["messages"][-1].tool_calls else "__end__"
    )
    return Plan(
        graph=graph,
        input={"messages": [HumanMessage("price?")]},
        intercept=True,
        activities={"model": 2, "tool": 1},
    )


@case("plain_chain", area=OWN, feature="a plain model in a chain that is a node")
def plain_chain(kit: Kit) -> Plan:
    from langchain_core.output_parsers import StrOutputParser  # noqa: PLC0415
    from langchain_core.prompts import ChatPromptTemplate  # noqa: PLC0415

    chain = (
        ChatPromptTemplate.from_template("{n}")
        | kit.model("one")
        | StrOutputParser()
        | (lambda text: {"items": [text]})
    )
    graph = StateGraph(Items).add_node("n", chain).add_edge(START, "n")
    return Plan(graph=graph, input={"items": [], "n": 1}, intercept=True, activities={"model": 1})


@case("plain_tool_node_body", area=OWN, feature="a plain tool called in a node")
def plain_tool_node_body(kit: Kit) -> Plan:
    async def node(state: Items) -> Any:
        return {"items": [await unmodified_price.ainvoke({"item": "tea"})]}

    return Plan(graph=line(node), input={"items": []}, intercept=True, activities={"tool": 1})
