"""Streaming: what the client gets, and what a node gets of a graph that it streams."""

from typing import Any

from langchain_core.messages import HumanMessage
from langgraph.config import get_stream_writer
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode
from langgraph.types import StreamWriter, interrupt

from conformance.case import Kit, Plan, case
from conformance.cases._states import Items, line
from conformance.kits import calls
from conformance.streams import tell_parts

AREA = "Streaming"


def one(state: Items) -> Any:
    return {"items": ["one"]}


def two(state: Items) -> Any:
    return {"items": ["two"], "n": 2}


def told(mode: str) -> Any:
    def build(kit: Kit) -> Plan:
        return Plan(graph=line(one, two), input={"items": ["in"]}, modes=(mode,))

    return build


for _mode in ("values", "updates", "tasks", "checkpoints", "debug"):
    case(f"stream_{_mode}", area=AREA, feature=f"to the client: {_mode}")(told(_mode))


@case("stream_parallel", area=AREA, feature="to the client: updates of parallel nodes")
def stream_parallel(kit: Kit) -> Plan:
    graph = StateGraph(Items).add_node("one", one).add_node("two", two)
    graph.add_edge(START, "one").add_edge(START, "two")
    return Plan(graph=graph, input={"items": []}, modes=("updates", "values"))


@case("stream_custom", area=AREA, feature="to the client: custom, by get_stream_writer()")
def stream_custom(kit: Kit) -> Plan:
    async def node(state: Items) -> Any:
        write = get_stream_writer()
        write({"percent": 50})
        write("done")
        return {"items": ["x"]}

    return Plan(graph=line(node), input={"items": []}, modes=("custom",))


@case("stream_custom_argument", area=AREA, feature="to the client: custom, by the writer argument")
def stream_custom_argument(kit: Kit) -> Plan:
    def node(state: Items, writer: StreamWriter) -> Any:
        writer({"percent": 50})
        return {"items": ["x"]}

    return Plan(graph=line(node), input={"items": []}, modes=("custom", "updates"))


@case("stream_messages", area=AREA, feature="to the client: messages, the model's tokens")
def stream_messages(kit: Kit) -> Plan:
    model = kit.model("one two three", "four five")

    async def talk(state: MessagesState) -> Any:
        return {"messages": [await model.ainvoke(state["messages"])]}

    async def more(state: MessagesState) -> Any:
        return {"messages": [await model.ainvoke(state["messages"])]}

    return Plan(
        graph=line(talk, more, schema=MessagesState),
        input={"messages": [HumanMessage("hi")]},
        modes=("messages",),
        activities={"model": 2},
    )


@case("stream_messages_sync", area=AREA, feature="to the client: messages from a sync node")
def stream_messages_sync(kit: Kit) -> Plan:
    model = kit.model("one two three")

    def talk(state: MessagesState) -> Any:
        return {"messages": [model.invoke(state["messages"])]}

    return Plan(
        graph=line(talk, schema=MessagesState),
        input={"messages": [HumanMessage("hi")]},
        modes=("messages", "updates"),
    )


def streaming_find(q: str) -> str:
    """Find something."""
    return f"found {q}"


@case(
    "stream_messages_tools", area=AREA, feature="to the client: messages with tool calls and tools"
)
def stream_messages_tools(kit: Kit) -> Plan:
    tool = kit.tool(streaming_find)
    model = kit.model(calls("streaming_find", {"q": "a"}), "it is done")

    async def talk(state: MessagesState) -> Any:
        return {"messages": [await model.ainvoke(state["messages"])]}

    graph = StateGraph(MessagesState).add_node("talk", talk).add_node("tools", ToolNode([tool]))
    graph.add_edge(START, "talk").add_edge("tools", "talk")
    graph.add_conditional_edges(
        "talk", lambda s: "tools" if s["messages"][-1].tool_calls else "__end__"
    )
    return Plan(graph=graph, input={"messages": [HumanMessage("hi")]}, modes=("messages",))


@case("stream_messages_nostream", area=AREA, feature="to the client: a model tagged nostream")
def stream_messages_nostream(kit: Kit) -> Plan:
    model = kit.model("one two three").with_config(tags=["nostream"])

    async def talk(state: Items) -> Any:
        return {"items": [(await model.ainvoke([HumanMessage("x")])).content]}

    return Plan(graph=line(talk), input={"items": []}, modes=("messages", "updates"))


