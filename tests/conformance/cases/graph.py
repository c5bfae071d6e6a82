"""Graph API: states, channels, edges, commands, sends."""

import operator
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, RemoveMessage
from langgraph.channels import (
    AnyValue,
    BinaryOperatorAggregate,
    DeltaChannel,
    EphemeralValue,
    LastValue,
    Topic,
    UntrackedValue,
)
from langgraph.graph import END, START, MessagesState, StateGraph, add_messages
from langgraph.managed import IsLastStep, RemainingSteps
from langgraph.runtime import Runtime
from langgraph.types import Command, Overwrite, Send
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from conformance.case import Kit, Plan, case
from conformance.cases._states import Items, line

GRAPH = "Graph API"


@case("state_typeddict", area=GRAPH, feature="TypedDict state")
def state_typeddict(kit: Kit) -> Plan:
    def one(state: Items) -> Any:
        return {"items": ["one"], "n": 1}

    def two(state: Items) -> Any:
        return {"items": ["two", state["n"]], "n": state["n"] + 1}

    return Plan(graph=line(one, two), input={"items": []}, states=True)


@dataclass
class DataState:
    x: int = 0
    items: Annotated[list[str], operator.add] = field(default_factory=list)


@case("state_dataclass", area=GRAPH, feature="dataclass state")
def state_dataclass(kit: Kit) -> Plan:
    def one(state: DataState) -> Any:
        return {"x": state.x + 1, "items": [type(state).__name__]}

    async def two(state: DataState) -> Any:
        return {"x": state.x * 10, "items": ["two"]}

    return Plan(graph=line(one, two, schema=DataState), input={"x": 1}, states=True)


class Inner(BaseModel):
    a: int = 1


class ModelState(BaseModel):
    x: int = 0
    inner: Inner = Field(default_factory=Inner)
    items: Annotated[list[str], operator.add] = Field(default_factory=list)


@case("state_pydantic", area=GRAPH, feature="pydantic state, two nodes")
def state_pydantic(kit: Kit) -> Plan:
    def one(state: ModelState) -> Any:
        return {"x": state.x + 1, "items": [type(state.inner).__name__]}

    def two(state: ModelState) -> Any:
        return {"inner": Inner(a=state.x), "items": ["two"]}

    return Plan(graph=line(one, two, schema=ModelState), input={"x": 1}, states=True)


@case("state_pydantic_input", area=GRAPH, feature="pydantic state: an input that does not validate")
def state_pydantic_input(kit: Kit) -> Plan:
    def one(state: ModelState) -> Any:
        return {"x": state.x + 1}

    return Plan(graph=line(one, schema=ModelState), input={"x": "many"}, state=False)


@case("state_pydantic_node", area=GRAPH, feature="pydantic state: a node returns the model itself")
def state_pydantic_node(kit: Kit) -> Plan:
    def one(state: ModelState) -> Any:
        return ModelState(x=state.x + 5, inner=Inner(a=7))

    return Plan(graph=line(one, schema=ModelState), input={"x": 1})


@case("reducers_parallel", area=GRAPH, feature="reducers: parallel nodes write one channel")
def reducers_parallel(kit: Kit) -> Plan:
    graph = StateGraph(Items)
    for name in ("a", "b", "c"):
        graph.add_node(name, lambda state, name=name: {"items": [name]})
        graph.add_edge(START, name)
    graph.add_node("join", lambda state: {"items": [len(state["items"])]})
    graph.add_edge(["a", "b", "c"], "join")
    return Plan(graph=graph, input={"items": ["in"]}, states=True)


def largest(left: int, right: int) -> int:
    return max(left, right)


class Largest(TypedDict):
    top: Annotated[int, largest]


@case("reducer_own", area=GRAPH, feature="reducers: a function of one's own")
def reducer_own(kit: Kit) -> Plan:
    def low(state: Largest) -> Any:
        return {"top": 3}

    def high(state: Largest) -> Any:
        return {"top": 9}

    return Plan(graph=line(high, low, schema=Largest), input={"top": 5}, states=True)


