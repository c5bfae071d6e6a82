"""DBOS: a loop of steps in an async workflow. options: store=sqlite|postgres; --url is the DSN."""

import asyncio
import contextlib
import os
import tempfile
import time
from collections.abc import AsyncIterator
from typing import Any

from dbos import DBOS, SetWorkflowID

from benchmarks import workload
from benchmarks.peers.base import Finished, Peer, Replayed, Stuck
from benchmarks.workload import Counters

WAITING: set[str] = set()


@DBOS.step()
async def call_llm(messages: list[dict]) -> dict:
    turns, payload = workload.parse(messages[0]["content"])
    turn = sum(1 for m in messages if m["role"] == "assistant")
    Counters.hit("model")
    if turn >= turns:
        return {"role": "assistant", "content": "done", "tool_calls": []}
    return {
        "role": "assistant",
        "content": workload.MODEL_TEXT,
        "tool_calls": [
            {"id": f"call_{turn}", "name": "observe", "args": {"step": turn, "size": payload}}
        ],
    }


@DBOS.step()
async def call_tool(call: dict) -> dict:
    Counters.hit("tool")
    return {
        "role": "tool",
        "content": workload.observation(call["args"]["step"], call["args"]["size"]),
        "tool_call_id": call["id"],
    }


@DBOS.workflow()
async def agent(turns: int, payload: int, approval: bool) -> int:
    messages = [{"role": "user", "content": workload.request(turns, payload)}]
    while True:
        reply = await call_llm(messages)
        messages.append(reply)
        if not reply["tool_calls"]:
            return len(messages)
        if approval:
            WAITING.add(DBOS.workflow_id)
            await DBOS.recv_async("decide", timeout_seconds=24 * 3600)
        for call in reply["tool_calls"]:
            messages.append(await call_tool(call))


class DbosPeer(Peer):
    packages = ("dbos", "SQLAlchemy", "psycopg")

    @contextlib.asynccontextmanager
    async def running(self, url: str) -> AsyncIterator[None]:
        with tempfile.TemporaryDirectory(prefix="perdure-bench-") as d:
            if self.options.get("store", "sqlite") == "sqlite":
                url = f"sqlite:///{os.path.join(d, 'dbos.sqlite')}"
            DBOS(config={"name": "benchmark", "system_database_url": url, "log_level": "WARNING"})
            DBOS.launch()
            try:
                yield
            finally:
                DBOS.destroy()

    async def start(self, run_id: str, turns: int, payload: int, *, approval: bool = False) -> Any:
        with SetWorkflowID(run_id):
            return await DBOS.start_workflow_async(agent, turns, payload, approval)

    async def run_one(self, run_id: str, turns: int, payload: int, timeout: float) -> Any:
        h = await self.start(run_id, turns, payload)
        try:
            n = await asyncio.wait_for(h.get_result(), timeout)
        except TimeoutError:
            raise Stuck(f"not finished after {timeout} s") from None
        return run_id, turns, n

    def _sum(self, run_id: str) -> tuple[int, int]:
        import sqlalchemy as sa
        from dbos._dbos import _get_dbos_instance
        from dbos._schemas.system_database import SystemSchema as S

        with _get_dbos_instance()._sys_db.engine.connect() as c:
            t, w = S.operation_outputs, S.workflow_status
            a = c.execute(
                sa.select(
                    sa.func.count(), sa.func.coalesce(sa.func.sum(sa.func.length(t.c.output)), 0)
                ).where(t.c.workflow_uuid == run_id)
            ).one()
            b = c.execute(
                sa.select(
                    sa.func.count(),
                    sa.func.coalesce(
                        sa.func.sum(sa.func.length(w.c.inputs) + sa.func.length(w.c.output)), 0
                    ),
                ).where(w.c.workflow_uuid == run_id)
            ).one()
        return a[0] + b[0], int(a[1]) + int(b[1])

    async def finished(self, token: Any) -> Finished:
        run_id, _, n = token
        rows, size = await asyncio.to_thread(self._sum, run_id)
        return Finished(messages=n, events=rows, stored=size)

    async def replay(self, token: Any) -> Replayed:
        """Fork at the last step: the store answers every earlier one, the last runs again."""
        run_id, turns, n = token
        c0, t0 = time.process_time(), time.perf_counter()
        h = await DBOS.fork_workflow_async(run_id, 2 * turns + 1)
        m = await h.get_result()
        return Replayed(
            wall_s=time.perf_counter() - t0,
            cpu_s=time.process_time() - c0,
            failure=None if m == n else f"{m} != {n}",
        )

    async def park_one(self, run_id: str, payload: int) -> Any:
        h = await self.start(run_id, 1, payload, approval=True)
        while run_id not in WAITING:
            await asyncio.sleep(0.02)
        return run_id, h

    async def release_one(self, token: Any) -> int:
        run_id, h = token
        await DBOS.send_async(run_id, True, "decide")
        return await h.get_result()


PEER = DbosPeer
