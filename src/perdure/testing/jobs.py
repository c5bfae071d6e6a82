"""One call of a graph as a workflow, for tests: the workflow, its activities, its worker.

Arguments, results and errors stay objects of the test's process; the graph runs in a workflow
like every agent, with its model and tool calls, its store and its checkpoints as activities.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextvars import Context
from dataclasses import dataclass, field
from datetime import timedelta
from inspect import isawaitable
from itertools import count
from typing import TypeVar, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver, CheckpointTuple
from langgraph.pregel import Pregel
from langsmith import run_helpers
from temporalio import activity, workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError

from perdure.core.causes import words
from perdure.core.jsons import Raw
from perdure.testing.live import LiveCodec
from perdure.worker.agents import Agents
from perdure.workflow.checkpoints import Entry, Write, pointer
from perdure.workflow.current import need_run
from perdure.workflow.saver import Saver
from perdure.workflow.taming import tame

CALL_WORKFLOW = "perdure.testing.call"
LOAD_ACTIVITY = "perdure.testing.load"
SAVE_ACTIVITY = "perdure.testing.save"
_WITHIN = timedelta(seconds=60)

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
    emit: Callable[[Raw], None] = lambda _: None
    cancel: Callable[[], Raw] = lambda: None
    cancelled: bool = False
    loaded: list[Entry] = field(default_factory=list[Entry])
    outbox: list[Entry] = field(default_factory=list[Entry])
    result: Raw = None
    error: BaseException | None = None
    saver_error: Exception | None = None
    """What the caller's own checkpointer raised."""

    @property
    def config(self) -> RunnableConfig:
        """The config that the call was given."""
        place = 1 if self.method in ("ainvoke", "astream") else 0
        given = self.args[place] if len(self.args) > place else self.options.get("config")
        return cast("RunnableConfig", given or {})

    @property
    def saver(self) -> Raw:
        """The checkpointer that the call works on."""
        parts = {**((self.graph.config or {}).get("configurable") or {})}
        parts.update(self.config.get("configurable") or {})
        own = parts.get("__pregel_checkpointer", self.graph.checkpointer)
        return cast("Raw", own) if isinstance(own, BaseCheckpointSaver) else None

    @property
    def thread(self) -> str | None:
        """The thread that the call works on."""
        parts = {**((self.graph.config or {}).get("configurable") or {})}
        parts.update(self.config.get("configurable") or {})
        found = parts.get("thread_id")
        return None if found is None else str(found)

    async def at_home(self, call: Callable[[], Awaitable[T]]) -> T:
        """Run a coroutine on the caller's loop, where its objects were made."""
        loop = self.loop
        if loop is None or loop.is_closed() or not loop.is_running():
            return await call()

        async def run() -> T:
            return await call()

        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(run(), loop))


class JobAgents(Agents):
    """The registry of a test worker: jobs instead of agents."""

    def __init__(self) -> None:
        super().__init__(workflows=[CallWorkflow])
        self._codec = LiveCodec()
        self._jobs: dict[str, Job] = {}
        self._numbers = count(1)

    def add_job(self, **parts: Raw) -> Job:
        """Keep a call until it is made."""
        job = Job(id=f"job-{next(self._numbers)}", **parts)
        self._jobs[job.id] = job
        return job

    def job(self, id: str) -> Job:
        """Return a call that waits to be made."""
        return self._jobs[id]

    def drop(self, job: Job) -> None:
        """Forget a call that was made."""
        self._jobs.pop(job.id, None)


class JobSaver(Saver):
    """The run's saver, with the versions of the test's own one."""

    def __init__(self, own: Raw) -> None:
        super().__init__()
        self._own = own

    def get_next_version(self, current: Raw, channel: None) -> Raw:
        """Count a channel's version up."""
        return self._own.get_next_version(current, channel)


class JobActivities:
    """What touches the test's own checkpointer."""

    def __init__(self, agents: JobAgents) -> None:
        self._agents = agents

    @activity.defn(name=LOAD_ACTIVITY)
    async def load(self, id: str) -> int:
        """Read all checkpoints of the job's thread; returns how many there are."""
        job = self._agents.job(id)
        try:
            job.loaded = await job.at_home(lambda: _read(job))
        except Exception as error:  # noqa: BLE001 - it belongs to who made the call
            job.saver_error = error
        return len(job.loaded)

    @activity.defn(name=SAVE_ACTIVITY)
    async def save(self, id: str) -> None:
        """Write what the job left."""
        job = self._agents.job(id)
        try:
            await job.at_home(lambda: _write(job))
        except Exception as error:  # noqa: BLE001 - it belongs to who made the call
            job.saver_error = error