@case("reducer_conflict", area=GRAPH, feature="two writes to a LastValue in one step: the error")
def reducer_conflict(kit: Kit) -> Plan:
    graph = StateGraph(Items)
    graph.add_node("a", lambda state: {"n": 1})
    graph.add_node("b", lambda state: {"n": 2})
    graph.add_edge(START, "a").add_edge(START, "b")
    return Plan(graph=graph, input={"items": []}, state=False)


@case("messages_state", area=GRAPH, feature="MessagesState: nodes get messages")
def messages_state(kit: Kit) -> Plan:
    def one(state: MessagesState) -> Any:
        return {"messages": [AIMessage(",".join(type(m).__name__ for m in state["messages"]))]}

    def two(state: MessagesState) -> Any:
        return {"messages": ("user", f"{state['messages'][-1].text}!")}

    return Plan(
        graph=line(one, two, schema=MessagesState),
        input={"messages": [{"role": "user", "content": "hi"}, HumanMessage("you")]},
        states=True,
    )


@case("messages_replace", area=GRAPH, feature="MessagesState: a message of the same id replaces")
def messages_replace(kit: Kit) -> Plan:
    def one(state: MessagesState) -> Any:
        return {"messages": [AIMessage("draft", id="a")]}

    def two(state: MessagesState) -> Any:
        return {"messages": [AIMessage("final", id="a")]}

    return Plan(graph=line(one, two, schema=MessagesState), input={"messages": []})


@case("remove_message", area=GRAPH, feature="RemoveMessage: ids drawn in the run are found again")
def remove_message(kit: Kit) -> Plan:
    def one(state: MessagesState) -> Any:
        return {"messages": [AIMessage("a"), AIMessage("b"), AIMessage("c")]}

    def drop(state: MessagesState) -> Any:
        return {"messages": [RemoveMessage(id=m.id) for m in state["messages"][:2]]}

    ask = kit.model("kept")

    async def talk(state: MessagesState) -> Any:
        return {"messages": [await ask.ainvoke([HumanMessage("x")])]}

    return Plan(
        graph=line(one, talk, drop, schema=MessagesState),
        input={"messages": [HumanMessage("hi")]},
        activities={"model": 1},
    )


@case("command_update_messages", area=GRAPH, feature="Command that updates messages")
def command_update_messages(kit: Kit) -> Plan:
    def one(state: MessagesState) -> Command[Literal["two"]]:
        return Command(update={"messages": [AIMessage("from a command")]}, goto="two")

    def two(state: MessagesState) -> Any:
        return {"messages": [AIMessage(state["messages"][-1].text.upper())]}

    graph = StateGraph(MessagesState).add_node("one", one).add_node("two", two)
    return Plan(graph=graph.add_edge(START, "one"), input={"messages": []}, states=True)


def extend(state: list[Any], writes: Sequence[list[Any]]) -> list[Any]:
    return [*(state or []), *(item for write in writes for item in write)]


class DeltaState(TypedDict):
    log: Annotated[list[Any], DeltaChannel(extend, snapshot_frequency=3)]


@case("channel_delta", area=GRAPH, feature="DeltaChannel, with snapshots in between")
def channel_delta(kit: Kit) -> Plan:
    graph = StateGraph(DeltaState)
    graph.add_node("more", lambda state: {"log": [len(state["log"])]})
    graph.add_edge(START, "more")
    graph.add_conditional_edges("more", lambda s: END if len(s["log"]) > 7 else "more")
    return Plan(graph=graph, input={"log": ["a"]}, states=True)


class DeltaWaits(TypedDict):
    log: Annotated[list[Any], DeltaChannel(extend)]


