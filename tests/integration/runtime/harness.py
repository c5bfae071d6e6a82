"""Run agents against a real Temporal server, look at what happened, and replay it."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar
from uuid import uuid4

from temporalio.api.enums.v1 import EventType, WorkflowTaskFailedCause
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import (
    Client,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowHistory,
    WorkflowQueryFailedError,
    WorkflowUpdateFailedError,
)
from temporalio.converter import DataConverter
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from perdure.client.payloads import decoder
from perdure.client.poll import until
from perdure.client.rawcalls import read_calls
from perdure.core.names import AGENT_WORKFLOW, DECIDE_SIGNAL, DECIDE_UPDATE
from perdure.testing.replay import assert_replays
from perdure.worker.agents import Agents
from perdure.worker.plugin import Plugin

T = TypeVar("T")
WITHIN = timedelta(seconds=20)
"""Longest wait for anything; far above what a noisy machine needs."""
HELLO = {"messages": [{"role": "user", "content": "hello"}]}


async def eventually(look: Callable[[], Awaitable[T | None]], *, what: str) -> T:
    """Wait until `look` brings something back; the one place of this suite that polls."""
    found = await until(look, within=WITHIN, every=timedelta(milliseconds=20))
    assert found is not None, f"{what}: not within {WITHIN}"
    return found


@dataclass(kw_only=True)
class Started:
    """One run, and what its history says."""

    handle: WorkflowHandle[Any, Any]
    agents: Agents
    client: Client | None = None
    environment: WorkflowEnvironment | None = None

    @property
    def id(self) -> str:
        return self.handle.id

    async def result(self, *, skip: bool = False) -> Any:
        """Return the decoded result; `skip` lets the server's clock jump over timers."""
        with self._clock(skip=skip):
            async with asyncio.timeout(WITHIN.total_seconds()):
                return self.agents.codec.decode(await self.handle.result())

    async def texts(self, *, skip: bool = False) -> list[str]:
        """Return the text of every message of the result."""
        output = await self.result(skip=skip)
        return [message.text for message in output["messages"]]

    async def failure(self, *, skip: bool = False) -> ApplicationError:
        """Return why the run failed: it, and not its task, must have."""
        try:
            output = await self.result(skip=skip)
        except WorkflowFailureError as error:
            cause = error.cause
        else:
            raise AssertionError(f"the run did not fail, it returned {output!r}")
        assert isinstance(cause, ApplicationError), repr(cause)
        assert await self.status() == WorkflowExecutionStatus.FAILED
        assert await self.events("WORKFLOW_TASK_FAILED") == []
        return cause

    def _clock(self, *, skip: bool) -> AbstractContextManager[None]:
        if skip or self.environment is None:
            return nullcontext()
        return self.environment.auto_time_skipping_disabled()

    async def status(self) -> WorkflowExecutionStatus | None:
        return (await self.handle.describe()).status

    async def query(self, name: str) -> Any:
        """Ask the run; a task in progress may make the server drop a query, so ask again."""

        async def look() -> list[Any] | None:
            try:
                return [await self.handle.query(name, rpc_timeout=timedelta(seconds=3))]
            except (RPCError, WorkflowQueryFailedError):
                return None

        return (await eventually(look, what=f"an answer to {name!r}"))[0]

    async def questions(self, count: int = 1) -> list[dict[str, Any]]:
        """Wait until so many questions are open."""

        async def look() -> list[dict[str, Any]] | None:
            found = await self.query("questions")
            return found if len(found) == count else None

        return await eventually(look, what=f"{count} open questions")

    async def question(self) -> dict[str, Any]:
        return (await self.questions())[0]

    async def decide(self, decision: Any) -> Any:
        return await self.handle.execute_update(
            DECIDE_UPDATE, decision, rpc_timeout=timedelta(seconds=10)
        )

    async def refused(self, decision: Any) -> ApplicationError:
        """Send a decision that must be refused; return the reason."""
        try:
            taken = await self.decide(decision)
        except WorkflowUpdateFailedError as error:
            reason = error.cause
        else:
            raise AssertionError(f"the decision was taken: {taken!r}")
        assert isinstance(reason, ApplicationError)
        return reason

    async def signal(self, decision: Any) -> None:
        await self.handle.signal(DECIDE_SIGNAL, decision)

    async def histories(self) -> list[WorkflowHistory]:
        """Fetch the history of every execution of the run, oldest first."""
        found: list[WorkflowHistory] = []
        wanted = self.handle.first_execution_run_id or ""
        if self.client is None or not wanted:
            return [await self.handle.fetch_history()]
        while wanted:
            handle = self.client.get_workflow_handle(self.id, run_id=wanted)
            found.append(await handle.fetch_history())
            end = found[-1].events[-1]
            wanted = end.workflow_execution_continued_as_new_event_attributes.new_execution_run_id
        return found

    async def events(self, *kinds: str) -> list[HistoryEvent]:
        """List the events of the history, of some kinds or of all."""
        wanted = {EventType.Value(f"EVENT_TYPE_{kind}") for kind in kinds}
        history = await self.handle.fetch_history()
        return [e for e in history.events if not wanted or e.event_type in wanted]

    async def calls(self) -> list["Call"]:
        """List the activities that were scheduled, in order."""
        scheduled = await self.events("ACTIVITY_TASK_SCHEDULED")
        return [Call(event=event) for event in scheduled]

    async def got(self, kind: str) -> list[Any]:
        """Return what the calls of one kind really got, with nothing left to refer to."""
        read = read_calls(await self.histories(), decode=decoder(DataConverter.default))
        return [call.input for call in read if call.activity == kind]

    async def timers(self) -> list[tuple[str, timedelta]]:
        """List the timers that were started: summary and length."""
        return [
            (
                summary(event),
                event.timer_started_event_attributes.start_to_fire_timeout.ToTimedelta(),
            )
            for event in await self.events("TIMER_STARTED")
        ]


