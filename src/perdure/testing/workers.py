"""The workers of `perdure.testing.durable`: each on a thread of its own in the test's process."""

import asyncio
import contextlib
import threading
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Generic, TypeVar, cast
from uuid import uuid4

from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.service import RPCError
from temporalio.worker import Worker

from perdure.core.jsons import Raw
from perdure.testing.acts import DeedActivities, StayLocal
from perdure.testing.blocking import let_block
from perdure.testing.jobs import CALL_WORKFLOW, Job, JobAgents
from perdure.testing.servers import DevServer
from perdure.worker.plugin import Plugin
from perdure.workflow.privates import allow_long_steps, keep_request_ids

T = TypeVar("T")
START_WITHIN = 90.0
MOST_DEEDS = 10_000
"""Deeds at one time; each wait of each node is one."""
_PROMPT = ("--dynamic-config-value", 'history.timerProcessorMaxTimeShift="1ms"')
"""Timers that do not wait for the next full second."""


@dataclass
class _Home(Generic[T]):
    """The workers of this process, by server and cache."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    workers: dict[Raw, "JobWorker"] = field(default_factory=dict[Raw, "JobWorker"])


_HOME: _Home[None] = _Home()


def stop_workers(address: str | None = None) -> None:
    """Stop the workers of `durable` on one server; do so before a server of your own stops.

    They stop by themselves when the process ends, which takes long if their server has gone.
    """
    with _HOME.lock:
        for key in [key for key in _HOME.workers if key[0] == address]:
            _HOME.workers.pop(key).stop()


def worker_for(address: str | None, namespace: str, cache: int) -> "JobWorker":
    """Return the worker of this process on a server; starts it the first time."""
    with _HOME.lock:
        key = (address, namespace, cache)
        held = _HOME.workers.get(key)
        if held is None or not held.alive:
            held = _HOME.workers[key] = JobWorker(address=address, namespace=namespace, cache=cache)
            held.start()
        return held


@dataclass(eq=False)
class JobWorker:
    """A worker on a thread of its own, so that sync and async tests can both wait for it."""

    address: str | None
    namespace: str
    cache: int
    agents: JobAgents = field(default_factory=JobAgents)
    queue: str = field(default_factory=lambda: f"perdure-test-{uuid4().hex[:8]}")
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    _thread: threading.Thread | None = None
    _client: "Future[Client]" = field(default_factory=Future[Client])
    _stop: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Start it, and end it with the process."""
        self._thread = threading.Thread(target=self._main, name="perdure-durable", daemon=True)
        self._thread.start()
        # Before the pools' threads are joined, which comes before atexit.
        cast("Raw", threading)._register_atexit(self.stop)  # noqa: SLF001
        self._client.result(START_WITHIN)

    def stop(self) -> None:
        """Stop worker and server."""
        if self.alive and self._thread is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(30)

    def _main(self) -> None:
        let_block()
        keep_request_ids()
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        except BaseException as error:
            if not self._client.done():
                self._client.set_exception(error)
            raise
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        if self.address is not None:
            await self._work(self.address)
            return
        async with DevServer(in_memory=True, extra=_PROMPT) as server:
            await self._work(server.address)

    async def _work(self, address: str) -> None:
        client = await Client.connect(address, namespace=self.namespace)
        worker = Worker(
            client,
            task_queue=self.queue,
            activities=[DeedActivities(self.agents.deeds).act],
            plugins=[Plugin(self.agents, guard="off")],
            interceptors=[StayLocal()],
            max_cached_workflows=self.cache,
            max_concurrent_local_activities=MOST_DEEDS,
        )
        allow_long_steps(worker)
        async with worker:
            self._client.set_result(client)
            await self._stop.wait()

    def submit(self, job: Job) -> "Future[None]":
        """Make a call; the future is done when its workflow is."""
        return asyncio.run_coroutine_threadsafe(self._run(job), self._loop)

    async def _run(self, job: Job) -> None:
        let_block()
        client = self._client.result()
        handle = await client.start_workflow(
            CALL_WORKFLOW,
            job.id,
            id=f"call-{uuid4().hex}",
            task_queue=self.queue,
            static_summary=f"{job.graph.name}: {job.method.removeprefix('a')}",
            task_timeout=timedelta(seconds=60),
            request_eager_start=True,
        )
        job.cancel = lambda: asyncio.run_coroutine_threadsafe(_cancel(handle), self._loop)
        if job.cancelled:
            job.cancel()
        try:
            await handle.result()
        except WorkflowFailureError as error:
            if job.error is None:
                raise (error.cause or error) from None
        finally:
            self.agents.drop(job)

    def cancel(self, job: Job) -> None:
        """Cancel a call; its future is done when the workflow has come to its end."""

        def tell() -> None:
            job.cancelled = True
            job.deeds.stop()
            job.cancel()

        self._loop.call_soon_threadsafe(tell)

    def ask(self, job: Job) -> None:
        """Want the next part of a stream."""
        self._loop.call_soon_threadsafe(job.wanted.set)


async def _cancel(handle: WorkflowHandle[Raw, Raw]) -> None:
    with contextlib.suppress(RPCError):  # it has come to its end meanwhile
        await handle.cancel()