@case("channel_delta_interrupt", area=GRAPH, feature="DeltaChannel across an interrupt")
def channel_delta_interrupt(kit: Kit) -> Plan:
    from langgraph.types import interrupt  # noqa: PLC0415

    def one(state: DeltaWaits) -> Any:
        return {"log": ["one"]}

    def ask(state: DeltaWaits) -> Any:
        return {"log": [interrupt("colour?"), len(state["log"])]}

    return Plan(
        graph=line(one, ask, schema=DeltaWaits), input={"log": []}, answers=["red"], states=True
    )


class Channels(TypedDict, total=False):
    last: Annotated[int, LastValue(int)]
    once: Annotated[str, EphemeralValue(str)]
    topic: Annotated[Sequence[str], Topic(str, accumulate=True)]
    fresh: Annotated[Sequence[str], Topic(str)]
    total: Annotated[int, BinaryOperatorAggregate(int, operator.add)]
    anyone: Annotated[str, AnyValue(str)]
    hidden: Annotated[str, UntrackedValue(str)]
    seen: Annotated[list[Any], operator.add]


def keys(state: Any) -> list[Any]:
    return sorted((key, repr(value)) for key, value in state.items() if key != "seen")


@case(
    "channels_other",
    area=GRAPH,
    feature="other channels: LastValue, EphemeralValue, Topic, BinaryOperatorAggregate, AnyValue",
)
def channels_other(kit: Kit) -> Plan:
    def one(state: Channels) -> Any:
        return {
            "last": 1, "once": "gone soon", "topic": "a", "fresh": "b", "total": 2, "anyone": "x",
            "seen": [keys(state)],
        }  # fmt: skip

    def two(state: Channels) -> Any:
        return {"topic": "c", "total": 5, "anyone": "y", "seen": [keys(state)]}

    def three(state: Channels) -> Any:
        return {"seen": [keys(state)]}

    return Plan(graph=line(one, two, three, schema=Channels), input={"last": 0}, states=True)


@case("channel_untracked", area=GRAPH, feature="UntrackedValue")
def channel_untracked(kit: Kit) -> Plan:
    def one(state: Channels) -> Any:
        return {"hidden": "secret", "seen": [keys(state)]}

    def two(state: Channels) -> Any:
        return {"seen": [keys(state)]}

    return Plan(graph=line(one, two, schema=Channels), input={"last": 0}, states=True)


@case("channel_topic_parallel", area=GRAPH, feature="Topic and AnyValue written by parallel nodes")
def channel_topic_parallel(kit: Kit) -> Plan:
    graph = StateGraph(Channels)
    for name in ("a", "b"):
        graph.add_node(name, lambda state, name=name: {"topic": name, "anyone": "same"})
        graph.add_edge(START, name).add_edge(name, "c")
    graph.add_node("c", lambda state: {"seen": [keys(state)]})
    return Plan(graph=graph, input={"last": 0}, states=True)


@case("channel_barrier", area=GRAPH, feature="NamedBarrierValue: a join waits for all branches")
def channel_barrier(kit: Kit) -> Plan:
    graph = StateGraph(Items)
    for name in ("a", "b1", "b2", "join"):
        graph.add_node(name, lambda state, name=name: {"items": [name]})
    graph.add_edge(START, "a").add_edge(START, "b1").add_edge("b1", "b2")
    graph.add_edge(["a", "b2"], "join")
    return Plan(graph=graph, input={"items": []}, states=True)


class Private(TypedDict):
    secret: str


class Public(TypedDict):
    asked: str
    said: str


class Question(TypedDict):
    asked: str


class Said(TypedDict):
    said: str


@case("state_private", area=GRAPH, feature="private state between two nodes")
def state_private(kit: Kit) -> Plan:
    def one(state: Public) -> Private:
        return {"secret": state["asked"] * 2}

    def two(state: Private) -> Any:
        return {"said": f"{sorted(state)}{state['secret']}"}

    graph = StateGraph(Public).add_node("one", one).add_node("two", two)
    graph.add_edge(START, "one").add_edge("one", "two")
    return Plan(graph=graph, input={"asked": "x", "said": ""}, states=True)


