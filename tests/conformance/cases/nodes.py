"""Graph API: kinds of nodes, policies of nodes, sub-graphs."""

import operator
from functools import partial
from typing import Annotated, Any

from langchain_core.messages import HumanMessage
from langchain_core.runnables import RunnableConfig, RunnableLambda
from langgraph.cache.memory import InMemoryCache
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.runtime import Runtime
from langgraph.types import CachePolicy, Command, RetryPolicy, interrupt
from typing_extensions import TypedDict

from conformance.case import Kit, Plan, case
from conformance.cases._states import Items, line

GRAPH = "Graph API"
QUICK = RetryPolicy(initial_interval=0.01, max_attempts=3, jitter=False, retry_on=ValueError)


def sole(node: Any, **options: Any) -> Any:
    return StateGraph(Items).add_node("n", node, **options).add_edge(START, "n")


@case("node_lambda", area=GRAPH, feature="node kinds: lambda")
def node_lambda(kit: Kit) -> Plan:
    return Plan(graph=sole(lambda state: {"items": ["lambda"]}), input={"items": []})


def with_k(state: Items, k: int) -> Any:
    return {"items": [k]}


@case("node_partial", area=GRAPH, feature="node kinds: partial")
def node_partial(kit: Kit) -> Plan:
    return Plan(graph=sole(partial(with_k, k=3)), input={"items": []})


class Plain:
    def __call__(self, state: Items) -> Any:
        return {"items": ["object"]}

    def method(self, state: Items) -> Any:
        return {"items": ["method"]}

    @classmethod
    def of_class(cls, state: Items) -> Any:
        return {"items": [cls.__name__]}

    @staticmethod
    async def static(state: Items) -> Any:
        return {"items": ["static"]}


class AsyncCallable:
    async def __call__(self, state: Items) -> Any:
        return {"items": ["async object"]}


@case("node_object", area=GRAPH, feature="node kinds: callable object")
def node_object(kit: Kit) -> Plan:
    return Plan(graph=sole(Plain()), input={"items": []})


@case("node_async_object", area=GRAPH, feature="node kinds: callable object with async __call__")
def node_async_object(kit: Kit) -> Plan:
    return Plan(graph=sole(AsyncCallable()), input={"items": []})


@case("node_methods", area=GRAPH, feature="node kinds: method, class method, static method")
def node_methods(kit: Kit) -> Plan:
    graph = StateGraph(Items)
    graph.add_node("a", Plain().method).add_node("b", Plain.of_class)
    graph.add_node("c", Plain.static)
    graph.add_edge(START, "a").add_edge("a", "b").add_edge("b", "c")
    return Plan(graph=graph, input={"items": []})


@case("node_runnable_lambda", area=GRAPH, feature="node kinds: RunnableLambda")
def node_runnable_lambda(kit: Kit) -> Plan:
    return Plan(graph=sole(RunnableLambda(lambda s: {"items": ["runnable"]})), input={"items": []})


@case("node_async", area=GRAPH, feature="node kinds: async function")
def node_async(kit: Kit) -> Plan:
    async def n(state: Items) -> Any:
        return {"items": ["async"]}

    return Plan(graph=sole(n), input={"items": []})


@case("node_generator", area=GRAPH, feature="node kinds: generator function")
def node_generator(kit: Kit) -> Plan:
    def n(state: Items) -> Any:
        yield {"items": ["a"]}
        yield {"items": ["b"]}

    return Plan(graph=sole(n), input={"items": []}, state=False)


@case("node_arguments", area=GRAPH, feature="a node gets config, runtime, writer and store by name")
def node_arguments(kit: Kit) -> Plan:
    def n(state: Items, config: RunnableConfig, *, runtime: Runtime[Any], writer: Any) -> Any:
        return {"items": ["configurable" in config, runtime is not None, callable(writer)]}

    return Plan(graph=sole(n), input={"items": []})


def attempt_of(runtime: Runtime[Any]) -> int:
    info: Any = runtime.execution_info
    return info.node_attempt


