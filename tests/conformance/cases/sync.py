"""Sync nodes that call models, tools and agents."""

import time
from typing import Any

from langchain.agents import create_agent
from langchain_core.messages import HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate

from conformance.case import Kit, Plan, case
from conformance.cases._states import Items, line
from conformance.kits import calls

AREA = "Sync nodes"
HI = [HumanMessage("hi")]


def sync_weigh(thing: str) -> str:
    """Weigh a thing."""
    return f"{thing}: 3 kg"


def node_plan(node: Any, **options: Any) -> Plan:
    return Plan(graph=line(node), input={"items": []}, **options)


@case("sync_model", area=AREA, feature="model.invoke() in a sync node")
def sync_model(kit: Kit) -> Plan:
    model = kit.model("one", "two")

    def node(state: Items) -> Any:
        first = model.invoke(HI)
        return {"items": [first.content, model.invoke([*HI, first]).content]}

    return node_plan(node, activities={"model": 2})


@case("sync_tool", area=AREA, feature="tool.invoke() in a sync node")
def sync_tool(kit: Kit) -> Plan:
    tool = kit.tool(sync_weigh)

    def node(state: Items) -> Any:
        return {"items": [tool.invoke({"thing": "tea"}), tool.invoke({"thing": "tea"})]}

    return node_plan(node, activities={"tool": 2})


@case("sync_agent", area=AREA, feature="agent.invoke() in a sync node")
def sync_agent(kit: Kit) -> Plan:
    agent: Any = create_agent(
        kit.model(calls("sync_weigh", {"thing": "tea"}), "It is heavy."), [kit.tool(sync_weigh)]
    )

    def node(state: Items) -> Any:
        found = agent.invoke({"messages": HI})
        return {"items": [message.content for message in found["messages"]]}

    return node_plan(node, activities={"model": 2, "tool": 1})


@case("sync_batch", area=AREA, feature="model.batch() in a sync node")
def sync_batch(kit: Kit) -> Plan:
    model = kit.model(lambda messages: messages[-1].text.upper())

    def node(state: Items) -> Any:
        return {"items": [m.content for m in model.batch([[HumanMessage(t)] for t in "abc"])]}

    return node_plan(node, activities={"model": 3})


@case("sync_stream", area=AREA, feature="model.stream() in a sync node")
def sync_stream(kit: Kit) -> Plan:
    model = kit.model("one two three")

    def node(state: Items) -> Any:
        return {"items": ["".join(str(part.content) for part in model.stream(HI))]}

    return node_plan(node, activities={"model": 1})


@case("sync_sleep", area=AREA, feature="time.sleep() in a sync node")
def sync_sleep(kit: Kit) -> Plan:
    def node(state: Items) -> Any:
        time.sleep(0.05)
        return {"items": ["rested"]}

    return node_plan(node)


@case("sync_chain", area=AREA, feature="chain.invoke() in a sync node")
def sync_chain(kit: Kit) -> Plan:
    chain = ChatPromptTemplate.from_template("say {x}") | kit.model("one") | StrOutputParser()

    def node(state: Items) -> Any:
        return {"items": [chain.invoke({"x": 1}), *chain.batch([{"x": 2}, {"x": 3}])]}

    return node_plan(node, activities={"model": 3})


@case("sync_router_model", area=AREA, feature="a sync router that calls a model")
def sync_router_model(kit: Kit) -> Plan:
    from langgraph.graph import START, StateGraph  # noqa: PLC0415

    model = kit.model("odd")
    graph = StateGraph(Items)
    for name in ("even", "odd"):
        graph.add_node(name, lambda state, name=name: {"items": [name]})
    graph.add_conditional_edges(START, lambda s: model.invoke(HI).content, ["even", "odd"])
    return Plan(graph=graph, input={"items": []}, activities={"model": 1})


@case("sync_parallel", area=AREA, feature="parallel sync nodes that call models")
def sync_parallel(kit: Kit) -> Plan:
    from langgraph.graph import START, StateGraph  # noqa: PLC0415

    model = kit.model(lambda messages: messages[-1].text.upper())
    graph = StateGraph(Items)
    for name in ("a", "b", "c"):

        def node(state: Items, name: str = name) -> Any:
            return {"items": [model.invoke([HumanMessage(name)]).content]}

        graph.add_node(name, node).add_edge(START, name)
    return Plan(graph=graph, input={"items": []}, activities={"model": 3})


@case("sync_structured", area=AREA, feature="with_structured_output().invoke() in a sync node")
def sync_structured(kit: Kit) -> Plan:
    model = kit.model(calls("SyncColour", {"name": "red"})).with_structured_output(SyncColour)

    def node(state: Items) -> Any:
        return {"items": [model.invoke(HI).name]}

    return node_plan(node, activities={"model": 1})


from pydantic import BaseModel  # noqa: E402


class SyncColour(BaseModel):
    """A colour."""

    name: str


class SyncFault(Exception):
    pass


def sync_break(thing: str) -> str:
    """Break a thing."""
    raise SyncFault(f"{thing} is broken")


@case("sync_tool_error", area=AREA, feature="the exception of a tool in a sync node's except")
def sync_tool_error(kit: Kit) -> Plan:
    tool = kit.tool(sync_break)

    def node(state: Items) -> Any:
        try:
            return {"items": [tool.invoke({"thing": "cup"})]}
        except SyncFault as error:
            return {"items": [f"caught {error}"]}

    return node_plan(node)