@case("schemas", area=GRAPH, feature="input and output schemas")
def schemas(kit: Kit) -> Plan:
    def one(state: Question) -> Any:
        return {"said": f"{state['asked']}!", "asked": "changed"}

    graph = StateGraph(Public, input_schema=Question, output_schema=Said)
    return Plan(graph=graph.add_node("one", one).add_edge(START, "one"), input={"asked": "x"})


class NodeInput(TypedDict):
    n: int


@case("node_input_schema", area=GRAPH, feature="input_schema of one node")
def node_input_schema(kit: Kit) -> Plan:
    def one(state: Any) -> Any:
        return {"items": [sorted(state)]}

    graph = StateGraph(Items).add_node("one", one, input_schema=NodeInput)
    return Plan(graph=graph.add_edge(START, "one"), input={"items": [], "n": 3})


class Ctx(TypedDict):
    user: str


@dataclass
class CtxData:
    user: str
    level: int = 1


class CtxModel(BaseModel):
    user: str
    level: int = 1


def context_graph(schema: Any) -> Any:
    def one(state: Items, runtime: Runtime[Any]) -> Any:
        held = runtime.context
        user = held["user"] if isinstance(held, dict) else f"{held.user}{held.level}"
        return {"items": [type(held).__name__, user]}

    return line(one, schema=Items, context_schema=schema)


@case("context_typeddict", area=GRAPH, feature="context_schema: TypedDict")
def context_typeddict(kit: Kit) -> Plan:
    return Plan(graph=context_graph(Ctx), input={"items": []}, context={"user": "ann"})


@case("context_dataclass", area=GRAPH, feature="context_schema: dataclass")
def context_dataclass(kit: Kit) -> Plan:
    return Plan(graph=context_graph(CtxData), input={"items": []}, context={"user": "ann"})


@case("context_dataclass_value", area=GRAPH, feature="context_schema: a dataclass handed over")
def context_dataclass_value(kit: Kit) -> Plan:
    return Plan(
        graph=context_graph(CtxData), input={"items": []}, context=CtxData(user="ann", level=4)
    )


@case("context_pydantic", area=GRAPH, feature="context_schema: pydantic")
def context_pydantic(kit: Kit) -> Plan:
    return Plan(
        graph=context_graph(CtxModel), input={"items": []}, context={"user": "ann", "level": 2}
    )


@case("context_missing", area=GRAPH, feature="context_schema: a context that does not fit")
def context_missing(kit: Kit) -> Plan:
    return Plan(
        graph=context_graph(CtxModel), input={"items": []}, context={"level": 2}, state=False
    )


def route_items(state: Items) -> str:
    return "even" if state["n"] % 2 == 0 else "odd"


async def aroute_items(state: Items) -> str:
    return route_items(state)


def routed(route: Any, *more: Any) -> Any:
    graph = StateGraph(Items)
    for name in ("first", "even", "odd"):
        graph.add_node(name, lambda state, name=name: {"items": [name]})
    graph.add_edge(START, "first")
    return graph.add_conditional_edges("first", route, *more)


@case("edges_sync", area=GRAPH, feature="conditional edges, sync router")
def edges_sync(kit: Kit) -> Plan:
    return Plan(graph=routed(route_items, ["even", "odd"]), input={"n": 2}, states=True)


@case("edges_async", area=GRAPH, feature="conditional edges, async router")
def edges_async(kit: Kit) -> Plan:
    return Plan(graph=routed(aroute_items, ["even", "odd"]), input={"n": 3}, states=True)


@case("edges_map", area=GRAPH, feature="conditional edges with a path map")
def edges_map(kit: Kit) -> Plan:
    return Plan(
        graph=routed(lambda s: s["n"] > 1, {True: "even", False: END}), input={"n": 3}, states=True
    )


