"""A thread outlives the worker that wrote it."""

from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from integration.runtime.harness import eventually
from perdure.client import connect
from perdure.testing.process import WorkerProcess
from perdure.testing.servers import DevServer
from perdure.worker.apps import load_app

pytestmark = pytest.mark.timeout(120)

APP = """
import operator
from typing import Annotated, Any
from langgraph.graph import START, StateGraph
from langgraph.types import interrupt
from typing_extensions import TypedDict
import perdure

class Log(TypedDict):
    log: Annotated[list[Any], operator.add]

def note(state: Log) -> Log:
    return {"log": [len(state["log"])]}

def ask(state: Log) -> Log:
    return {"log": [interrupt("colour?")]}

agents = perdure.Agents()
graph = StateGraph(Log)
graph.add_sequence([note, ask])
agents.add("log", graph.add_edge(START, "note"))
"""


async def test_a_killed_worker_leaves_the_state_of_the_last_wait_and_the_line_goes_on(
    server: DevServer, tmp_path: Path
) -> None:
    app = tmp_path / f"crashing_{uuid4().hex[:8]}.py"
    app.write_text(APP)
    queue = f"queue-{uuid4().hex[:8]}"
    client = await connect(server.address)

    def worker(name: str) -> WorkerProcess:
        return WorkerProcess(
            app=str(app),
            address=server.address,
            task_queue=queue,
            cwd=tmp_path,
            log=tmp_path / f"{name}.log",
        )

    config: Any = {"configurable": {"thread_id": queue}}
    first = worker("first")
    first.start()
    try:
        await first.wait_ready()
        run = await client.start("log", {"log": ["a"]}, thread=queue, task_queue=queue)
        queued = await client.start(
            "log", {"log": ["b"]}, thread=queue, task_queue=queue, on_busy="queue"
        )

        async def asked(run_id: str) -> bool | None:
            return True if (await client.questions(run_id)).questions else None

        await eventually(lambda: asked(run.run_id), what="a question")
    finally:
        first.kill()
    file = tmp_path / ".perdure" / "threads.sqlite"
    async with AsyncSqliteSaver.from_conn_string(str(file)) as saver:
        graph = load_app(str(app)).graph("log").copy({"checkpointer": saver})
        state = await graph.aget_state(config)
        assert (state.values, state.next) == ({"log": ["a", 1]}, ("ask",))
    second = worker("second")
    second.start()
    try:
        await second.wait_ready()
        for one in (run, queued):
            await eventually(lambda one=one: asked(one.run_id), what="a question")
            decision: Any = {"type": "respond", "by": "ann", "value": "red"}
            await client.decide(one.run_id, decision, within=timedelta(seconds=40))
            await one.result()
        assert await queued.result() == {"log": ["a", 1, "red", "b", 4, "red"]}
    finally:
        second.kill()
