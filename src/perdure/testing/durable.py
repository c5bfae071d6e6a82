"""`perdure.testing.durable`: any graph, with every call of it made in a workflow."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future
from contextvars import copy_context
from dataclasses import dataclass, field
from datetime import timedelta
from queue import SimpleQueue
from typing import Generic, TypeVar, cast
from uuid import uuid4

from langchain_core.runnables import RunnableConfig
from langgraph.graph.state import StateGraph
from langgraph.pregel import Pregel
from langgraph.types import StateSnapshot
from temporalio import workflow
from temporalio.client import Client, WorkflowFailureError
from temporalio.worker import Worker

from perdure.core.jsons import Raw
from perdure.testing.jobs import CALL_WORKFLOW, Graph, Job, JobActivities, JobAgents
from perdure.testing.servers import DevServer
from perdure.worker.plugin import Plugin
from perdure.workflow.privates import allow_long_steps

T = TypeVar("T")
START_WITHIN = 90.0


def durable(
    graph: Raw,
    *,
    address: str | None = None,
    namespace: str = "default",
    max_cached_workflows: int = 1000,
) -> "Durable":
    """Return an object with the graph's own methods, each call of which runs in a workflow.

    So any test of a graph can be pointed at Perdure: `ainvoke`, `astream`, `invoke`, `stream`,
    `batch`, and the calls on the state. The worker lives in this process, on a thread of its
    own; arguments, results and exceptions are the very objects. `address` is a Temporal server,
    by default a dev server that is started once and ends with the process. The graph's own
    checkpointer is read before and written after each call.

    With `max_cached_workflows=0` every step runs again from the start of the call: nodes must
    then keep nothing in variables of the test.
    """
    compiled = cast("Raw", graph).compile() if isinstance(graph, StateGraph) else graph
    return Durable(
        graph=cast("Graph", compiled),
        worker=_worker(address, namespace, max_cached_workflows),
    )


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


def _worker(address: str | None, namespace: str, cache: int) -> "JobWorker":
    with _HOME.lock:
        key = (address, namespace, cache)
        held = _HOME.workers.get(key)
        if held is None or not held.alive:
            held = _HOME.workers[key] = JobWorker(address=address, namespace=namespace, cache=cache)
            held.start()
        return held


@dataclass
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
        async with DevServer() as server:
            await self._work(server.address)

    async def _work(self, address: str) -> None:
        client = await Client.connect(address, namespace=self.namespace)
        held = JobActivities(self.agents)
        worker = Worker(
            client,
            task_queue=self.queue,
            activities=[held.load, held.save],
            plugins=[Plugin(self.agents, guard="off")],
            max_cached_workflows=self.cache,
        )
        allow_long_steps(worker)
        async with worker:
            self._client.set_result(client)
            await self._stop.wait()

    def submit(self, job: Job) -> "Future[None]":
        """Make a call; the future is done when its workflow is."""
        return asyncio.run_coroutine_threadsafe(self._run(job), self._loop)

    async def _run(self, job: Job) -> None:
        client = self._client.result()
        handle = await client.start_workflow(
            CALL_WORKFLOW,
            job.id,
            id=f"call-{uuid4().hex}",
            task_queue=self.queue,
            task_timeout=timedelta(seconds=60),
        )
        job.cancel = lambda: asyncio.run_coroutine_threadsafe(handle.cancel(), self._loop)
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
            job.cancel()

        self._loop.call_soon_threadsafe(tell)


class Durable:
    """A graph whose calls run in workflows; everything else is the graph's own."""

    def __init__(self, *, graph: Graph, worker: JobWorker) -> None:
        self.graph = graph
        self._worker = worker

    def __getattr__(self, name: str) -> Raw:
        """Return what the graph has."""
        return getattr(self.graph, name)

    async def ainvoke(self, *args: Raw, **options: Raw) -> Raw:
        """Call the graph, as `Pregel.ainvoke`."""
        return await self._acall("ainvoke", args, options)

    def invoke(self, *args: Raw, **options: Raw) -> Raw:
        """Call the graph, as `Pregel.invoke`."""
        return self._call("ainvoke", args, options)

    async def astream(self, *args: Raw, **options: Raw) -> AsyncIterator[Raw]:
        """Stream the graph, as `Pregel.astream`."""
        loop = asyncio.get_running_loop()
        parts: asyncio.Queue[tuple[Raw, bool]] = asyncio.Queue()

        def emit(chunk: Raw) -> None:
            loop.call_soon_threadsafe(parts.put_nowait, (chunk, False))

        job = self._job("astream", args, options, loop=loop)
        if job is None:
            async for chunk in self.graph.astream(*args, **options):
                yield chunk
            return
        job.emit = emit
        done = self._worker.submit(job)
        done.add_done_callback(lambda _: loop.call_soon_threadsafe(parts.put_nowait, (None, True)))
        try:
            while True:
                chunk, last = await parts.get()
                if last:
                    break
                yield chunk
        finally:
            if not done.done():
                self._worker.cancel(job)
                await _ended(done)
        _outcome(job, done)

    def stream(self, *args: Raw, **options: Raw) -> Iterator[Raw]:
        """Stream the graph, as `Pregel.stream`."""
        parts: SimpleQueue[tuple[Raw, bool]] = SimpleQueue()
        job = self._job("astream", args, options, loop=None)
        if job is None:
            yield from self.graph.stream(*args, **options)
            return
        job.emit = lambda chunk: parts.put((chunk, False))
        done = self._worker.submit(job)
        done.add_done_callback(lambda _: parts.put((None, True)))
        try:
            while True:
                chunk, last = parts.get()
                if last:
                    break
                yield chunk
        finally:
            if not done.done():
                self._worker.cancel(job)
                done.exception()
        _outcome(job, done)

    def get_state(self, *args: Raw, **options: Raw) -> StateSnapshot:
        """Read the state, as `Pregel.get_state`."""
        return self._call("aget_state", args, options)

    async def aget_state(self, *args: Raw, **options: Raw) -> StateSnapshot:
        """Read the state, as `Pregel.aget_state`."""
        return await self._acall("aget_state", args, options)

    def get_state_history(self, *args: Raw, **options: Raw) -> Iterator[StateSnapshot]:
        """List the states, as `Pregel.get_state_history`."""
        yield from self._call("aget_state_history", args, options)

    async def aget_state_history(self, *args: Raw, **options: Raw) -> AsyncIterator[StateSnapshot]:
        """List the states, as `Pregel.aget_state_history`."""
        for state in await self._acall("aget_state_history", args, options):
            yield state

    def update_state(self, *args: Raw, **options: Raw) -> RunnableConfig:
        """Change the state, as `Pregel.update_state`."""
        return self._call("aupdate_state", args, options)

    async def aupdate_state(self, *args: Raw, **options: Raw) -> RunnableConfig:
        """Change the state, as `Pregel.aupdate_state`."""
        return await self._acall("aupdate_state", args, options)

    def bulk_update_state(self, *args: Raw, **options: Raw) -> RunnableConfig:
        """Change the state in several steps, as `Pregel.bulk_update_state`."""
        return self._call("abulk_update_state", args, options)

    async def abulk_update_state(self, *args: Raw, **options: Raw) -> RunnableConfig:
        """Change the state in several steps, as `Pregel.abulk_update_state`."""
        return await self._acall("abulk_update_state", args, options)

    def batch(self, inputs: list[Raw], config: Raw = None, **options: Raw) -> list[Raw]:
        """Call the graph for each input."""
        return [self.invoke(one, config, **options) for one in inputs]

    async def abatch(self, inputs: list[Raw], config: Raw = None, **options: Raw) -> list[Raw]:
        """Call the graph for each input, side by side."""
        return list(await asyncio.gather(*(self.ainvoke(one, config, **options) for one in inputs)))

    def with_config(self, config: RunnableConfig | None = None, **options: Raw) -> "Durable":
        """Return the same with a config bound, as `Pregel.with_config`."""
        bound = cast("Graph", cast("Raw", self.graph).with_config(config, **options))
        return Durable(graph=bound, worker=self._worker)

    def _job(
        self,
        method: str,
        args: tuple[Raw, ...],
        options: dict[str, Raw],
        *,
        loop: asyncio.AbstractEventLoop | None,
    ) -> Job | None:
        """Make a job of a call; None inside a workflow, where the graph is called as it is."""
        if workflow.in_workflow():
            return None
        return self._worker.agents.add_job(
            graph=self.graph,
            method=method,
            args=args,
            options=options,
            context=copy_context(),
            loop=loop,
        )

    def _call(self, method: str, args: tuple[Raw, ...], options: dict[str, Raw]) -> Raw:
        job = self._job(method, args, options, loop=None)
        if job is None:
            return getattr(self.graph, method.removeprefix("a"))(*args, **options)
        done = self._worker.submit(job)
        try:
            done.exception()
        except BaseException:
            self._worker.cancel(job)
            raise
        return _outcome(job, done)

    async def _acall(self, method: str, args: tuple[Raw, ...], options: dict[str, Raw]) -> Raw:
        job = self._job(method, args, options, loop=asyncio.get_running_loop())
        if job is None:
            outcome = getattr(self.graph, method)(*args, **options)
            if method == "aget_state_history":
                return [state async for state in outcome]
            return await outcome
        done = self._worker.submit(job)
        try:
            await _ended(done)
        except asyncio.CancelledError:
            self._worker.cancel(job)
            await _ended(done)
            raise
        return _outcome(job, done)


async def _ended(done: "Future[None]") -> None:
    """Wait for a call's end; whoever stops waiting leaves the call alone."""
    over = asyncio.get_running_loop().create_future()
    loop = asyncio.get_running_loop()

    def tell() -> None:
        if not over.done():
            over.set_result(None)

    done.add_done_callback(lambda _: None if loop.is_closed() else loop.call_soon_threadsafe(tell))
    await over


def _outcome(job: Job, done: "Future[None]") -> Raw:
    if job.error is not None:
        raise job.error
    done.result()
    return job.result


__all__ = ["Durable", "JobWorker", "Pregel", "durable"]