@case("edges_several", area=GRAPH, feature="conditional edges to several nodes at once")
def edges_several(kit: Kit) -> Plan:
    return Plan(
        graph=routed(lambda s: ["even", "odd"], ["even", "odd"]), input={"n": 3}, states=True
    )


@case("edges_entry", area=GRAPH, feature="conditional entry point")
def edges_entry(kit: Kit) -> Plan:
    graph = StateGraph(Items)
    for name in ("even", "odd"):
        graph.add_node(name, lambda state, name=name: {"items": [name]})
    graph.add_conditional_edges(START, route_items, ["even", "odd"])
    return Plan(graph=graph, input={"n": 2})


def loop(route: Any) -> Any:
    graph = StateGraph(Items)
    graph.add_node("more", lambda state: {"items": ["x"]})
    return graph.add_edge(START, "more").add_conditional_edges("more", route, ["more", END])


async def enough(state: Items) -> str:
    return END if len(state["items"]) >= 3 else "more"


@case("loop_reduced", area=GRAPH, feature="a loop that ends by a reduced value, sync router")
def loop_reduced(kit: Kit) -> Plan:
    return Plan(
        graph=loop(lambda s: END if len(s["items"]) >= 3 else "more"),
        input={"items": []},
        states=True,
    )


@case("loop_reduced_async", area=GRAPH, feature="a loop that ends by a reduced value, async router")
def loop_reduced_async(kit: Kit) -> Plan:
    return Plan(graph=loop(enough), input={"items": []}, states=True)


@case("react_loop", area=GRAPH, feature="a hand-written ReAct loop that reads tool_calls")
def react_loop(kit: Kit) -> Plan:
    from langgraph.prebuilt import ToolNode, tools_condition  # noqa: PLC0415

    from conformance.kits import calls  # noqa: PLC0415

    tool = kit.tool(graph_lookup)
    model = kit.model(calls("graph_lookup", {"q": "a"}, {"q": "b"}), "done").bind_tools([tool])

    async def agent(state: MessagesState) -> Any:
        return {"messages": [await model.ainvoke(state["messages"])]}

    graph = StateGraph(MessagesState).add_node("agent", agent).add_node("tools", ToolNode([tool]))
    graph.add_edge(START, "agent").add_edge("tools", "agent")
    graph.add_conditional_edges("agent", tools_condition)
    return Plan(
        graph=graph,
        input={"messages": [HumanMessage("hi")]},
        states=True,
        activities={"model": 2, "tool": 2},
    )


def graph_lookup(q: str) -> str:
    """Look something up."""
    return f"found {q}"


@case("command_goto", area=GRAPH, feature="Command(goto, update)")
def command_goto(kit: Kit) -> Plan:
    def one(state: Items) -> Command[Literal["three"]]:
        return Command(goto="three", update={"items": ["one"], "n": 5})

    graph = StateGraph(Items).add_node("one", one)
    graph.add_node("two", lambda state: {"items": ["two"]})
    graph.add_node("three", lambda state: {"items": ["three", state["n"]]})
    return Plan(graph=graph.add_edge(START, "one"), input={"items": []}, states=True)


@case("command_goto_several", area=GRAPH, feature="Command(goto) to several nodes, async")
def command_goto_several(kit: Kit) -> Plan:
    async def one(state: Items) -> Command[Literal["two", "three"]]:
        return Command(goto=["two", "three"])

    graph = StateGraph(Items).add_node("one", one)
    graph.add_node("two", lambda state: {"items": ["two"]})
    graph.add_node("three", lambda state: {"items": ["three"]})
    return Plan(graph=graph.add_edge(START, "one"), input={"items": []}, states=True)


@case("command_list", area=GRAPH, feature="a list of Commands and updates from one node")
def command_list(kit: Kit) -> Plan:
    def one(state: Items) -> Any:
        return [Command(update={"items": ["u1"]}), {"items": ["u2"]}, Command(goto="two")]

    graph = StateGraph(Items).add_node("one", one, destinations=("two",))
    graph.add_node("two", lambda state: {"items": ["two"]})
    return Plan(graph=graph.add_edge(START, "one"), input={"items": []}, states=True)


