"""One call of a graph as a workflow, for tests.

Arguments, results and errors stay objects of the test's process; the graph runs in a workflow
like every agent, and whatever it does to the world outside of it is an activity.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from contextvars import Context
from dataclasses import dataclass, field
from inspect import isawaitable
from itertools import count
from threading import Event
from typing import TypeVar, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.pregel import Pregel
from langsmith import run_helpers
from temporalio import workflow
from temporalio.exceptions import ApplicationError

from perdure.core.causes import words
from perdure.core.jsons import Raw
from perdure.testing.acts import Acts, Deeds, take_naps
from perdure.testing.blocking import let_block
from perdure.testing.live import LiveCodec
from perdure.testing.originals import original
from perdure.testing.parts import INTERCEPT, PlainParts
from perdure.testing.proxies import CacheProxy, SaverProxy
from perdure.testing.sides import sync_sides
from perdure.worker.agents import Agents
from perdure.worker.discover import parts_of
from perdure.workflow.current import need_run
from perdure.workflow.nodebinding import with_parts
from perdure.workflow.taming import tame

_QUICK = 0.02
CALL_WORKFLOW = "perdure.testing.call"
_SAVER = "__pregel_checkpointer"
_STATE_FIRST = frozenset({
    "aget_state", "aget_state_history", "aupdate_state", "abulk_update_state",
})  # fmt: skip
"""Methods whose first argument is the config; elsewhere it is the second."""

T = TypeVar("T")
Graph = Pregel[Raw, Raw, Raw, Raw]


@dataclass(kw_only=True)
class Job:
    """One call of one graph."""

    id: str
    graph: Graph
    method: str
    args: tuple[Raw, ...]
    options: Mapping[str, Raw]
    context: Context
    """The caller's context variables; the graph runs in a copy of them."""
    loop: asyncio.AbstractEventLoop | None
    """The caller's loop, if it waits there; its checkpointer may belong to it."""
    intercept: bool = False
    """Plain models and tools are called as activities."""
    emit: Callable[[Raw], None] | None = None
    """Takes a part of a stream."""
    cancel: Callable[[], Raw] = lambda: None
    cancelled: bool = False
    closed: bool = False
    """The caller wants no more parts."""
    wanted: asyncio.Event = field(default_factory=asyncio.Event)
    """The caller wants the next part."""
    taken: Event = field(default_factory=Event)
    """The caller has dealt with the part that it was given."""
    deeds: Deeds = field(default_factory=Deeds)
    result: Raw = None
    error: BaseException | None = None

    async def is_wanted(self) -> bool:
        """Wait until the caller wants the next part; False if it wants none. A deed."""
        await self.wanted.wait()
        self.wanted.clear()
        return not self.closed

    def handing(self, tell: Callable[[Raw], None]) -> Callable[[Raw], None]:
        """Let the caller deal with a part before the graph goes on, if it is quick.

        A stream of one process is like that, and callbacks of both sides come in its order.
        """

        def emit(part: Raw) -> None:
            self.taken.clear()
            tell(part)
            self.taken.wait(_QUICK)

        return emit

    def wake(self) -> None:
        """Let the caller's loop look about.

        A node may have set an `asyncio.Event` of the test, which wakes the loop of no other
        thread.
        """
        if self.loop is not None and not self.loop.is_closed():
            self.loop.call_soon_threadsafe(int)

    async def at_home(self, call: Callable[[], Raw]) -> Raw:
        """Make a call on the caller's loop, where its objects were made. A deed."""
        loop = self.loop
        if loop is None or loop.is_closed() or not loop.is_running():
            return await _made(call)
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(_made(call), loop))


async def _made(call: Callable[[], Raw]) -> Raw:
    made = call()
    return await made if isawaitable(made) else made