async def _read(job: Job) -> list[Entry]:
    saver = job.saver
    if saver is None or job.thread is None:
        return []
    where: RunnableConfig = {"configurable": {"thread_id": job.thread}}
    await _either(saver.aget_tuple, saver.get_tuple, (where,))  # it may refuse
    found: list[Entry] = []
    for held in [one async for one in _listed(saver, where)]:
        parts = _configurable(held.config)
        parent = _configurable(held.parent_config or {}).get("checkpoint_id")
        writes = tuple(
            Write(task=task, path=f"{number:06}", index=number, channel=channel, value=value)
            for number, (task, channel, value) in enumerate(held.pending_writes or ())
        )
        found.append(
            Entry(
                place=(str(parts["thread_id"]), str(parts.get("checkpoint_ns", ""))),
                checkpoint=held.checkpoint,
                metadata=held.metadata,
                parent=parent,
                writes=writes,
            )
        )
    return found


def _configurable(config: RunnableConfig) -> dict[str, Raw]:
    return config.get("configurable") or {}


async def _listed(saver: Raw, where: RunnableConfig) -> AsyncIterator[CheckpointTuple]:
    try:
        async for held in saver.alist(where):
            yield held
    except NotImplementedError:  # a saver for sync use only
        for held in saver.list(where):
            yield held


async def _write(job: Job) -> None:
    saver = job.saver
    if saver is None:
        return
    for entry in job.outbox:
        where: RunnableConfig = {
            "configurable": {"thread_id": entry.place[0], "checkpoint_ns": entry.place[1]}
        }
        if entry.parent:
            where["configurable"]["checkpoint_id"] = entry.parent
        if entry.whole:
            put = (where, entry.checkpoint, entry.metadata, dict(entry.new_versions))
            await _either(saver.aput, saver.put, put)
        own = pointer(entry.place, entry.checkpoint["id"])
        for task, path, writes in _by_task(entry.writes):
            call = (own, [(w.channel, w.value) for w in writes], task, path)
            await _either(saver.aput_writes, saver.put_writes, call)
    job.outbox = []


async def _either(
    call: Callable[..., Awaitable[Raw]], otherwise: Callable[..., Raw], args: tuple[Raw, ...]
) -> None:
    try:
        await call(*args)
    except NotImplementedError:
        otherwise(*args)


def _by_task(writes: Iterable[Write]) -> list[tuple[str, str, list[Write]]]:
    grouped: dict[tuple[str, str], list[Write]] = {}
    for write in writes:
        grouped.setdefault((write.task, write.path), []).append(write)
    return [(task, path, found) for (task, path), found in grouped.items()]


@workflow.defn(name=CALL_WORKFLOW, sandboxed=False)
class CallWorkflow:
    """Call one method of one graph."""

    @workflow.run
    async def run(self, id: str) -> None:
        """Call it; the outcome stays in the job, the failure of the run tells it in words."""
        run = need_run("a test's call")
        job = cast("JobAgents", run.host).job(id)
        job.error = job.saver_error = None  # of an execution that was taken out of memory
        try:
            with cast("Raw", run_helpers).tracing_context(enabled=False):
                task = asyncio.create_task(_call(job), context=job.context.copy())
                job.result = await task
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            if type(error).__module__.startswith("temporalio."):
                raise  # the run is taken out of memory
            job.error = error
            tamed = tame(error)
            text = f"{type(tamed).__name__}: {words(tamed)}"
            raise ApplicationError(text, type="test_call", non_retryable=True) from None


async def _call(job: Job) -> Raw:
    run = need_run("a test's call")
    graph = job.graph
    kept = job.saver is not None
    if kept:
        run.saver = JobSaver(job.saver)
        if job.thread is not None:
            await _execute(LOAD_ACTIVITY, job)
            run.saver.restore(job.loaded)
        graph = graph.copy({"checkpointer": run.saver})
    try:
        return await _run(job, graph)
    finally:
        if kept:
            job.outbox = run.saver.unsaved("all")
            if job.outbox:
                await asyncio.shield(_execute(SAVE_ACTIVITY, job))


async def _run(job: Job, graph: Graph) -> Raw:
    outcome = getattr(graph, job.method)(*job.args, **job.options)
    if isawaitable(outcome):
        return await outcome
    if job.method == "aget_state_history":
        return [state async for state in outcome]
    async for chunk in outcome:
        if not workflow.unsafe.is_replaying():
            job.emit(chunk)
    return None


async def _execute(name: str, job: Job) -> None:
    await workflow.execute_local_activity(
        name, job.id, start_to_close_timeout=_WITHIN, retry_policy=RetryPolicy(maximum_attempts=1)
    )
    if job.saver_error is not None:
        raise job.saver_error