@case("node_retry", area=GRAPH, feature="node retry_policy: works at the third attempt")
def node_retry(kit: Kit) -> Plan:
    def n(state: Items, runtime: Runtime[Any]) -> Any:
        if attempt_of(runtime) < 3:
            raise ValueError("not yet")
        return {"items": [attempt_of(runtime)]}

    return Plan(graph=sole(n, retry_policy=QUICK), input={"items": []})


@case("node_retry_model", area=GRAPH, feature="node retry_policy: each attempt makes its own calls")
def node_retry_model(kit: Kit) -> Plan:
    model = kit.model("yes")

    async def n(state: Items, runtime: Runtime[Any]) -> Any:
        said = await model.ainvoke([HumanMessage("hi")])
        if attempt_of(runtime) < 2:
            raise ValueError("not yet")
        return {"items": [said.text]}

    return Plan(graph=sole(n, retry_policy=QUICK), input={"items": []}, activities={"model": 2})


@case("node_retry_exhausted", area=GRAPH, feature="node retry_policy: used up, the error")
def node_retry_exhausted(kit: Kit) -> Plan:
    def n(state: Items, runtime: Runtime[Any]) -> Any:
        raise ValueError(f"attempt {attempt_of(runtime)}")

    return Plan(graph=sole(n, retry_policy=QUICK), input={"items": []}, states=True)


@case("node_retry_jitter", area=GRAPH, feature="node retry_policy with jitter")
def node_retry_jitter(kit: Kit) -> Plan:
    def n(state: Items, runtime: Runtime[Any]) -> Any:
        if attempt_of(runtime) < 3:
            raise ValueError("not yet")
        return {"items": [attempt_of(runtime)]}

    policy = RetryPolicy(initial_interval=0.01, max_interval=0.05, retry_on=ValueError)
    return Plan(graph=sole(n, retry_policy=policy), input={"items": []})


@case("node_retry_on", area=GRAPH, feature="node retry_policy: an error it does not name")
def node_retry_on(kit: Kit) -> Plan:
    def n(state: Items, runtime: Runtime[Any]) -> Any:
        raise TypeError(f"attempt {attempt_of(runtime)}")

    return Plan(graph=sole(n, retry_policy=QUICK), input={"items": []}, state=False)


@case("node_timeout", area=GRAPH, feature="node timeout: NodeTimeoutError")
def node_timeout(kit: Kit) -> Plan:
    async def n(state: Items) -> Any:
        import asyncio  # noqa: PLC0415

        await asyncio.sleep(30)
        return {"items": ["late"]}

    return Plan(graph=sole(n, timeout=0.2), input={"items": []}, state=False)


@case("node_timeout_kept", area=GRAPH, feature="node timeout: a node that is quick enough")
def node_timeout_kept(kit: Kit) -> Plan:
    async def n(state: Items) -> Any:
        return {"items": ["in time"]}

    return Plan(graph=sole(n, timeout=20), input={"items": []})


@case("node_cache", area=GRAPH, feature="node cache_policy: a second execution is not made")
def node_cache(kit: Kit) -> Plan:
    model = kit.model("yes")

    async def n(state: Any) -> Any:
        return {"items": [(await model.ainvoke([HumanMessage("hi")])).text]}

    graph = StateGraph(Items)
    graph.add_node("n", n, input_schema=OnlyN, cache_policy=CachePolicy())
    graph.add_node("again", lambda state: {})
    graph.add_edge(START, "n").add_edge("n", "again")
    graph.add_conditional_edges("again", lambda s: "n" if len(s["items"]) < 3 else "__end__")
    return Plan(
        graph=graph.compile(cache=InMemoryCache()),
        input={"items": [], "n": 1},
        activities={"model": 1},
    )


class OnlyN(TypedDict):
    n: int


@case("error_handler", area=GRAPH, feature="error handlers of a node")
def error_handler(kit: Kit) -> Plan:
    def n(state: Items) -> Any:
        raise ValueError("broken")

    def mend(state: Items) -> Any:
        return {"items": ["mended"]}

    graph = StateGraph(Items).add_node("n", n, error_handler=mend).add_edge(START, "n")
    graph.add_node("after", lambda state: {"items": ["after"]}).add_edge("n", "after")
    return Plan(graph=graph, input={"items": []}, states=True)


