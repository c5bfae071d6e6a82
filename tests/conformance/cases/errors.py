"""The exception that a node raised is the one that an `except` in the graph sees."""

from datetime import timedelta
from typing import Any

from langchain_core.messages import HumanMessage
from langgraph.errors import GraphRecursionError
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode

from conformance.case import Kit, Plan, case
from conformance.cases._states import Items, line
from conformance.kits import calls
from perdure import Retry

AREA = "Errors"
ONCE = Retry(initial=timedelta(seconds=1), maximum=timedelta(seconds=1), attempts=1)


class OutOfStock(Exception):
    """An error with parts of its own."""

    def __init__(self, item: str, left: int = 0) -> None:
        super().__init__(f"{item} is out of stock")
        self.item = item
        self.left = left


class Rude(OutOfStock):
    pass


@case("error_node", area=AREA, feature="a node raises: type and text are told")
def error_node(kit: Kit) -> Plan:
    def node(state: Items) -> Any:
        raise OutOfStock("tea")

    return Plan(graph=line(node), input={"items": []}, states=True)


@case("error_cause", area=AREA, feature="a node raises with a cause")
def error_cause(kit: Kit) -> Plan:
    async def node(state: Items) -> Any:
        try:
            {}["tea"]
        except KeyError as error:
            raise OutOfStock("tea") from error

    return Plan(graph=line(node), input={"items": []}, state=False)


@case("error_subgraph", area=AREA, feature="a sub-graph raises: except in the node sees it")
def error_subgraph(kit: Kit) -> Plan:
    def leaf(state: Items) -> Any:
        raise Rude("tea", 2)

    inner = line(leaf).compile()

    async def node(state: Items) -> Any:
        try:
            await inner.ainvoke({"items": []})
        except OutOfStock as error:
            return {"items": [type(error).__name__, error.item, error.left]}
        return {}

    return Plan(graph=line(node), input={"items": []})


@case("error_subgraph_node", area=AREA, feature="a sub-graph as node raises")
def error_subgraph_node(kit: Kit) -> Plan:
    def leaf(state: Items) -> Any:
        raise OutOfStock("tea")

    graph = StateGraph(Items).add_node("sub", line(leaf).compile()).add_edge(START, "sub")
    return Plan(graph=graph, input={"items": []}, state=False)


@case("error_recursion_caught", area=AREA, feature="GraphRecursionError of a sub-graph is caught")
def error_recursion_caught(kit: Kit) -> Plan:
    graph = StateGraph(Items).add_node("more", lambda s: {"items": [1]}).add_edge(START, "more")
    inner = graph.add_edge("more", "more").compile()

    async def node(state: Items) -> Any:
        try:
            await inner.ainvoke({"items": []}, {"recursion_limit": 3})
        except GraphRecursionError as error:
            return {"items": [type(error).__name__]}
        return {}

    return Plan(graph=line(node), input={"items": []})


def errors_take(item: str) -> str:
    """Take an item."""
    raise OutOfStock(item, 3)


async def errors_take_later(item: str) -> str:
    """Take an item."""
    raise Rude(item)


@case("error_tool", area=AREA, feature="a tool raises: except in the node sees its own type")
def error_tool(kit: Kit) -> Plan:
    tool, later = kit.tool(errors_take, retry=ONCE), kit.tool(errors_take_later, retry=ONCE)

    async def node(state: Items) -> Any:
        found: list[Any] = []
        for one in (tool, later):
            try:
                await one.ainvoke({"item": "tea"})
            except OutOfStock as error:
                found.append([type(error).__name__, str(error)])
        return {"items": found}

    return Plan(graph=line(node), input={"items": []})


@case("error_toolnode", area=AREA, feature="ToolNode tells the model what a tool raised")
def error_toolnode(kit: Kit) -> Plan:
    tool = kit.tool(errors_take, retry=ONCE)
    graph = StateGraph(MessagesState)
    graph.add_node("tools", ToolNode([tool], handle_tool_errors=True)).add_edge(START, "tools")
    return Plan(graph=graph, input={"messages": [calls("errors_take", {"item": "tea"})]})


@case("error_toolnode_own", area=AREA, feature="ToolNode with a handler by the type of exception")
def error_toolnode_own(kit: Kit) -> Plan:
    def handle(error: OutOfStock) -> str:
        return f"no {error.item}"

    tool = kit.tool(errors_take, retry=ONCE)
    graph = StateGraph(MessagesState)
    graph.add_node("tools", ToolNode([tool], handle_tool_errors=handle)).add_edge(START, "tools")
    return Plan(graph=graph, input={"messages": [calls("errors_take", {"item": "tea"})]})


@case("error_model", area=AREA, feature="a model raises: except in the node sees its own type")
def error_model(kit: Kit) -> Plan:
    model = kit.model(OutOfStock("answers"), retry=ONCE)

    async def node(state: Items) -> Any:
        try:
            await model.ainvoke([HumanMessage("x")])
        except OutOfStock as error:
            return {"items": [type(error).__name__, str(error)]}
        return {}

    return Plan(graph=line(node), input={"items": []})


@case("error_model_uncaught", area=AREA, feature="a model raises and nobody catches it")
def error_model_uncaught(kit: Kit) -> Plan:
    model = kit.model(OutOfStock("answers"), retry=ONCE)

    async def node(state: Items) -> Any:
        return {"items": [await model.ainvoke([HumanMessage("x")])]}

    return Plan(graph=line(node), input={"items": []}, state=False)


@case("error_node_activity", area=AREA, feature="a node activity raises: its error handler sees it")
def error_node_activity(kit: Kit) -> Plan:
    from langgraph.errors import NodeError  # noqa: PLC0415

    def node(state: Items) -> Any:
        raise OutOfStock("tea", 4)

    def mend(state: Items, error: NodeError) -> Any:
        return {"items": [type(error.error).__name__, str(error.error)]}

    graph = StateGraph(Items).add_node("n", kit.node(node, retry=ONCE), error_handler=mend)
    return Plan(graph=graph.add_edge(START, "n"), input={"items": []})


@case("error_parallel", area=AREA, feature="one of two parallel nodes raises")
def error_parallel(kit: Kit) -> Plan:
    def good(state: Items) -> Any:
        return {"items": ["good"]}

    def bad(state: Items) -> Any:
        raise OutOfStock("tea")

    graph = StateGraph(Items).add_node("good", good).add_node("bad", bad)
    return Plan(
        graph=graph.add_edge(START, "good").add_edge(START, "bad"), input={"items": []}, state=False
    )


@case("error_input_empty", area=AREA, feature="an input without any known key: the error")
def error_input_empty(kit: Kit) -> Plan:
    def node(state: Items) -> Any:
        return {}

    return Plan(graph=line(node), input={}, state=False)
