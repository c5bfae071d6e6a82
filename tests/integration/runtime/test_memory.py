"""LangGraph's store in a run: every batch is an activity on the worker's own store."""

import operator
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import langchain.agents
import pytest
from langgraph.config import get_store
from langgraph.graph import START, StateGraph
from langgraph.runtime import Runtime
from langgraph.store.base import BaseStore, GetOp, PutOp
from langgraph.store.memory import InMemoryStore
from langgraph.store.sqlite import AsyncSqliteStore
from typing_extensions import TypedDict

import perdure
from integration.runtime.harness import Lab
from perdure.errors import Unserializable

pytestmark = pytest.mark.timeout(90)


class Log(TypedDict):
    log: Annotated[list[Any], operator.add]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "memory.sqlite"


def agents(file: Path | Any, *nodes: Callable[..., Any], store: Any = None) -> perdure.Agents:
    made = perdure.Agents(store=f"sqlite:///{file}" if isinstance(file, Path) else file)
    graph = StateGraph(Log)
    graph.add_sequence(list(nodes))
    made.add("log", graph.add_edge(START, nodes[0].__name__).compile(store=store))
    return made


async def output(lab: Lab, made: perdure.Agents) -> list[Any]:
    async with lab.worker(made) as runs:
        run = await runs.start("log", {"log": []})
        return (await run.result())["log"]


async def test_a_node_puts_and_gets_by_its_store_argument(lab: Lab, file: Path) -> None:
    async def node(state: Log, *, store: BaseStore) -> Log:
        await store.aput(("users", "ann"), "likes", {"colour": "red"})
        item = await store.aget(("users", "ann"), "likes")
        assert item is not None
        return {"log": [item.value, item.key, list(item.namespace)]}

    assert await output(lab, agents(file, node)) == [
        {"colour": "red"}, "likes", ["users", "ann"],
    ]  # fmt: skip


async def test_a_node_reaches_the_store_through_its_runtime(lab: Lab, file: Path) -> None:
    async def node(state: Log, runtime: Runtime) -> Log:
        assert runtime.store is not None
        await runtime.store.aput(("a",), "k", {"v": 1})
        return {"log": [(await runtime.store.aget(("a",), "k")).value]}  # type: ignore[union-attr]

    assert await output(lab, agents(file, node)) == [{"v": 1}]


async def test_a_sync_node_waits_for_the_store(lab: Lab, file: Path) -> None:
    def node(state: Log) -> Log:
        store = get_store()
        store.put(("a",), "k", {"v": 1})
        return {"log": [store.get(("a",), "k").value]}  # type: ignore[union-attr]

    assert await output(lab, agents(file, node)) == [{"v": 1}]


async def test_each_batch_is_one_activity_with_a_readable_summary(lab: Lab, file: Path) -> None:
    async def node(state: Log, *, store: BaseStore) -> Log:
        found = await store.abatch([PutOp(("a",), "k", {"v": 1}), GetOp(("b",), "k")])
        return {"log": found}

    async with lab.worker(agents(file, node)) as runs:
        run = await runs.start("log", {"log": []})
        await run.result()
        calls = await run.calls()
        assert [(c.kind, c.summary) for c in calls] == [
            ("perdure.store", "memory: put a/k and 1 more")
        ]


async def test_a_worker_that_dies_at_the_store_is_noticed_soon(lab: Lab, file: Path) -> None:
    async def node(state: Log, *, store: BaseStore) -> Log:
        await store.aput(("a",), "k", {})
        return {"log": []}

    async with lab.worker(agents(file, node)) as runs:
        run = await runs.start("log", {"log": []})
        await run.result()
        spans = [
            event.activity_task_scheduled_event_attributes.heartbeat_timeout.seconds
            async for event in run.handle.fetch_history_events()
            if event.HasField("activity_task_scheduled_event_attributes")
        ]
    assert spans == [10]


async def test_items_are_searched_filtered_and_paged(lab: Lab, file: Path) -> None:
    async def node(state: Log, *, store: BaseStore) -> Log:
        for number in range(5):
            await store.aput(("n",), str(number), {"odd": number % 2 == 1, "n": number})
        odd = await store.asearch(("n",), filter={"odd": True})
        page = await store.asearch(("n",), limit=2, offset=1)
        dear = await store.asearch(("n",), filter={"n": {"$gte": 3}})
        return {"log": [sorted(one.key for one in odd), len(page), len(dear)]}

    assert await output(lab, agents(file, node)) == [["1", "3"], 2, 2]


async def test_namespaces_are_listed_by_prefix_and_depth(lab: Lab, file: Path) -> None:
    async def node(state: Log, *, store: BaseStore) -> Log:
        for path in (("a", "b", "c"), ("a", "d"), ("e",)):
            await store.aput(path, "k", {})
        found = await store.alist_namespaces(prefix=("a",), max_depth=2)
        return {"log": sorted(found)}

    assert await output(lab, agents(file, node)) == [("a", "b"), ("a", "d")]


async def test_a_deleted_item_is_gone(lab: Lab, file: Path) -> None:
    async def node(state: Log, *, store: BaseStore) -> Log:
        await store.aput(("a",), "k", {"v": 1})
        await store.adelete(("a",), "k")
        return {"log": [await store.aget(("a",), "k")]}

    assert await output(lab, agents(file, node)) == [None]


async def test_an_item_has_the_times_that_the_store_gave_it(lab: Lab, file: Path) -> None:
    async def node(state: Log, *, store: BaseStore) -> Log:
        await store.aput(("a",), "k", {})
        item = await store.aget(("a",), "k")
        assert item is not None
        return {"log": [type(item.created_at).__name__, item.created_at <= item.updated_at]}

    assert await output(lab, agents(file, node)) == ["datetime", True]


