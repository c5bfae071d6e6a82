"""A worker that dies between a reply and the results of its tools: nobody pays for it twice."""

from collections import Counter
from pathlib import Path
from uuid import uuid4

import pytest

from integration.runtime.harness import HELLO, eventually
from perdure.client import connect
from perdure.testing.process import WorkerProcess
from perdure.testing.replay import assert_run_replays
from perdure.testing.servers import DevServer
from perdure.worker.apps import load_app

pytestmark = pytest.mark.timeout(120)

APP = """
import asyncio
from datetime import timedelta
from pathlib import Path
from langchain.agents import create_agent
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, ChatResult
import perdure
from perdure.activity import fusing

fusing.QUICK_TIMEOUT = timedelta(seconds=60)  # the test decides when the tool is done
HERE = Path(__file__).parent

def note(text):
    with (HERE / "journal").open("a") as journal:
        journal.write(text + "\\n")

class Paid(BaseChatModel):
    @property
    def _llm_type(self):
        return "paid"
    def bind_tools(self, tools, **kwargs):
        return self
    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        note("model")
        if any(m.type == "tool" for m in messages):
            answer = AIMessage("done")
        else:
            told = [("fast", "a"), ("stuck", "b")]
            answer = AIMessage("", tool_calls=[
                {"name": n, "args": {"q": n}, "id": i, "type": "tool_call"} for n, i in told])
        return ChatResult(generations=[ChatGeneration(message=answer)])

def fast(q: str) -> str:
    "Answer at once."
    note("fast")
    return "fast answer"

async def stuck(q: str) -> str:
    "Answer when there is a file."
    note("stuck")
    while not (HERE / "go").exists():
        await asyncio.sleep(0.02)
    return "late answer"

agents = perdure.Agents()
agents.add("paid", create_agent(
    perdure.model(Paid(), name="m", heartbeat=timedelta(seconds=2)),
    [perdure.tool(fast, quick=True), perdure.tool(stuck, quick=True)],
))
"""


async def test_a_reply_outlives_the_worker_that_got_it(server: DevServer, tmp_path: Path) -> None:
    app = tmp_path / f"fused_{uuid4().hex[:8]}.py"
    app.write_text(APP)
    queue = f"queue-{uuid4().hex[:8]}"
    client = await connect(server.address)

    def worker(name: str) -> WorkerProcess:
        log = tmp_path / f"{name}.log"
        return WorkerProcess(
            app=str(app), address=server.address, task_queue=queue, cwd=tmp_path, log=log
        )

    async with worker("first") as first:
        await first.wait_ready()
        run = await client.start("paid", HELLO, task_queue=queue)
        handle = client.temporal.get_workflow_handle(run.run_id)

        async def kept() -> bool | None:
            pending = (await handle.describe()).raw_description.pending_activities
            data = [p.data for one in pending for p in one.heartbeat_details.payloads]
            return True if any(b"fast answer" in part for part in data) else None

        await eventually(kept, what="a heartbeat with the first result")
        first.kill()
    (tmp_path / "go").touch()
    async with worker("second") as second:
        await second.wait_ready()
        output = await run.result()
    journal = (tmp_path / "journal").read_text().split()
    assert Counter(journal) == {"model": 2, "fast": 1, "stuck": 2}
    assert "late answer" in str(output)
    line = await client.timeline(run.run_id)
    assert [(c.kind, c.name) for c in line.calls] == [
        ("model", "m"),
        ("tool", "fast"),
        ("tool", "stuck"),
        ("model", "m"),
    ]
    assert line.repeated_model_calls == 0
    await assert_run_replays(load_app(str(app)), client.temporal, run.run_id)
