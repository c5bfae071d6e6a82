"""Plain LangGraph with its own checkpointers, durability="sync"; --url is the database.

Not the guarantee of Temporal: nothing restarts by itself after a crash, and a node that was
running then begins again from its start. options: store=sqlite|postgres.
"""

import asyncio
import contextlib
import os
import tempfile
import time
from collections.abc import AsyncIterator
from typing import Any

from langgraph.types import Command, interrupt

from benchmarks.peers import lgnodes
from benchmarks.peers.base import Finished, Peer, Replayed, Stuck


async def approval(state: lgnodes.State) -> dict[str, Any]:
    interrupt("call the tool?")
    return {}


class SaverPeer(Peer):
    packages = (
        "langgraph",
        "langgraph-checkpoint",
        "langgraph-checkpoint-sqlite",
        "langgraph-checkpoint-postgres",
        "psycopg",
    )

    @contextlib.asynccontextmanager
    async def saver(self, url: str) -> AsyncIterator[Any]:
        if self.options.get("store", "sqlite") == "sqlite":
            from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

            async with AsyncSqliteSaver.from_conn_string(self.path) as s:
                yield s
        else:
            from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
            from psycopg.rows import dict_row
            from psycopg_pool import AsyncConnectionPool

            kw = {"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row}
            async with AsyncConnectionPool(
                url, min_size=2, max_size=16, kwargs=kw, open=False
            ) as pool:
                self.pool = pool
                s = AsyncPostgresSaver(pool)
                await s.setup()
                yield s

    def graph(self, **kw: Any) -> Any:
        return lgnodes.build(**kw)

    @contextlib.asynccontextmanager
    async def running(self, url: str) -> AsyncIterator[None]:
        self.url = url
        with tempfile.TemporaryDirectory(prefix="perdure-bench-") as d:
            self.path = os.path.join(d, "checkpoints.sqlite")
            async with self.saver(url) as s:
                self.s = s
                self.app = self.graph().compile(checkpointer=s)
                self.appa = self.graph(approval=approval).compile(checkpointer=s)
                yield

    def config(self, run_id: str, turns: int) -> dict[str, Any]:
        return {"configurable": {"thread_id": run_id}, "recursion_limit": 4 * turns + 10}

    async def run_one(self, run_id: str, turns: int, payload: int, timeout: float) -> Any:
        try:
            out = await asyncio.wait_for(
                self.app.ainvoke(
                    lgnodes.first(turns, payload), self.config(run_id, turns), durability="sync"
                ),
                timeout,
            )
        except TimeoutError:
            raise Stuck(f"not finished after {timeout} s") from None
        return run_id, turns, len(out["messages"])

    async def finished(self, token: Any) -> Finished:
        run_id, _, n = token
        rows = size = 0
        if self.options.get("store", "sqlite") == "sqlite":
            for q in (
                (
                    "select count(*), coalesce(sum(length(checkpoint) + length(metadata)),0) "
                    "from checkpoints where thread_id=?"
                ),
                "select count(*), coalesce(sum(length(value)),0) from writes where thread_id=?",
            ):
                async with self.s.conn.execute(q, (run_id,)) as cur:
                    r = await cur.fetchone()
                rows, size = rows + r[0], size + r[1]
        else:
            async with self.pool.connection() as c:
                for q in (
                    (
                        "select count(*) n, coalesce(sum(octet_length(checkpoint::text) "
                        "+ octet_length(metadata::text)),0) b from checkpoints where thread_id=%s"
                    ),
                    (
                        "select count(*) n, coalesce(sum(octet_length(blob)),0) b "
                        "from checkpoint_blobs where thread_id=%s"
                    ),
                    (
                        "select count(*) n, coalesce(sum(octet_length(blob)),0) b "
                        "from checkpoint_writes where thread_id=%s"
                    ),
                ):
                    r = await (await c.execute(q, (run_id,))).fetchone()
                    rows, size = rows + r["n"], size + int(r["b"])
        return Finished(messages=n, events=rows, stored=size)

    async def replay(self, token: Any) -> Replayed:
        run_id, turns, n = token
        async with self.saver(self.url) as s:
            app = self.graph().compile(checkpointer=s)
            c0, t0 = time.process_time(), time.perf_counter()
            state = await app.aget_state(self.config(run_id, turns))
            t1 = time.perf_counter()
        same = len(state.values["messages"]) == n
        return Replayed(
            wall_s=t1 - t0,
            cpu_s=time.process_time() - c0,
            failure=None if same else "messages differ",
        )

    async def park_one(self, run_id: str, payload: int) -> Any:
        out = await self.appa.ainvoke(
            lgnodes.first(1, payload), self.config(run_id, 1), durability="sync"
        )
        if "__interrupt__" not in out:
            raise Stuck("the graph did not interrupt")
        return run_id

    async def release_one(self, token: Any) -> int:
        out = await self.appa.ainvoke(
            Command(resume=True), self.config(token, 1), durability="sync"
        )
        return len(out["messages"])


PEER = SaverPeer