async def test_the_next_run_finds_what_the_last_one_put(lab: Lab, file: Path) -> None:
    async def node(state: Log, *, store: BaseStore) -> Log:
        known = await store.asearch(("n",))
        await store.aput(("n",), str(len(known)), {})
        return {"log": [len(known)]}

    async with lab.worker(agents(file, node)) as runs:
        for expected in (0, 1):
            run = await runs.start("log", {"log": []})
            assert (await run.result())["log"] == [expected]
    async with lab.worker(agents(file, node)) as runs:
        run = await runs.start("log", {"log": []})
        assert (await run.result())["log"] == [2]


async def test_plain_langgraph_reads_the_store(lab: Lab, file: Path) -> None:
    async def node(state: Log, *, store: BaseStore) -> Log:
        await store.aput(("a",), "k", {"v": 1})
        return {"log": []}

    await output(lab, agents(file, node))
    async with AsyncSqliteStore.from_conn_string(str(file)) as store:
        await store.setup()
        item = await store.aget(("a",), "k")
    assert item is not None
    assert item.value == {"v": 1}


async def test_the_configured_store_takes_the_place_of_the_graphs_own(lab: Lab, file: Path) -> None:
    own = InMemoryStore()

    async def node(state: Log, *, store: BaseStore) -> Log:
        await store.aput(("a",), "k", {"v": 1})
        return {"log": []}

    await output(lab, agents(file, node, store=own))
    assert own.search(("a",)) == []


async def test_an_object_serves_as_the_workers_store(lab: Lab) -> None:
    own = InMemoryStore()

    async def node(state: Log, *, store: BaseStore) -> Log:
        await store.aput(("a",), "k", {"v": 1})
        return {"log": []}

    await output(lab, agents(own, node))
    assert [item.value for item in own.search(("a",))] == [{"v": 1}]


async def test_a_graph_without_a_store_has_none(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)

    async def node(state: Log, runtime: Runtime) -> Log:
        return {"log": [runtime.store]}

    assert await output(lab, agents(None, node)) == [None]
    assert list(tmp_path.iterdir()) == []


def embed(texts: list[str]) -> list[list[float]]:
    """Know two subjects: beasts and boats."""
    beasts, boats = {"cat", "dog"}, {"ship", "canoe"}
    words = [set(text.lower().split()) for text in texts]
    return [[1.0 * bool(w & beasts), 1.0 * bool(w & boats), 0.1] for w in words]


async def test_the_index_of_the_graphs_store_serves_search_by_meaning(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)

    async def node(state: Log, *, store: BaseStore) -> Log:
        await store.aput(("d",), "1", {"text": "a cat"})
        await store.aput(("d",), "2", {"text": "a ship"})
        found = await store.asearch(("d",), query="canoe", limit=1)
        return {"log": [found[0].key, found[0].score is not None]}

    index: Any = {"dims": 3, "embed": embed, "fields": ["text"]}
    own = InMemoryStore(index=index)
    assert await output(lab, agents(None, node, store=own)) == ["2", True]


async def test_a_time_to_live_that_the_store_lacks_is_the_stores_own_error(lab: Lab) -> None:
    async def node(state: Log, *, store: BaseStore) -> Log:
        try:
            await store.aput(("a",), "k", {}, ttl=5)
        except NotImplementedError as error:
            return {"log": [str(error)]}
        return {"log": []}

    log = await output(lab, agents(InMemoryStore(), node))
    assert "TTL is not supported by InMemoryStore" in log[0]


async def test_a_value_that_no_store_takes_is_an_error_of_the_node(lab: Lab, file: Path) -> None:
    async def node(state: Log, *, store: BaseStore) -> Log:
        try:
            await store.aput(("a",), "k", {"v": object()})
        except Unserializable as error:
            return {"log": [str(error)]}
        return {"log": []}

    log = await output(lab, agents(file, node))
    assert "the item 'k'.v is a builtins:object" in log[0]


class Shaky(InMemoryStore):
    """Carries a batch out, and then fails once."""

    def __init__(self) -> None:
        super().__init__()
        self.failures = 1
        self.batches = 0

    async def abatch(self, ops: Any) -> Any:
        self.batches += 1
        done = await super().abatch(ops)
        if self.failures:
            self.failures -= 1
            raise ConnectionError("gone")
        return done


async def test_a_batch_that_is_tried_again_leaves_one_item(lab: Lab) -> None:
    store = Shaky()

    async def node(state: Log, *, store: BaseStore) -> Log:
        await store.aput(("a",), "k", {"v": 1})
        return {"log": []}

    async with lab.worker(agents(store, node)) as runs:
        run = await runs.start("log", {"log": []})
        await run.result(skip=True)
    assert store.batches == 2
    assert len(store.search(("a",))) == 1


async def test_an_agents_middleware_and_state_reach_the_store(lab: Lab, file: Path) -> None:
    from langchain.agents.middleware import before_model  # noqa: PLC0415

    from integration.runtime.fakes import model  # noqa: PLC0415

    agent: Any = getattr(langchain.agents, "create_agent")  # noqa: B009

    @before_model
    async def remember(state: Any, runtime: Runtime) -> None:
        assert runtime.store is not None
        await runtime.store.aput(("seen",), "k", {"messages": len(state["messages"])})

    made = perdure.Agents(store=f"sqlite:///{file}")
    made.add("log", agent(model("hi"), [], middleware=[remember], store=InMemoryStore()))
    async with lab.worker(made) as runs:
        run = await runs.start("log")
        await run.result()
        assert [c.kind for c in await run.calls()] == ["perdure.store", "perdure.model"]