@case("error_handler_error", area=GRAPH, feature="error handlers: they get the very exception")
def error_handler_error(kit: Kit) -> Plan:
    from langgraph.errors import NodeError  # noqa: PLC0415

    def n(state: Items) -> Any:
        raise ShopClosed("at six")

    def mend(state: Items, error: NodeError) -> Any:
        held = error.error
        return Command(update={"items": [type(held).__name__, str(held), error.node]}, goto="after")

    graph = StateGraph(Items).add_node("n", n, error_handler=mend, retry_policy=QUICK)
    graph.add_node("after", lambda state: {"items": ["after"]}).add_edge(START, "n")
    return Plan(graph=graph, input={"items": []}, states=True)


class ShopClosed(Exception):
    pass


def child() -> Any:
    def one(state: Items) -> Any:
        return {"items": ["child one"]}

    def two(state: Items) -> Any:
        return {"items": ["child two"], "n": 9}

    return line(one, two).compile()


class Other(TypedDict, total=False):
    items: Annotated[list[Any], operator.add]
    own: str


@case("subgraph_node", area=GRAPH, feature="sub-graph as node")
def subgraph_node(kit: Kit) -> Plan:
    graph = StateGraph(Items).add_node("sub", child()).add_edge(START, "sub")
    graph.add_node("after", lambda state: {"items": [state["n"]]}).add_edge("sub", "after")
    return Plan(graph=graph, input={"items": ["in"]}, states=True)


@case("subgraph_other_state", area=GRAPH, feature="sub-graph as node with another state")
def subgraph_other_state(kit: Kit) -> Plan:
    def one(state: Other) -> Any:
        return {"items": [sorted(state)], "own": "x"}

    graph = StateGraph(Items).add_node("sub", line(one, schema=Other).compile())
    return Plan(graph=graph.add_edge(START, "sub"), input={"items": [], "n": 1}, states=True)


@case("subgraph_called", area=GRAPH, feature="sub-graph called in a node, async")
def subgraph_called(kit: Kit) -> Plan:
    inner = child()

    async def n(state: Items) -> Any:
        found = await inner.ainvoke({"items": [], "n": 0})
        return {"items": [found["items"]]}

    return Plan(graph=sole(n), input={"items": []}, states=True)


@case("subgraph_called_sync", area=GRAPH, feature="sub-graph called in a node, sync")
def subgraph_called_sync(kit: Kit) -> Plan:
    inner = child()

    def n(state: Items) -> Any:
        return {"items": [inner.invoke({"items": [], "n": 0})["items"]]}

    return Plan(graph=sole(n), input={"items": []}, states=True)


@case("subgraph_called_twice", area=GRAPH, feature="sub-graph called twice in a node, same input")
def subgraph_called_twice(kit: Kit) -> Plan:
    model = kit.model("yes")

    async def one(state: Items) -> Any:
        return {"items": [(await model.ainvoke([HumanMessage("x")])).text]}

    inner = line(one).compile()

    async def n(state: Items) -> Any:
        first = await inner.ainvoke({"items": []})
        second = await inner.ainvoke({"items": []})
        return {"items": [first["items"], second["items"]]}

    return Plan(graph=sole(n), input={"items": []}, activities={"model": 2})


def nest(depth: int, leaf: Any) -> Any:
    """Nest sub-graphs, each of which tells that it was there."""
    graph = leaf
    for number in range(depth):
        outer = StateGraph(Items)
        outer.add_node("before", lambda state, number=number: {"items": [f"in {number}"]})
        outer.add_node("sub", graph)
        outer.add_node("after", lambda state, number=number: {"items": [f"out {number}"]})
        outer.add_edge(START, "before").add_edge("before", "sub").add_edge("sub", "after")
        graph = outer.compile()
    return graph


class Asked(TypedDict, total=False):
    items: Annotated[list[Any], operator.add]
    n: int