@case("command_send", area=GRAPH, feature="Command(goto=[Send, ...])")
def command_send(kit: Kit) -> Plan:
    def one(state: Items) -> Any:
        return Command(goto=[Send("two", {"n": 1}), Send("two", {"n": 2})], update={"n": 7})

    graph = StateGraph(Items).add_node("one", one, destinations=("two",))
    graph.add_node("two", lambda state: {"items": [state["n"]]})
    return Plan(graph=graph.add_edge(START, "one"), input={"items": []}, states=True)


def mapped(sends: Any) -> Any:
    graph = StateGraph(Items)
    graph.add_node("first", lambda state: {"n": 1})
    graph.add_node("work", lambda state: {"items": [f"{sorted(state)}:{state['n']}"]})
    graph.add_node("reduce", lambda state: {"items": [len(state["items"])]})
    graph.add_edge(START, "first").add_edge("work", "reduce")
    return graph.add_conditional_edges("first", sends, ["work"])


@case("send_map", area=GRAPH, feature="Send map-reduce")
def send_map(kit: Kit) -> Plan:
    return Plan(
        graph=mapped(lambda s: [Send("work", {"n": number}) for number in range(5)]),
        input={"items": []},
        states=True,
    )


@case("send_same", area=GRAPH, feature="Send map-reduce, twice with the same payload")
def send_same(kit: Kit) -> Plan:
    return Plan(
        graph=mapped(lambda s: [Send("work", {"n": 4})] * 3), input={"items": []}, states=True
    )


@case("send_async", area=GRAPH, feature="Send map-reduce from an async router")
def send_async(kit: Kit) -> Plan:
    async def sends(state: Items) -> list[Send]:
        return [Send("work", {"n": 4}), Send("work", {"n": 4})]

    return Plan(graph=mapped(sends), input={"items": []}, states=True)


@case("send_model", area=GRAPH, feature="Send map-reduce: the same model call twice is two calls")
def send_model(kit: Kit) -> Plan:
    model = kit.model("yes")

    async def work(state: Any) -> Any:
        return {"items": [(await model.ainvoke([HumanMessage("same")])).text]}

    graph = StateGraph(Items).add_node("work", work)
    graph.add_conditional_edges(START, lambda s: [Send("work", {"n": 1})] * 3, ["work"])
    return Plan(graph=graph, input={"items": []}, activities={"model": 3})


@case(
    "send_same_sequential", area=GRAPH, feature="the same Send one after the other runs each time"
)
def send_same_sequential(kit: Kit) -> Plan:
    async def again(state: Items) -> Any:
        return END if len(state["items"]) >= 3 else Send("work", {"n": 4})

    graph = StateGraph(Items)
    graph.add_node("first", lambda state: {"n": 1})
    graph.add_node("work", lambda state: {"items": [state["n"]]})
    graph.add_node("look", lambda state: {})
    graph.add_edge(START, "first").add_edge("work", "look")
    graph.add_conditional_edges("first", again, ["work", END])
    graph.add_conditional_edges("look", again, ["work", END])
    return Plan(graph=graph, input={"items": []}, states=True)


@case("send_messages", area=GRAPH, feature="Send with messages as payload")
def send_messages(kit: Kit) -> Plan:
    def sends(state: Any) -> Any:
        return [Send("work", {"m": message}) for message in state["messages"]]

    def work(state: Any) -> Any:
        message = state["m"]
        return {"messages": [AIMessage(f"{type(message).__name__}:{message.text}")]}

    graph = StateGraph(MessagesState).add_node("work", work)
    graph.add_conditional_edges(START, sends, ["work"])
    return Plan(graph=graph, input={"messages": [HumanMessage("a"), AIMessage("b")]}, states=True)


