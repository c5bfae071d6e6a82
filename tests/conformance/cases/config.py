"""What a run is given beside its input: configurable keys, tags, metadata, callbacks."""

import operator
from itertools import pairwise
from typing import Annotated, Any

from langchain_core.callbacks import AsyncCallbackHandler, BaseCallbackHandler
from langchain_core.messages import HumanMessage
from langchain_core.runnables import RunnableConfig
from langgraph.config import get_config
from langgraph.graph import START, StateGraph
from langgraph.runtime import Runtime, get_runtime
from typing_extensions import TypedDict

from conformance.case import Kit, Plan, case
from conformance.cases._states import Items, line

AREA = "Config"


@case(
    "config_configurable", area=AREA, feature="user keys in config['configurable'] reach the nodes"
)
def config_configurable(kit: Kit) -> Plan:
    def by_argument(state: Items, config: RunnableConfig) -> Any:
        return {"items": [config["configurable"]["tenant"]]}

    async def by_call(state: Items) -> Any:
        return {"items": [get_config()["configurable"]["level"]]}

    return Plan(
        graph=line(by_argument, by_call),
        input={"items": []},
        config={"configurable": {"tenant": "acme", "level": 3}},
    )


@case("config_tags", area=AREA, feature="tags and metadata reach the nodes")
def config_tags(kit: Kit) -> Plan:
    def node(state: Items, config: RunnableConfig) -> Any:
        return {"items": [[t for t in config["tags"] if t == "red"], config["metadata"]["who"]]}

    return Plan(
        graph=line(node), input={"items": []}, config={"tags": ["red"], "metadata": {"who": "ann"}}
    )


@case("config_metadata_own", area=AREA, feature="LangGraph's own metadata: node, step, triggers")
def config_metadata_own(kit: Kit) -> Plan:
    def node(state: Items, config: RunnableConfig) -> Any:
        held = config["metadata"]
        keys = ("langgraph_node", "langgraph_step", "langgraph_triggers", "langgraph_path")
        return {"items": [str(held[key]) for key in keys]}

    return Plan(graph=line(node), input={"items": []})


@case("config_thread", area=AREA, feature="thread_id and checkpoint_ns are there")
def config_thread(kit: Kit) -> Plan:
    def node(state: Items, config: RunnableConfig) -> Any:
        held = config["configurable"]
        return {"items": [bool(held["thread_id"]), held["checkpoint_ns"].split(":")[0]]}

    return Plan(graph=line(node), input={"items": []})


@case("config_recursion", area=AREA, feature="recursion_limit is told to the nodes")
def config_recursion(kit: Kit) -> Plan:
    def node(state: Items, config: RunnableConfig) -> Any:
        return {"items": [config["recursion_limit"]]}

    return Plan(graph=line(node), input={"items": []}, config={"recursion_limit": 17})


@case("config_with_config", area=AREA, feature="graph.with_config: configurable keys and tags")
def config_with_config(kit: Kit) -> Plan:
    def node(state: Items, config: RunnableConfig) -> Any:
        return {"items": [config["configurable"]["tenant"], "red" in config["tags"]]}

    graph = line(node).compile().with_config({"configurable": {"tenant": "x"}, "tags": ["red"]})
    return Plan(graph=graph, input={"items": []})


@case("config_subgraph", area=AREA, feature="configurable keys reach a sub-graph called in a node")
def config_subgraph(kit: Kit) -> Plan:
    def inner(state: Items, config: RunnableConfig) -> Any:
        return {"items": [config["configurable"]["tenant"]]}

    held = line(inner).compile()

    async def node(state: Items) -> Any:
        return {"items": (await held.ainvoke({"items": []}))["items"]}

    return Plan(graph=line(node), input={"items": []}, config={"configurable": {"tenant": "acme"}})


@case("config_runtime", area=AREA, feature="get_runtime() in a node")
def config_runtime(kit: Kit) -> Plan:
    def node(state: Items) -> Any:
        held: Runtime[Any] = get_runtime()
        info: Any = held.execution_info
        return {"items": [info.node_attempt, bool(info.task_id), bool(info.checkpoint_id)]}

    return Plan(graph=line(node), input={"items": []})


class Notes(BaseCallbackHandler):
    """Notes what it hears in a list that the node owns."""

    def __init__(self, heard: list[str]) -> None:
        self.heard = heard

    def on_chain_start(self, *args: Any, **kwargs: Any) -> None:
        self.heard.append("chain start")

    def on_chat_model_start(self, *args: Any, **kwargs: Any) -> None:
        self.heard.append("model start")

    def on_llm_end(self, response: Any, **kwargs: Any) -> None:
        self.heard.append(f"model end {response.generations[0][0].text}")

    def on_tool_start(self, *args: Any, **kwargs: Any) -> None:
        self.heard.append("tool start")

    def on_tool_end(self, output: Any, **kwargs: Any) -> None:
        self.heard.append(f"tool end {output}")


class LaterNotes(AsyncCallbackHandler):
    def __init__(self, heard: list[str]) -> None:
        self.heard = heard

    async def on_chat_model_start(self, *args: Any, **kwargs: Any) -> None:
        self.heard.append("async model start")

    async def on_llm_end(self, response: Any, **kwargs: Any) -> None:
        self.heard.append("async model end")


def config_tool(q: str) -> str:
    """Find something."""
    return f"found {q}"


@case("config_callbacks_node", area=AREA, feature="callbacks given to a model and a tool in a node")
def config_callbacks_node(kit: Kit) -> Plan:
    model, tool = kit.model("yes"), kit.tool(config_tool)

    async def node(state: Items) -> Any:
        heard: list[str] = []
        config: Any = {"callbacks": [Notes(heard), LaterNotes(heard)]}
        await model.ainvoke([HumanMessage("x")], config)
        await tool.ainvoke({"q": "a"}, config)
        return {"items": sorted(heard)}

    return Plan(graph=line(node), input={"items": []})


@case("config_callbacks_graph", area=AREA, feature="callbacks bound to the graph hear its nodes")
def config_callbacks_graph(kit: Kit) -> Plan:
    model = kit.model("yes")
    heard: list[str] = []

    def begin(state: Items) -> Any:
        heard.clear()
        return {}

    async def node(state: Items) -> Any:
        await model.ainvoke([HumanMessage("x")])
        return {"items": [item for item in heard if item.startswith("model")]}

    graph = line(begin, node).compile().with_config({"callbacks": [Notes(heard)]})
    return Plan(graph=graph, input={"items": []})


@case("config_checkpoint_ids", area=AREA, feature="checkpoint ids strictly increase")
def config_checkpoint_ids(kit: Kit) -> Plan:
    graph: Any = StateGraph(IdsState, output_schema=OnlyCount)
    graph.add_node("node", see_id).add_node("check", check_ids).add_edge(START, "node")
    graph.add_conditional_edges("node", lambda s: "check" if len(s["items"]) > 5 else "node")
    return Plan(graph=graph, input={"items": []}, state=False)


def see_id(state: Any, runtime: Runtime[Any]) -> Any:
    info: Any = runtime.execution_info
    return {"items": [info.checkpoint_id]}


def check_ids(state: Any) -> Any:
    ids = state["items"]
    return {"n": [len(set(ids)), all(a < b for a, b in pairwise(ids))]}


class IdsState(TypedDict, total=False):
    items: Annotated[list[Any], operator.add]
    n: Any


class OnlyCount(TypedDict):
    n: Any
