"""Memory and threads on a real PostgreSQL server."""

import asyncio
from collections.abc import Generator
from typing import Any

import pytest
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.graph import START, StateGraph
from langgraph.store.base import BaseStore

import perdure
from integration.postgres_server import running_postgres
from integration.runtime.harness import Lab
from integration.runtime.test_busy_threads import Line, Log, ask, note
from perdure.storage.places import Places

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def database() -> Generator[str]:
    with running_postgres() as server:
        yield server.url


def agents(database: str, *nodes: Any) -> perdure.Agents:
    made = perdure.Agents(store=database, threads=database)
    graph = StateGraph(Log)
    graph.add_sequence(list(nodes))
    made.add("log", graph.add_edge(START, nodes[0].__name__))
    return made


async def test_six_workers_make_the_tables_at_the_same_time(database: str) -> None:
    many = [Places(store=database, threads=database) for _ in range(6)]
    await asyncio.gather(*(one.store() for one in many), *(one.threads() for one in many))
    for places in many:
        await places.close()


async def test_a_node_puts_gets_and_searches(real: Lab, database: str) -> None:
    async def node(state: Log, *, store: BaseStore) -> Log:
        await store.aput(("users", "ann"), "likes", {"colour": "red"})
        item = await store.aget(("users", "ann"), "likes")
        found = await store.asearch(("users",), filter={"colour": "red"})
        return {"log": [item.value if item else None, len(found)]}

    async with real.worker(agents(database, node)) as runs:
        run = await runs.start("log", {"log": []})
        assert (await run.result())["log"] == [{"colour": "red"}, 1]


async def test_runs_follow_each_other_on_a_thread(real: Lab, database: str) -> None:
    async with real.worker(agents(database, note, ask)) as runs:
        line = Line(runs, f"a-{runs.queue}")
        for expected in (["quick1", "after 1"], ["quick1", "after 1", "quick2", "after 3"]):
            run = await line.start(expected[-2])
            assert await line.log(run) == expected


async def test_plain_langgraph_goes_on_with_the_thread(real: Lab, database: str) -> None:
    async with real.worker(agents(database, note, ask)) as runs:
        line = Line(runs, f"b-{runs.queue}")
        await (await line.start("quick")).result()
        async with AsyncPostgresSaver.from_conn_string(database) as saver:
            graph = runs.agents.graph("log").copy({"checkpointer": saver})
            config: Any = {"configurable": {"thread_id": line.thread}}
            output = await graph.ainvoke({"log": ["quick"]}, config)
        assert output["log"] == ["quick", "after 1", "quick", "after 3"]
        run = await line.start("quick3")
        assert (await line.log(run))[-2:] == ["quick3", "after 5"]


async def test_a_rolled_back_run_leaves_nothing(real: Lab, database: str) -> None:
    async with real.worker(agents(database, note, ask)) as runs:
        line = Line(runs, f"c-{runs.queue}")
        await (await line.start("quick0")).result()
        first = await line.waiting("first", "queue")
        second = await line.start("quick", "rollback")
        assert await line.log(second) == ["quick0", "after 1", "quick", "after 3"]
        await line.check(first, second)
