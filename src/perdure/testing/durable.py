"""`perdure.testing.durable`: any graph, with every call of it made in a workflow."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future
from contextvars import copy_context
from functools import cache
from queue import SimpleQueue
from types import MethodType
from typing import cast

from langchain_core.runnables import RunnableBinding, RunnableConfig
from langgraph.graph.state import StateGraph
from langgraph.pregel import Pregel
from langgraph.types import StateSnapshot
from temporalio import workflow

from perdure.core.jsons import Raw, shorten
from perdure.errors import NotAGraph
from perdure.testing.blocking import may_block
from perdure.testing.jobs import Graph, Job
from perdure.testing.originals import TWINS, call_in_run
from perdure.testing.workers import JobWorker, stop_workers, worker_for

_METHODS = frozenset((*TWINS, *TWINS.values()))


def durable(
    graph: Raw,
    *,
    address: str | None = None,
    namespace: str = "default",
    max_cached_workflows: int = 1000,
    intercept: bool = False,
) -> Raw:
    """Return the graph again, with each call of its methods made in a workflow.

    So any test of a graph can be pointed at Perdure: `ainvoke`, `astream`, `invoke`, `stream`,
    `batch`, `astream_events` and the calls on the state. All else is the graph's own, and what
    is set on the one is set on the other. The worker lives in this process, on a thread of its
    own; arguments, results and exceptions are the very objects. `address` is a Temporal server,
    by default a dev server that is started once and ends with the process. The graph's own
    checkpointer and cache are used, each access as an activity.

    Plain models and tools are called where they are, so that the fakes of a test keep count as
    ever, and waits are local activities. With `intercept=True` those that the graph can reach
    are called as activities, and waits are timers of the server, as in a real run.

    With `max_cached_workflows=0` every step runs again from the start of the call: nodes must
    then keep nothing in variables of the test.

    Raises:
        NotAGraph: It is no graph of LangGraph's.
    """
    made = cast("Raw", graph).compile() if isinstance(graph, StateGraph) else graph
    if isinstance(made, RunnableBinding):
        held = cast("Raw", made)
        bound = durable(
            held.bound,
            address=address,
            namespace=namespace,
            max_cached_workflows=max_cached_workflows,
            intercept=intercept,
        )
        return held.model_copy(update={"bound": bound})
    if not isinstance(made, Pregel):
        raise NotAGraph(f"durable() takes a graph of LangGraph's, got {shorten(repr(made), 80)}")
    with may_block():
        worker = worker_for(address, namespace, max_cached_workflows)
    kind = _durable_class(plain_class(made), worker, intercept)
    return _seen_as(made, kind)


def plain_class(graph: Raw) -> type:
    """Return the class of a graph, without what `durable` added."""
    held = cast("type[Raw]", type(graph))
    return held.plain_class if issubclass(held, Durable) else held


@cache
def _durable_class(plain: type, worker: JobWorker, intercept: bool) -> type:
    body: dict[str, Raw] = {"__doc__": plain.__doc__, "__module__": plain.__module__}
    body |= {"plain_class": plain, "perdure_worker": worker, "perdure_intercept": intercept}
    return cast("Raw", type(plain))(plain.__name__, (Durable, plain), body)


def _seen_as(graph: Raw, kind: type) -> Raw:
    """Return the same graph as an object of another class: both have one and the same fields."""
    made = cast("Raw", object.__new__(kind))
    made.__dict__ = vars(graph)
    return made


class Durable:
    """What stands before a graph's class: its calls run in workflows."""

    plain_class: type
    perdure_worker: JobWorker
    perdure_intercept: bool

    def __getattribute__(self, name: str) -> Raw:
        """Return a method of this class although the graph has one of its own set on it."""
        if name in _METHODS:
            return MethodType(vars(Durable)[name], self)
        return super().__getattribute__(name)

    async def ainvoke(self, *args: Raw, **options: Raw) -> Raw:
        """Call the graph, as `Pregel.ainvoke`."""
        return await self._acall("ainvoke", args, options)

    def invoke(self, *args: Raw, **options: Raw) -> Raw:
        """Call the graph, as `Pregel.invoke`."""
        return self._call("invoke", args, options)

    async def astream(self, *args: Raw, **options: Raw) -> AsyncIterator[Raw]:
        """Stream the graph, as `Pregel.astream`."""
        if workflow.in_workflow():
            async for part in call_in_run(self._plain(), "astream", args, options):
                yield part
            return
        loop = asyncio.get_running_loop()
        parts: asyncio.Queue[tuple[Raw, bool]] = asyncio.Queue()

        def tell(part: Raw, *, last: bool = False) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(parts.put_nowait, (part, last))

        job = self._job("astream", args, options, loop=loop)
        job.emit = job.handing(tell)
        done = self._submit(job)
        with may_block():
            done.add_done_callback(lambda _: tell(None, last=True))
        try:
            while not (found := await parts.get())[1]:
                yield found[0]
                job.taken.set()
                self.perdure_worker.ask(job)
        except GeneratorExit:
            self._close(job)
            await _ended(done)
            raise
        except BaseException:
            self.perdure_worker.cancel(job)
            await _ended(done)
            raise
        _outcome(job, done)

    def stream(self, *args: Raw, **options: Raw) -> Iterator[Raw]:
        """Stream the graph, as `Pregel.stream`."""
        if workflow.in_workflow():
            yield from call_in_run(self._plain(), "stream", args, options)
            return
        parts: SimpleQueue[tuple[Raw, bool]] = SimpleQueue()
        job = self._job("astream", args, options, loop=None)
        job.emit = job.handing(lambda part: parts.put((part, False)))
        done = self._submit(job)
        done.add_done_callback(lambda _: parts.put((None, True)))
        try:
            while not (found := _taken(parts))[1]:
                yield found[0]
                job.taken.set()
                self.perdure_worker.ask(job)
        except GeneratorExit:
            self._close(job)
            done.exception()
            raise
        except BaseException:
            self.perdure_worker.cancel(job)
            done.exception()
            raise
        _outcome(job, done)

    def get_state(self, *args: Raw, **options: Raw) -> StateSnapshot:
        """Read the state, as `Pregel.get_state`."""
        return self._call("get_state", args, options)

    async def aget_state(self, *args: Raw, **options: Raw) -> StateSnapshot:
        """Read the state, as `Pregel.aget_state`."""
        return await self._acall("aget_state", args, options)

    def get_state_history(self, *args: Raw, **options: Raw) -> Iterator[StateSnapshot]:
        """List the states, as `Pregel.get_state_history`."""
        yield from self._call("get_state_history", args, options)

    async def aget_state_history(self, *args: Raw, **options: Raw) -> AsyncIterator[StateSnapshot]:
        """List the states, as `Pregel.aget_state_history`."""
        if workflow.in_workflow():
            async for state in call_in_run(self._plain(), "aget_state_history", args, options):
                yield state
            return
        for state in await self._acall("aget_state_history", args, options):
            yield state

    def update_state(self, *args: Raw, **options: Raw) -> RunnableConfig:
        """Change the state, as `Pregel.update_state`."""
        return self._call("update_state", args, options)

    async def aupdate_state(self, *args: Raw, **options: Raw) -> RunnableConfig:
        """Change the state, as `Pregel.aupdate_state`."""
        return await self._acall("aupdate_state", args, options)

    def bulk_update_state(self, *args: Raw, **options: Raw) -> RunnableConfig:
        """Change the state in several steps, as `Pregel.bulk_update_state`."""
        return self._call("bulk_update_state", args, options)

    async def abulk_update_state(self, *args: Raw, **options: Raw) -> RunnableConfig:
        """Change the state in several steps, as `Pregel.abulk_update_state`."""
        return await self._acall("abulk_update_state", args, options)

    def _plain(self) -> Graph:
        return cast("Graph", _seen_as(self, self.plain_class))

    def _job(
        self,
        method: str,
        args: tuple[Raw, ...],
        options: dict[str, Raw],
        *,
        loop: asyncio.AbstractEventLoop | None,
    ) -> Job:
        return self.perdure_worker.agents.add_job(
            graph=self._plain(),
            method=method,
            args=args,
            options=options,
            context=copy_context(),
            loop=loop,
            intercept=self.perdure_intercept,
        )

    def _submit(self, job: Job) -> "Future[None]":
        with may_block():
            return self.perdure_worker.submit(job)

    def _close(self, job: Job) -> None:
        job.closed = True
        job.taken.set()
        self.perdure_worker.ask(job)

    def _call(self, method: str, args: tuple[Raw, ...], options: dict[str, Raw]) -> Raw:
        if workflow.in_workflow():
            return call_in_run(self._plain(), method, args, options)
        job = self._job(f"a{method}", args, options, loop=None)
        done = self._submit(job)
        try:
            with may_block():
                done.exception()
        except BaseException:
            self.perdure_worker.cancel(job)
            raise
        return _outcome(job, done)

    async def _acall(self, method: str, args: tuple[Raw, ...], options: dict[str, Raw]) -> Raw:
        if workflow.in_workflow():
            return await call_in_run(self._plain(), method, args, options)
        job = self._job(method, args, options, loop=asyncio.get_running_loop())
        done = self._submit(job)
        try:
            await _ended(done)
        except asyncio.CancelledError:
            self.perdure_worker.cancel(job)
            await _ended(done)
            raise
        return _outcome(job, done)


def _taken(parts: "SimpleQueue[tuple[Raw, bool]]") -> tuple[Raw, bool]:
    with may_block():
        return parts.get()


async def _ended(done: "Future[None]") -> None:
    """Wait for a call's end; whoever stops waiting leaves the call alone."""
    loop = asyncio.get_running_loop()
    over = loop.create_future()

    def tell() -> None:
        if not over.done():
            over.set_result(None)

    with may_block():
        done.add_done_callback(
            lambda _: None if loop.is_closed() else loop.call_soon_threadsafe(tell)
        )
    await over


def _outcome(job: Job, done: "Future[None]") -> Raw:
    if job.error is not None:
        raise job.error
    with may_block():
        done.result()
    return job.result


__all__ = ["Durable", "JobWorker", "durable", "stop_workers"]