@case("subgraph_three_deep", area=GRAPH, feature="nested three deep with an interrupt inside")
def subgraph_three_deep(kit: Kit) -> Plan:
    def ask(state: Items) -> Any:
        return {"items": [interrupt("how many?")]}

    def once(state: Items) -> Any:
        return {"n": 1}

    leaf = line(once, ask).compile()
    return Plan(graph=nest(3, leaf), input={"items": []}, answers=[12])


@case(
    "subgraph_called_three_deep", area=GRAPH, feature="called three deep with an interrupt inside"
)
def subgraph_called_three_deep(kit: Kit) -> Plan:
    def ask(state: Items) -> Any:
        return {"items": [interrupt("how many?")]}

    inner = line(ask).compile()
    for _ in range(2):
        held = inner

        async def n(state: Items, held: Any = held) -> Any:
            found = await held.ainvoke({"items": ["called"]})
            return {"items": [found["items"]]}

        inner = sole(n).compile()
    return Plan(graph=inner, input={"items": []}, answers=[12])


@case("command_parent", area=GRAPH, feature="Command(graph=PARENT) from a sub-graph as node")
def command_parent(kit: Kit) -> Plan:
    def leave(state: Items) -> Any:
        return Command(graph=Command.PARENT, goto="there", update={"items": ["from child"]})

    graph = StateGraph(Items).add_node("sub", line(leave).compile(), destinations=("there",))
    graph.add_node("there", lambda state: {"items": ["there"]})
    return Plan(graph=graph.add_edge(START, "sub"), input={"items": []}, states=True)


@case("command_parent_called", area=GRAPH, feature="Command(graph=PARENT) from a called sub-graph")
def command_parent_called(kit: Kit) -> Plan:
    def leave(state: Items) -> Any:
        return Command(graph=Command.PARENT, goto="there", update={"items": ["from child"]})

    inner = line(leave).compile()

    async def n(state: Items) -> Any:
        return await inner.ainvoke({"items": []})

    graph = StateGraph(Items).add_node("n", n, destinations=("there",))
    graph.add_node("there", lambda state: {"items": ["there"]})
    return Plan(graph=graph.add_edge(START, "n"), input={"items": []}, states=True)


@case(
    "command_parent_sync", area=GRAPH, feature="Command(graph=PARENT) from a sync called sub-graph"
)
def command_parent_sync(kit: Kit) -> Plan:
    def leave(state: Items) -> Any:
        return Command(graph=Command.PARENT, goto="there", update={"items": ["from child"]})

    inner = line(leave).compile()

    def n(state: Items) -> Any:
        return inner.invoke({"items": []})

    graph = StateGraph(Items).add_node("n", n, destinations=("there",))
    graph.add_node("there", lambda state: {"items": ["there"]})
    return Plan(graph=graph.add_edge(START, "n"), input={"items": []}, states=True)


@case(
    "subgraph_checkpointer", area=GRAPH, feature="sub-graph with checkpointer=True keeps its state"
)
def subgraph_checkpointer(kit: Kit) -> Plan:
    class_graph = StateGraph(Items)
    class_graph.add_node("count", lambda state: {"items": [len(state.get("items") or [])]})
    inner = class_graph.add_edge(START, "count").compile(checkpointer=True)

    async def n(state: Items) -> Any:
        found = await inner.ainvoke({"items": []})
        return {"n": len(found["items"]), "items": [len(found["items"])]}

    graph = StateGraph(Items).add_node("n", n).add_edge(START, "n")
    graph.add_conditional_edges("n", lambda s: "n" if len(s["items"]) < 3 else "__end__")
    return Plan(graph=graph, input={"items": []})


@case("subgraph_messages", area=GRAPH, feature="sub-graph as node with MessagesState and a model")
def subgraph_messages(kit: Kit) -> Plan:
    model = kit.model("one", "two")

    async def talk(state: MessagesState) -> Any:
        return {"messages": [await model.ainvoke(state["messages"])]}

    inner = line(talk, schema=MessagesState).compile()
    graph = StateGraph(MessagesState).add_node("a", inner).add_node("b", inner)
    graph.add_edge(START, "a").add_edge("a", "b")
    return Plan(
        graph=graph, input={"messages": [HumanMessage("hi")]}, states=True, activities={"model": 2}
    )