class JobAgents(Agents):
    """The registry of a test worker: jobs instead of agents."""

    def __init__(self) -> None:
        super().__init__(workflows=[CallWorkflow], intercept=False)
        self._codec = LiveCodec()
        self._parts = self.found = PlainParts(table=self.declared)
        self._jobs: dict[str, Job] = {}
        self._numbers = count(1)

    def add_job(self, **parts: Raw) -> Job:
        """Keep a call until it is made."""
        job = Job(id=f"job-{next(self._numbers)}", **parts)
        job.deeds.wake = job.wake
        if job.intercept:
            self._parts.add(parts_of(job.graph))
        self._jobs[job.id] = job
        return job

    def job(self, id: str) -> Job:
        """Return a call that waits to be made."""
        return self._jobs[id]

    def deeds(self, id: str) -> Deeds:
        """Return what a call does beside its workflow."""
        return self._jobs[id].deeds

    def drop(self, job: Job) -> None:
        """Forget a call that was made."""
        self._jobs.pop(job.id, None)


@workflow.defn(name=CALL_WORKFLOW, sandboxed=False)
class CallWorkflow:
    """Call one method of one graph."""

    def __init__(self) -> None:
        let_block()

    @workflow.run
    async def run(self, id: str) -> None:
        """Call it; the outcome stays in the job, the failure of the run tells it in words."""
        job = cast("JobAgents", need_run("a test's call").host).job(id)
        job.error = None  # of an execution that was taken out of memory
        acts = Acts(job.id, job.deeds)
        if not job.intercept:
            take_naps(asyncio.get_running_loop(), acts)
        try:
            with cast("Raw", run_helpers).tracing_context(enabled=False):
                acts.main = asyncio.create_task(_call(job, acts), context=job.context.copy())
                job.result = await acts.main
        except BaseException as error:
            if type(error).__module__.startswith("temporalio."):
                raise  # the run is taken out of memory
            if isinstance(error, asyncio.CancelledError) and workflow.cancellation_reason():
                raise
            job.error = error
            tamed = tame(error)
            text = f"{type(tamed).__name__}: {words(tamed)}"
            raise ApplicationError(text, type="test_call", non_retryable=True) from None


async def _call(job: Job, acts: Acts) -> Raw:
    run = need_run("a test's call")
    INTERCEPT.set(job.intercept)

    def ask(call: Callable[[], Raw]) -> Awaitable[Raw]:
        return acts.perform(lambda: job.at_home(call))

    def stand_for(saver: Raw) -> Raw:
        if not isinstance(saver, BaseCheckpointSaver) or isinstance(saver, SaverProxy):
            return cast("Raw", saver)
        return SaverProxy(saver, ask=ask, sync=job.loop is None)

    def adapt(graph: Raw) -> dict[str, Raw]:
        parts = sync_sides(graph) if job.loop is None else {}
        return {**parts, "checkpointer": stand_for(graph.checkpointer)}

    run.adapt = adapt
    run.cache = CacheProxy(None, ask=ask)
    graph, args, options = _with_proxies(job, stand_for)
    outcome = original(graph, job.method)(*args, **options)
    if isawaitable(outcome):
        return await outcome
    if job.emit is None:
        return [one async for one in outcome]
    async with aclosing(outcome):
        async for part in outcome:
            if not workflow.unsafe.is_replaying():
                job.emit(part)
            if not await acts.perform(job.is_wanted):
                break
    return None


def _with_proxies(
    job: Job, stand_for: Callable[[Raw], Raw]
) -> tuple[Graph, list[Raw], dict[str, Raw]]:
    """Return graph and arguments with a stand-in for the checkpointer that each has."""
    args, options = [*job.args], dict(job.options)
    lent = {"checkpointer": stand_for(job.graph.checkpointer)}
    lent["config"] = _lend(job.graph.config, stand_for)
    graph = cast("Graph", with_parts(job.graph, lent))
    place = 0 if job.method in _STATE_FIRST else 1
    if len(args) > place:
        args[place] = _lend(args[place], stand_for)
    elif "config" in options:
        options["config"] = _lend(options["config"], stand_for)
    return graph, args, options


def _lend(config: Raw, stand_for: Callable[[Raw], Raw]) -> Raw:
    parts = cast("RunnableConfig", config or {}).get("configurable") or {}
    if _SAVER not in parts:
        return config
    return {**config, "configurable": {**parts, _SAVER: stand_for(parts[_SAVER])}}