@dataclass(frozen=True, kw_only=True)
class Call:
    """One scheduled activity."""

    event: HistoryEvent

    @property
    def at(self) -> Any:
        return self.event.activity_task_scheduled_event_attributes

    @property
    def kind(self) -> str:
        return self.at.activity_type.name

    @property
    def summary(self) -> str:
        return summary(self.event)

    @property
    def input(self) -> Any:
        return json.loads(self.at.input.payloads[0].data)

    @property
    def task(self) -> int:
        """The workflow task that scheduled it."""
        return self.at.workflow_task_completed_event_id


def is_failed_task(event: HistoryEvent) -> bool:
    """Tell whether a workflow task failed.

    A reset looks so, and what the server gives again because something came that the task, which
    was to end the execution, had not seen.
    """
    cause = event.workflow_task_failed_event_attributes.cause
    fine = (
        WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW,
        WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND,
    )
    return event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED and cause not in fine


def summary(event: HistoryEvent) -> str:
    data = event.user_metadata.summary.data
    return json.loads(data) if data else ""


@dataclass(kw_only=True)
class Runs:
    """What a running worker can be asked to do."""

    client: Client
    agents: Agents
    queue: str
    worker: Worker
    environment: WorkflowEnvironment | None
    started: list[Started] = field(default_factory=list)

    async def start(self, agent: str, input: Any = None, **more: Any) -> Started:
        """Start a run of an agent."""
        start = {"agent": agent, "input": HELLO if input is None else input, **more}
        return await self.start_raw(start)

    async def start_raw(
        self, *arguments: Any, workflow: Any = AGENT_WORKFLOW, **options: Any
    ) -> Started:
        """Start a workflow with any arguments."""
        handle = await self.client.start_workflow(
            workflow,
            args=arguments,
            id=options.pop("id", f"run-{uuid4().hex[:12]}"),
            task_queue=self.queue,
            **options,
        )
        run = Started(
            handle=handle, agents=self.agents, client=self.client, environment=self.environment
        )
        self.started.append(run)
        return run


@dataclass(kw_only=True)
class Lab:
    """A server, and how many runs its workers keep in memory."""

    client: Client
    cache: int
    environment: WorkflowEnvironment | None = None
    """The time-skipping server; None on the dev server, whose clock is the real one."""

    @asynccontextmanager
    async def worker(
        self,
        agents: Agents,
        *,
        workflows: Sequence[type] = (),
        queue: str | None = None,
        **plugin: Any,
    ) -> AsyncGenerator[Runs]:
        """Run a worker; afterwards replay every run that was started on it."""
        queue = queue or f"queue-{uuid4().hex[:12]}"
        worker = Worker(
            self.client,
            task_queue=queue,
            workflows=list(workflows),
            plugins=[Plugin(agents, **plugin)],
            max_cached_workflows=self.cache,
        )
        runs = Runs(
            client=self.client,
            agents=agents,
            queue=queue,
            worker=worker,
            environment=self.environment,
        )
        async with worker:
            yield runs
            for run in runs.started:
                await self._check(run, workflows)

    async def pass_time(self, time: timedelta) -> None:
        """Let the time-skipping server's clock jump ahead; timers on the way fire."""
        assert self.environment is not None
        await self.environment.sleep(time)

    async def _check(self, run: Started, workflows: Sequence[type]) -> None:
        # On the time-skipping server no test may end with a call under way: the clock of the
        # server then stands still for good, and every later test that skips time times out.
        if await run.status() == WorkflowExecutionStatus.RUNNING:
            await run.handle.terminate("the test is over")
        for history in await run.histories():
            assert [e for e in history.events if is_failed_task(e)] == []
            await assert_replays(run.agents, history, workflows=list(workflows))
