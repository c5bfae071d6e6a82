"""Run agents with given payloads against a real server, and look at the raw record."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from google.protobuf.message import Message
from temporalio.api.common.v1 import Payload, WorkflowExecution
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionRequest
from temporalio.client import Client as Temporal
from temporalio.client import WorkflowHistory
from temporalio.worker import Worker

import perdure
from integration.runtime.harness import is_failed_task
from perdure import Key, Keyring, Payloads
from perdure.client import Client, RunHandle, connect
from perdure.testing import DevServer
from perdure.testing.replay import assert_replays
from perdure.worker.plugin import Plugin

OLD, NEW, OTHER = Key("old", b"o" * 32), Key("new", b"n" * 32), Key("other", b"x" * 32)


def ring(*keys: Key) -> Keyring:
    return Keyring(keys)


@dataclass(kw_only=True)
class Runs:
    """A worker, a client that has the same payloads, and the runs that were started."""

    client: Client
    agents: perdure.Agents
    queue: str
    payloads: Payloads
    started: list[str] = field(default_factory=list)

    async def start(self, agent: str, input: Any, **options: Any) -> RunHandle:
        run = await self.client.start(agent, input, task_queue=self.queue, **options)
        self.started.append(run.run_id)
        return run

    async def result(self, agent: str, input: Any, **options: Any) -> Any:
        return await (await self.start(agent, input, **options)).result()


@dataclass(kw_only=True)
class Lab:
    """A server, a folder of blobs, and how many runs the workers keep in memory."""

    server: DevServer
    cache: int
    folder: Path

    def payloads(self, **parts: Any) -> Payloads:
        return Payloads(**({"blobs": self.folder.as_uri()} | parts))

    async def client(self, payloads: Payloads) -> Client:
        return await connect(self.server.address, payloads=payloads)

    async def plain(self) -> Temporal:
        """Return a client that knows nothing of payloads: it reads what is recorded."""
        return await Temporal.connect(self.server.address)

    @asynccontextmanager
    async def worker(
        self,
        agents: perdure.Agents,
        payloads: Payloads | None = None,
        *,
        queue: str | None = None,
        check: bool = True,
    ) -> AsyncGenerator[Runs]:
        """Run a worker; afterwards each run that was started on it must replay."""
        payloads = payloads or self.payloads()
        agents.payloads = payloads
        client = await self.client(payloads)
        queue = queue or f"queue-{uuid4().hex[:12]}"
        worker = Worker(
            client.temporal,
            task_queue=queue,
            plugins=[Plugin(agents)],
            max_cached_workflows=self.cache,
        )
        runs = Runs(client=client, agents=agents, queue=queue, payloads=payloads)
        async with worker:
            yield runs
            for run_id in runs.started if check else ():
                history = await raw_history(client.temporal, run_id)
                assert [e for e in history.events if is_failed_task(e)] == []
                await assert_replays(agents, history)


async def raw_history(client: Temporal, run_id: str) -> WorkflowHistory:
    return await client.get_workflow_handle(run_id).fetch_history()


async def record(client: Temporal, run_id: str) -> bytes:
    """Return all that the server keeps of a run: history and description."""
    history = await raw_history(client, run_id)
    asked = DescribeWorkflowExecutionRequest(
        namespace=client.namespace, execution=WorkflowExecution(workflow_id=run_id)
    )
    told = await client.workflow_service.describe_workflow_execution(asked)
    return b"".join([*(e.SerializeToString() for e in history.events), told.SerializeToString()])


def payloads_in(message: Message) -> list[Payload]:
    """List the payloads of an event, wherever they stand in it."""
    if isinstance(message, Payload):
        return [message]
    found: list[Payload] = []
    for part, value in message.ListFields():
        if part.message_type is None:
            continue
        several = value.values() if hasattr(value, "values") else value
        parts = [value] if isinstance(value, Message) else list(several)
        found += [p for one in parts if isinstance(one, Message) for p in payloads_in(one)]
    return found


def blobs_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def with_keys(payloads: Payloads, *keys: Key) -> Payloads:
    return replace(payloads, keys=ring(*keys))