@case("stream_subgraphs", area=AREA, feature="to the client: sub-graphs included")
def stream_subgraphs(kit: Kit) -> Plan:
    inner = line(one, two).compile()
    graph = StateGraph(Items).add_node("sub", inner).add_node("after", one)
    return Plan(
        graph=graph.add_edge(START, "sub").add_edge("sub", "after"),
        input={"items": []},
        modes=("updates", "values"),
        subgraphs=True,
    )


@case("stream_subgraphs_called", area=AREA, feature="to the client: a sub-graph called in a node")
def stream_subgraphs_called(kit: Kit) -> Plan:
    inner = line(one, two).compile()

    async def node(state: Items) -> Any:
        return {"items": [(await inner.ainvoke({"items": []}))["items"]]}

    return Plan(graph=line(node), input={"items": []}, modes=("updates",), subgraphs=True)


@case("stream_subgraph_messages", area=AREA, feature="to the client: tokens of a sub-graph")
def stream_subgraph_messages(kit: Kit) -> Plan:
    model = kit.model("one two three")

    async def talk(state: MessagesState) -> Any:
        return {"messages": [await model.ainvoke(state["messages"])]}

    graph = StateGraph(MessagesState).add_node("sub", line(talk, schema=MessagesState).compile())
    return Plan(
        graph=graph.add_edge(START, "sub"),
        input={"messages": [HumanMessage("hi")]},
        modes=("messages",),
        subgraphs=True,
    )


@case("stream_several", area=AREA, feature="to the client: several modes at once")
def stream_several(kit: Kit) -> Plan:
    model = kit.model("one two")

    async def talk(state: MessagesState) -> Any:
        get_stream_writer()("started")
        return {"messages": [await model.ainvoke(state["messages"])]}

    return Plan(
        graph=line(talk, schema=MessagesState),
        input={"messages": [HumanMessage("hi")]},
        modes=("values", "updates", "custom", "messages", "tasks"),
    )


def inside(mode: Any, **options: Any) -> Any:
    """A node streams a graph of its own and keeps what came."""

    def build(kit: Kit) -> Plan:
        model = kit.model("one two three")

        async def talk(state: MessagesState) -> Any:
            get_stream_writer()("begun")
            return {"messages": [await model.ainvoke(state["messages"])]}

        inner = line(talk, schema=MessagesState).compile()

        async def node(state: Items) -> Any:
            parts: list[Any] = []
            given = {"messages": [HumanMessage("hi", id="h")]}
            async for part in inner.astream(given, stream_mode=mode, subgraphs=True, **options):
                ns, *rest = part
                parts.append((len(ns), *(rest if isinstance(mode, list) else [mode, *rest])))
            return {"items": [tell_parts(parts)]}

        return Plan(graph=line(node), input={"items": []}, activities={"model": 1})

    return build


for _mode in ("values", "updates", "custom", "messages", "tasks", "debug"):
    case(f"stream_inside_{_mode}", area=AREA, feature=f"inside the workflow: {_mode}")(
        inside(_mode)
    )
case("stream_inside_several", area=AREA, feature="inside the workflow: several modes")(
    inside(["updates", "custom", "messages"])
)


@case("stream_inside_sync", area=AREA, feature="inside the workflow: graph.stream() in a sync node")
def stream_inside_sync(kit: Kit) -> Plan:
    inner = line(one, two).compile()

    def node(state: Items) -> Any:
        return {"items": [list(inner.stream({"items": []}, stream_mode="updates"))]}

    return Plan(graph=line(node), input={"items": []})


@case("stream_inside_events", area=AREA, feature="inside the workflow: astream_events of a chain")
def stream_inside_events(kit: Kit) -> Plan:
    model = kit.model("one two")

    async def node(state: Items) -> Any:
        events = model.astream_events([HumanMessage("x")], version="v2")
        return {"items": sorted({event["event"] async for event in events})}

    return Plan(graph=line(node), input={"items": []}, activities={"model": 1})


@case("stream_interrupt", area=AREA, feature="to the client: an interrupt among the updates")
def stream_interrupt(kit: Kit) -> Plan:
    def ask(state: Items) -> Any:
        return {"items": [interrupt("go?")]}

    return Plan(graph=line(one, ask), input={"items": []}, answers=["yes"], modes=("custom",))
