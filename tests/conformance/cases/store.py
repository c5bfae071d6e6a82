"""Long-term memory: a Store in nodes and tools."""

from typing import Annotated, Any

from langchain_core.messages import HumanMessage
from langgraph.config import get_store
from langgraph.func import entrypoint
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import InjectedStore, ToolNode
from langgraph.runtime import Runtime
from langgraph.store.base import BaseStore
from langgraph.store.memory import InMemoryStore

from conformance.case import Kit, Plan, case
from conformance.cases._states import Items, line
from conformance.kits import calls

AREA = "Store"


def with_store(*nodes: Any) -> Any:
    return line(*nodes).compile(store=InMemoryStore())


@case("store_runtime", area=AREA, feature="put and get by runtime.store, async")
def store_runtime(kit: Kit) -> Plan:
    async def write(state: Items, runtime: Runtime[Any]) -> Any:
        await runtime.store.aput(("s1", "ann"), "likes", {"tea": True})
        return {"items": ["written"]}

    async def read(state: Items, runtime: Runtime[Any]) -> Any:
        item = await runtime.store.aget(("s1", "ann"), "likes")
        nothing = await runtime.store.aget(("s1", "ann"), "hates")
        return {"items": [item.key, item.namespace, item.value, nothing]}

    return Plan(graph=with_store(write, read), input={"items": []})


@case("store_sync", area=AREA, feature="put, get and delete in sync nodes")
def store_sync(kit: Kit) -> Plan:
    def write(state: Items, runtime: Runtime[Any]) -> Any:
        runtime.store.put(("s2",), "a", {"n": 1})
        runtime.store.put(("s2",), "b", {"n": 2})
        runtime.store.delete(("s2",), "a")
        return {"items": [runtime.store.get(("s2",), "a") is None]}

    def read(state: Items, runtime: Runtime[Any]) -> Any:
        return {"items": [runtime.store.get(("s2",), "b").value]}

    return Plan(graph=with_store(write, read), input={"items": []})


@case("store_argument", area=AREA, feature="the store argument of a node, and get_store()")
def store_argument(kit: Kit) -> Plan:
    async def write(state: Items, *, store: BaseStore) -> Any:
        await store.aput(("s3",), "a", {"n": 1})
        return {}

    async def read(state: Items) -> Any:
        return {"items": [(await get_store().aget(("s3",), "a")).value]}

    return Plan(graph=with_store(write, read), input={"items": []})


@case("store_search", area=AREA, feature="search with a filter and a limit")
def store_search(kit: Kit) -> Plan:
    async def node(state: Items, *, store: BaseStore) -> Any:
        for number in range(4):
            await store.aput(("s4", "x"), f"k{number}", {"n": number, "even": number % 2 == 0})
        found = await store.asearch(("s4",), filter={"even": True})
        few = await store.asearch(("s4",), limit=2)
        return {"items": [sorted(item.key for item in found), len(few)]}

    return Plan(graph=with_store(node), input={"items": []})


@case("store_namespaces", area=AREA, feature="list_namespaces")
def store_namespaces(kit: Kit) -> Plan:
    async def node(state: Items, *, store: BaseStore) -> Any:
        await store.aput(("s5", "a"), "k", {})
        await store.aput(("s5", "b", "c"), "k", {})
        found = await store.alist_namespaces(prefix=("s5",))
        short = await store.alist_namespaces(prefix=("s5",), max_depth=2)
        return {"items": [sorted(map(list, found)), sorted(map(list, short))]}

    return Plan(graph=with_store(node), input={"items": []})


def embed(texts: list[str]) -> list[list[float]]:
    return [[text.count("tea") + 0.1, text.count("cat") + 0.1] for text in texts]


@case("store_semantic", area=AREA, feature="search by meaning, with the graph's own index")
def store_semantic(kit: Kit) -> Plan:
    async def node(state: Items, *, store: BaseStore) -> Any:
        await store.aput(("s6",), "t", {"text": "tea tea"})
        await store.aput(("s6",), "c", {"text": "cat cat"})
        found = await store.asearch(("s6",), query="a cat", limit=1)
        return {"items": [item.key for item in found]}

    store = InMemoryStore(index={"dims": 2, "embed": embed, "fields": ["text"]})
    return Plan(
        graph=line(node).compile(store=store),
        input={"items": []},
    )


def store_remember(fact: str, store: Annotated[Any, InjectedStore()]) -> str:
    """Remember a fact."""
    store.put(("s7",), "fact", {"text": fact})
    return "remembered"


@case("store_tool", area=AREA, feature="a store in a tool (InjectedStore)")
def store_tool(kit: Kit) -> Plan:
    tool = kit.tool(store_remember)
    call = calls("store_remember", {"fact": "tea is hot"})

    async def read(state: MessagesState, *, store: BaseStore) -> Any:
        item = await store.aget(("s7",), "fact")
        return {"messages": [HumanMessage(item.value["text"])]}

    graph = StateGraph(MessagesState).add_node("tools", ToolNode([tool])).add_node("read", read)
    graph.add_edge(START, "tools").add_edge("tools", "read")
    return Plan(graph=graph.compile(store=InMemoryStore()), input={"messages": [call]})


@case("store_functional", area=AREA, feature="a store in an entrypoint")
def store_functional(kit: Kit) -> Plan:
    @entrypoint(store=InMemoryStore())
    async def flow(given: Any, *, store: BaseStore) -> Any:
        await store.aput(("s8",), "a", {"n": given["n"]})
        return (await store.aget(("s8",), "a")).value

    return Plan(graph=flow, input={"n": 4})


@case("store_subgraph", area=AREA, feature="a store in a sub-graph")
def store_subgraph(kit: Kit) -> Plan:
    async def write(state: Items, *, store: BaseStore) -> Any:
        await store.aput(("s9",), "a", {"n": 1})
        return {"items": [(await store.aget(("s9",), "a")).value]}

    graph = StateGraph(Items).add_node("sub", line(write).compile()).add_edge(START, "sub")
    return Plan(graph=graph.compile(store=InMemoryStore()), input={"items": []})
