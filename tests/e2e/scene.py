"""One place to play a run in: a task queue, workers, a mailbox, a desk and a journal of its own."""

import asyncio
import json
import os
import sqlite3
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from datetime import timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

from perdure.client import Call, Client, RunHandle, Waiting
from perdure.client.poll import until
from perdure.core.jsons import JsonObject
from perdure.testing import WorkerProcess
from support_agent.mailbox import Mailbox

T = TypeVar("T")

ROOT = Path(__file__).parents[2]
SUPPORT = ROOT / "examples" / "support_agent"
CRASHING = Path(__file__).parent / "crashing"
WITHIN = timedelta(seconds=40)
"""Longest wait for anything; far above what a noisy machine needs."""

PASSWORD = "I forgot my password and the reset link never arrives. What can I do?"
LAWYER = "Your grinder burned my hand. My lawyer will write to you."
CUSTOMER = "ann@example.com"
APPROVE: JsonObject = {"type": "approve", "by": "ben"}

_QUICK: JsonObject = {"heartbeat": 2, "retry": {"initial": 0.2, "attempts": 5}}
QUICK: JsonObject = {"models": {"*": _QUICK}, "tools": {"*": _QUICK}}
"""A dead worker is noticed after two seconds, and its call made again at once."""

_KEYS = ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "OPENAI_BASE_URL", "TEMPORAL_PROFILE")


def clean_environment() -> dict[str, str]:
    """Return the variables for a child process: no keys, no settings of this machine."""
    held = {name: value for name, value in os.environ.items() if not name.startswith("SUPPORT_")}
    return {name: value for name, value in held.items() if name not in _KEYS} | {
        "SUPPORT_MODEL": "offline",
        "PYTHONPATH": os.pathsep.join(
            [str(ROOT / "examples"), *filter(None, [os.environ.get("PYTHONPATH")])]
        ),
    }


async def eventually(look: Callable[[], Awaitable[T | None]], *, what: str) -> T:
    """Wait until `look` brings something back; the one place of this suite that polls."""
    found = await until(look, within=WITHIN, every=timedelta(milliseconds=50))
    assert found is not None, f"{what}: not within {WITHIN}"
    return found


@dataclass(kw_only=True)
class Scene:
    """What the runs of one test share, and nobody else."""

    folder: Path
    client: Client
    address: str
    mailbox: Mailbox
    queue: str = field(default_factory=lambda: f"e2e-{uuid4().hex[:10]}")
    workers: list[WorkerProcess] = field(default_factory=list)

    @property
    def journal(self) -> Path:
        """Where the offline model writes down every real call."""
        return self.folder / "model.jsonl"

    @property
    def desk(self) -> Path:
        return self.folder / "desk.sqlite"

    @property
    def environment(self) -> dict[str, str]:
        return {
            **clean_environment(),
            "SUPPORT_SMTP": f"{self.mailbox.host}:{self.mailbox.port}",
            "SUPPORT_DESK": str(self.desk),
            "SUPPORT_OFFLINE_JOURNAL": str(self.journal),
        }

    async def start_worker(self, app: Path = SUPPORT, **settings: str) -> WorkerProcess:
        """Start a worker process and wait until it takes work."""
        worker = self.launch_worker(app, **settings)
        return await worker.wait_ready()

    def launch_worker(self, app: Path = SUPPORT, **settings: str) -> WorkerProcess:
        worker = WorkerProcess(
            str(app),
            address=self.address,
            task_queue=self.queue,
            env={**self.environment, **settings},
            cwd=self.folder,
            log=self.folder / f"worker-{len(self.workers)}.log",
        )
        self.workers.append(worker)
        return worker.start()

    async def start(self, message: str = PASSWORD, customer: str = CUSTOMER) -> RunHandle:
        """Start a run of the support agent."""
        data: JsonObject = {"message": message, "customer": customer}
        return await self.client.start("support", data, options=QUICK, task_queue=self.queue)

    async def question(self, run_id: str) -> Waiting:
        """Wait until the run asks a person."""

        async def look() -> Waiting | None:
            inbox = await self.client.questions(run_id)
            return inbox.questions[0] if inbox.questions else None

        return await eventually(look, what=f"a question of {run_id}")

    async def recorded(self, run_id: str) -> None:
        """Wait until the history itself tells of an open question."""

        async def look() -> bool | None:
            asked = (await self.client.timeline(run_id)).questions
            return any(one.outcome == "waiting" for one in asked) or None

        await eventually(look, what=f"a recorded question of {run_id}")

    async def decide(self, run_id: str, decision: JsonObject, **more: Any) -> JsonObject:
        """Decide with patience: the worker may be on its way."""
        return await self.client.decide(run_id, decision, within=WITHIN, **more)

    async def approve(self, run_id: str) -> JsonObject:
        """Wait for the question and say yes to exactly that."""
        asked = await self.question(run_id)
        return await self.decide(run_id, APPROVE, asked=asked)

    async def result(self, run_id: str) -> dict[str, Any]:
        """Wait for the run's result."""
        async with asyncio.timeout(WITHIN.total_seconds()):
            output = await self.client.result(run_id)
        assert isinstance(output, dict), output
        return output

    async def calls(self, run_id: str) -> tuple[Call, ...]:
        return (await self.client.timeline(run_id)).calls

    def mails(self) -> list[EmailMessage]:
        return self.mailbox.messages()

    def tickets(self) -> list[tuple[str, ...]]:
        """Return title, body and customer of every ticket on the desk."""
        if not self.desk.exists():
            return []
        with closing(sqlite3.connect(self.desk)) as db:
            named = db.execute("SELECT 1 FROM sqlite_master WHERE name = 'tickets'").fetchone()
            rows = db.execute("SELECT title, body, customer FROM tickets") if named else ()
            return list(rows)

    def asked_of_model(self) -> list[str]:
        """Return the task of every real invocation of the model, in order."""
        if not self.journal.exists():
            return []
        return [json.loads(line)["kind"] for line in self.journal.read_text("utf-8").splitlines()]

    def close(self) -> None:
        for worker in self.workers:
            worker.kill()
        self.mailbox.stop()


@asynccontextmanager
async def scene(folder: Path, client: Client, address: str) -> AsyncGenerator[Scene]:
    """Set a scene; whatever was started in it is killed, by its process id, at the end."""
    with Mailbox(folder / "inbox") as mailbox:
        made = Scene(folder=folder, client=client, address=address, mailbox=mailbox)
        try:
            yield made
        finally:
            made.close()


async def died(worker: WorkerProcess) -> int:
    """Wait until a worker process has ended by itself; return how."""

    async def look() -> int | None:
        return worker.returncode

    return await eventually(look, what=f"the end of worker {worker.pid}\n{worker.output()}")
