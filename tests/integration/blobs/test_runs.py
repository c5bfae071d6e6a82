"""Runs whose blob store fails while they are under way: nothing is lost."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from langchain_core.messages import HumanMessage
from temporalio.api.enums.v1 import EventType
from temporalio.worker import Worker

import perdure
from integration.blobs.backends import Folder
from integration.runtime.fakes import chain
from perdure import Payloads
from perdure.client import connect
from perdure.client.poll import until
from perdure.client.reach import blob_names
from perdure.core.options import Retry
from perdure.errors import StorageUnavailable
from perdure.testing import assert_replays
from perdure.worker.plugin import Plugin

pytestmark = pytest.mark.timeout(110)
COMPLETED = EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED
SOON = timedelta(seconds=60)
LARGE = 300_000
QUICKLY = Retry(
    initial=timedelta(milliseconds=200), maximum=timedelta(seconds=1), attempts=100, backoff=1.5
)
State = dict[str, Any]


@pytest.fixture(autouse=True)
def _declare_nothing(fresh_declarations: None) -> None:
    """Every test declares its own tools."""


class Faulty:
    """A store that fails in one way until it is mended."""

    def __init__(self, store: Any) -> None:
        self.store = store
        self.fault: str | None = None
        self.hit = asyncio.Event()
        self.puts: list[str] = []

    def _meet(self, *faults: str) -> None:
        if self.fault in faults:
            self.hit.set()
            raise StorageUnavailable(f"the blob store is {self.fault}; see to it")

    async def put(self, name: str, data: bytes) -> None:
        self._meet("down", "full", "read-only")
        if self.fault == "slow":
            self.hit.set()
            await asyncio.sleep(0.5)
            raise StorageUnavailable("the blob store did not answer within 0.5 s; see to it")
        self.puts.append(name)
        await self.store.put(name, data)

    async def get(self, name: str) -> bytes:
        self._meet("down")
        return await self.store.get(name)

    async def has(self, name: str) -> bool:
        self._meet("down")
        return await self.store.has(name)

    async def delete(self, name: str, **more: Any) -> bool:
        return await self.store.delete(name, **more)

    def list(self) -> AsyncIterator[Any]:
        return self.store.list()

    async def close(self) -> None:
        await self.store.close()


@pytest.fixture(params=[0, 100], ids=["replayed", "cached"])
def cache(request: pytest.FixtureRequest) -> int:
    return request.param


class Bench:
    """A faulty store, and a client and workers that use it; nothing is kept in memory."""

    def __init__(self, server: Any, folder: Any, cache: int) -> None:
        self.server, self.cache = server, cache
        self.backend = Folder(folder)
        self.store = Faulty(self.backend.open())
        self.payloads = Payloads(blobs=self.store, cache=0)

    @asynccontextmanager
    async def worker(self, agents: perdure.Agents) -> AsyncIterator[Any]:
        agents.payloads = self.payloads
        self.agents = agents
        client = await connect(self.server.address, payloads=self.payloads)
        self.client = client
        queue = f"queue-{id(self)}"
        worker = Worker(
            client.temporal,
            task_queue=queue,
            plugins=[Plugin(agents)],
            max_cached_workflows=self.cache,
        )
        async with worker:
            yield queue

    async def replays(self, run_id: str) -> None:
        history = await self.client.temporal.get_workflow_handle(run_id).fetch_history()
        await assert_replays(self.agents, history)

    async def failed_tasks(self, run_id: str) -> list[str]:
        history = await self.client.temporal.get_workflow_handle(run_id).fetch_history()
        return [
            event.workflow_task_failed_event_attributes.failure.message
            for event in history.events
            if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED
        ]


@pytest.fixture
def bench(server: Any, tmp_path: Any, cache: int) -> Bench:
    return Bench(server, tmp_path, cache)


def much(n: int) -> str:
    """Return much."""
    return "x" * n


def length_of(text: str) -> int:
    """Tell how long a text is."""
    return len(text)


def working(gate: asyncio.Event | None = None) -> perdure.Agents:
    """Make a graph that gets a large value, waits, and gives it to another call."""
    get = perdure.tool(much, retry=QUICKLY)
    count = perdure.tool(length_of, retry=QUICKLY)

    async def wait() -> str:
        """Wait until the test goes on."""
        if gate is not None:
            await gate.wait()
        return "on"

    waits = perdure.tool(wait, retry=QUICKLY)

    async def node(state: State) -> State:
        text = await get.ainvoke({"n": LARGE})
        await waits.ainvoke({})
        return {"messages": [HumanMessage(str(await count.ainvoke({"text": text})))]}

    return chain(node)


@pytest.mark.parametrize("fault", ["down", "full", "read-only", "slow"])
async def test_a_run_goes_on_when_the_store_is_back(bench: Bench, fault: str) -> None:
    async with bench.worker(working()) as queue:
        bench.store.fault = fault
        run = await bench.client.start("graph", {"messages": []}, task_queue=queue)
        await asyncio.wait_for(bench.store.hit.wait(), SOON.total_seconds())
        bench.store.fault = None
        output: Any = await run.result()
        assert str(LARGE) in str(output["messages"][-1])
        await bench.replays(run.run_id)


# A run that is in memory needs the store no more: its calls refer to what its history holds.
@pytest.mark.parametrize("cache", [0])
async def test_a_store_that_fails_in_the_middle_loses_nothing(bench: Bench) -> None:
    gate = asyncio.Event()
    async with bench.worker(working(gate)) as queue:
        run = await bench.client.start("graph", {"messages": []}, task_queue=queue)

        async def stored() -> bool | None:
            return True if bench.store.puts else None

        assert await until(stored, within=SOON)
        bench.store.fault = "down"
        gate.set()
        await asyncio.wait_for(bench.store.hit.wait(), SOON.total_seconds())
        bench.store.fault = None
        output: Any = await run.result()
        assert str(LARGE) in str(output["messages"][-1])
        await bench.replays(run.run_id)


@pytest.mark.parametrize("cache", [0])
async def test_a_blob_that_was_deleted_parks_the_run_until_it_is_back(bench: Bench) -> None:
    gate = asyncio.Event()
    async with bench.worker(working(gate)) as queue:
        run = await bench.client.start("graph", {"messages": []}, task_queue=queue)

        async def stored() -> bool | None:
            return True if bench.store.puts else None

        assert await until(stored, within=SOON)
        name = bench.store.puts[0]
        value = await bench.store.get(name)
        await bench.store.delete(name)
        gate.set()

        async def parked() -> list[str] | None:
            return await bench.failed_tasks(run.run_id) or None

        told = await until(parked, within=SOON)
        assert told is not None
        assert f"blob {name} is not in" in told[0]
        assert (await bench.client.status(run.run_id)).status == "running"
        await bench.store.put(name, value)
        output: Any = await run.result()
        assert str(LARGE) in str(output["messages"][-1])
        await bench.replays(run.run_id)


@pytest.mark.parametrize("cache", [0])
async def test_a_broken_blob_parks_the_run_until_it_is_mended(bench: Bench) -> None:
    gate = asyncio.Event()
    async with bench.worker(working(gate)) as queue:
        run = await bench.client.start("graph", {"messages": []}, task_queue=queue)

        async def stored() -> bool | None:
            return True if bench.store.puts else None

        assert await until(stored, within=SOON)
        name = bench.store.puts[0]
        whole = bench.backend.stored(name)
        bench.backend.spoil(name, whole[: len(whole) // 2])
        gate.set()

        async def parked() -> list[str] | None:
            return await bench.failed_tasks(run.run_id) or None

        told = await until(parked, within=SOON)
        assert told is not None
        assert f"blob {name} in" in told[0]
        assert "is broken" in told[0]
        bench.backend.spoil(name, whole)
        output: Any = await run.result()
        assert str(LARGE) in str(output["messages"][-1])


async def test_two_runs_share_one_blob(bench: Bench) -> None:
    async with bench.worker(working()) as queue:
        results: list[set[str]] = []
        for _ in range(2):
            run = await bench.client.start("graph", {"messages": []}, task_queue=queue)
            await run.result()
            handle = bench.client.temporal.get_workflow_handle(run.run_id)
            done = [e async for e in handle.fetch_history_events() if e.event_type == COMPLETED]
            results.append({name for event in done for name in blob_names(event)})
        assert len(results[0]) == 1
        assert results[0] == results[1]
        assert bench.store.puts.count(results[0].pop()) == 1


async def test_a_tool_may_return_fifty_megabytes(bench: Bench) -> None:
    get = perdure.tool(much)

    async def node(state: State) -> State:
        return {"messages": [HumanMessage(str(len(await get.ainvoke({"n": 50_000_000}))))]}

    async with bench.worker(chain(node)) as queue:
        run = await bench.client.start("graph", {"messages": []}, task_queue=queue)
        output: Any = await run.result()
        assert "50000000" in str(output["messages"][-1])
        await bench.replays(run.run_id)
        history = await bench.client.temporal.get_workflow_handle(run.run_id).fetch_history()
        assert sum(event.ByteSize() for event in history.events) < 20_000