@case("node_deferred", area=GRAPH, feature="deferred nodes")
def node_deferred(kit: Kit) -> Plan:
    graph = StateGraph(Items)
    for name in ("a", "b1", "b2", "b3"):
        graph.add_node(name, lambda state, name=name: {"items": [name]})
    graph.add_node("last", lambda state: {"items": [len(state["items"])]}, defer=True)
    graph.add_edge(START, "a").add_edge(START, "b1").add_edge("b1", "b2").add_edge("b2", "b3")
    graph.add_edge("a", "last").add_edge("b3", "last")
    return Plan(graph=graph, input={"items": []}, states=True)


@case("identical_state", area=GRAPH, feature="a node executed again with an identical state runs")
def identical_state(kit: Kit) -> Plan:
    model = kit.model(lambda messages: "pending")

    async def poll(state: Items) -> Any:
        await model.ainvoke([HumanMessage("ready?")])
        return {"n": 0}

    graph = StateGraph(Items).add_node("poll", poll).add_edge(START, "poll")
    graph.add_conditional_edges("poll", lambda s: "poll", ["poll"])
    return Plan(
        graph=graph,
        input={"n": 0},
        config={"recursion_limit": 5},
        state=False,
        activities={"model": 5},
    )


@case("two_nodes_one_function", area=GRAPH, feature="one function as two nodes runs twice")
def two_nodes_one_function(kit: Kit) -> Plan:
    def same(state: Items) -> Any:
        return {"items": ["x"]}

    graph = StateGraph(Items).add_node("a", same).add_node("b", same)
    return Plan(graph=graph.add_edge(START, "a").add_edge(START, "b"), input={"items": []})


@case("recursion_limit", area=GRAPH, feature="recursion limit: the same error")
def recursion_limit(kit: Kit) -> Plan:
    return Plan(
        graph=loop(lambda s: "more"),
        input={"items": []},
        config={"recursion_limit": 4},
        states=True,
    )


class Managed(TypedDict):
    items: Annotated[list[Any], operator.add]
    left: RemainingSteps
    last: IsLastStep


@case("managed_values", area=GRAPH, feature="managed values: RemainingSteps, IsLastStep")
def managed_values(kit: Kit) -> Plan:
    def more(state: Managed) -> Any:
        return {"items": [state["left"], state["last"]]}

    def route(state: Managed) -> str:
        return END if state["left"] <= 2 else "more"

    graph = StateGraph(Managed).add_node("more", more).add_edge(START, "more")
    graph.add_conditional_edges("more", route, ["more", END])
    return Plan(graph=graph, input={"items": []}, config={"recursion_limit": 6})


@case("overwrite", area=GRAPH, feature="Overwrite goes past the reducer")
def overwrite(kit: Kit) -> Plan:
    def one(state: Items) -> Any:
        return {"items": ["one"]}

    def two(state: Items) -> Any:
        return {"items": Overwrite(["only"])}

    return Plan(graph=line(one, two), input={"items": ["in"]}, states=True)


class Named(TypedDict):
    messages: Annotated[list[AnyMessage], add_messages]
    n: int


@case("state_default_missing", area=GRAPH, feature="a key that nobody wrote is a KeyError")
def state_default_missing(kit: Kit) -> Plan:
    def one(state: Named) -> Any:
        return {"n": state["n"] + 1}

    return Plan(graph=line(one, schema=Named), input={"messages": []}, states=True)


@case("update_invalid", area=GRAPH, feature="a node that returns no update: the error")
def update_invalid(kit: Kit) -> Plan:
    def one(state: Items) -> Any:
        return 7

    return Plan(graph=line(one), input={"items": []}, state=False)


@case("node_returns_none", area=GRAPH, feature="a node that returns nothing")
def node_returns_none(kit: Kit) -> Plan:
    def one(state: Items) -> None:
        return None

    def two(state: Items) -> Any:
        return {"items": ["two"]}

    return Plan(graph=line(one, two), input={"items": []}, states=True)
