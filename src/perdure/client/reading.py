"""Read a time line from a run's history. Pure: no clock, no server."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import cast

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.enums.v1 import (
    EventType,
    PendingActivityState,
    TimeoutType,
    WorkflowTaskFailedCause,
)
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionResponse
from temporalio.client import WorkflowHistory

from perdure.client.aheadreading import calls_ahead
from perdure.client.asked import AskedReader
from perdure.client.book import Book
from perdure.client.failures import Failure, read_failure
from perdure.client.kinship import ChildReader
from perdure.client.payloads import Decode, first, payloads_in
from perdure.client.quickreading import QuickReader
from perdure.client.timeline import Call, Happening, Kind, Outcome, Timeline, began
from perdure.core.continuing import unpack
from perdure.core.jsons import Json, JsonObject, Raw
from perdure.core.names import AHEAD_ACTIVITY, MODEL_ACTIVITY, NODE_ACTIVITY, TOOL_ACTIVITY
from perdure.core.wire import Status, usage_of

_BRINGING = frozenset(
    {
        EventType.EVENT_TYPE_MARKER_RECORDED,
        EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED,
        EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_COMPLETED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED,
    }
)
"""Events whose values calls may refer to, beside the calls themselves."""
_KINDS: dict[str, Kind] = {MODEL_ACTIVITY: "model", TOOL_ACTIVITY: "tool", NODE_ACTIVITY: "node"}

_OVERTAKEN = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND


def read_timeline(
    histories: Sequence[WorkflowHistory],
    *,
    decode: Decode,
    description: DescribeWorkflowExecutionResponse | None = None,
    seal: bytes = b"",
) -> Timeline:
    """Read the executions of one run, oldest first.

    `description` adds what a history does not hold: attempts of calls that go on right now.
    """
    reader = _Reader(decode=decode, book=Book(seal=seal))
    for history in histories:
        reader.read(history)
    if description is not None:
        for pending in description.pending_activities:
            reader.pending(pending)
    line = reader.timeline(histories[-1].workflow_id)
    if line.status == "running" and any(q.outcome == "waiting" for q in line.questions):
        line = replace(line, status="waiting")
    return replace(line, executions=max(reader.executions, len(histories)), whole=reader.whole)


@dataclass
class _Reader:
    decode: Decode
    book: Book
    calls: dict[tuple[int, int], Call] = field(default_factory=dict[tuple[int, int], Call])
    happenings: list[Happening] = field(default_factory=list[Happening])
    workers: list[str] = field(default_factory=list[str])
    last_worker: str = ""
    status: Status = "running"
    start: JsonObject = field(default_factory=dict[str, Json])
    started: datetime | None = None
    closed: datetime | None = None
    result: Json = None
    failure: Failure | None = None
    events: int = 0
    size: int = 0
    part: int = -1
    executions: int = 1
    whole: bool = True
    continued: bool = False
    """The history that was read before ends where another execution goes on."""
    ids: dict[str, tuple[int, int]] = field(default_factory=dict[str, tuple[int, int]])
    ahead: list[Call] = field(default_factory=list[Call])
    tried: dict[tuple[int, int], int] = field(default_factory=dict[tuple[int, int], int])
    """Attempts that were made before a call became an activity."""

    def __post_init__(self) -> None:
        self.asked = AskedReader(decode=self.decode)
        self.children = ChildReader(decode=self.decode)
        self.quick = QuickReader(decode=self.decode)

    def read(self, history: WorkflowHistory) -> None:
        self.part += 1
        self.ids = {}
        self._chain(history)
        for event in history.events:
            self.events += 1
            self.size += event.ByteSize()
            self._start(event)
            self._activity(event)
            self._worker(event)
            self._end(event)
            self.asked.read(event)
            self.children.read(event, self.part)
            self.quick.read(event, self.part)
            if event.event_type in _BRINGING:
                for payload in payloads_in(event):
                    self.book.learn(self.decode(payload))

    def _chain(self, history: WorkflowHistory) -> None:
        """Note where in the chain of executions a history stands."""
        if not history.events:
            return
        start = history.events[0].workflow_execution_started_event_attributes
        if bool(start.continued_execution_run_id) != self.continued:
            self.whole = False
        end = history.events[-1].event_type
        self.continued = end == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW
        if start.continued_execution_run_id and start.input.payloads:
            argument = first(start.input.payloads, self.decode)
            carry = argument.get("carry") if isinstance(argument, dict) else None
            told = carry.get("executions") if isinstance(carry, dict) else None
            self.executions = told + 1 if isinstance(told, int) else self.part + 1

    def timeline(self, run_id: str) -> Timeline:
        if self.status != "running":
            self.asked.close()
            self.children.close()
            self._leave_behind()
        calls = [
            *self.calls.values(),
            *self.quick.calls.values(),
            *self.ahead,
            *self.children.calls.values(),
        ]
        entries = [*calls, *self.happenings, *self.asked.entries()]
        held = self.start.get("seed")
        seed = held if isinstance(held, dict) else {}
        step = seed.get("step")
        return Timeline(
            run_id=run_id,
            agent=str(self.start.get("agent") or ""),
            status=self.status,
            input=self.start.get("input"),
            thread=_told(self.start.get("thread")),
            forked_from=_told(seed.get("from")),
            from_step=step if isinstance(step, int) else None,
            tenant=_told(self.start.get("tenant")),
            options=self.start.get("options"),
            started=self.started,
            closed=self.closed,
            entries=tuple(sorted(entries, key=began)),
            result=self.result,
            failure=self.failure,
            workers=tuple(dict.fromkeys(self.workers)),
            events=self.events,
            history_bytes=self.size,
            tokens={
                "input_tokens": sum(call.input_tokens or 0 for call in calls),
                "output_tokens": sum(call.output_tokens or 0 for call in calls),
            },
        )

    def _leave_behind(self) -> None:
        """Close the calls that the run did not wait for any more."""
        for key, call in self.calls.items():
            if call.closed is None:
                failure = Failure(code="cancelled", message="the run ended before it")
                self.calls[key] = replace(call, outcome="cancelled", failure=failure)

    def _start(self, event: HistoryEvent) -> None:
        if event.event_type != EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED:
            return
        held = event.workflow_execution_started_event_attributes
        argument = first(held.input.payloads, self.decode)
        carry = argument.get("carry") if isinstance(argument, dict) else None
        self.book.learn(argument if carry is None else unpack(carry))
        if self.started is None:
            self.started = moment(event.event_time)
            self.start = argument if isinstance(argument, dict) else {"input": argument}

    def _activity(self, event: HistoryEvent) -> None:
        at = moment(event.event_time)
        match event.event_type:
            case EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
                self._scheduled(event, at)
            case EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
                begun = event.activity_task_started_event_attributes
                key = (self.part, begun.scheduled_event_id)
                call = self.calls[key]
                failed = begun.last_failure if begun.HasField("last_failure") else None
                self.calls[key] = replace(
                    call,
                    attempts=begun.attempt + self.tried.get(key, 0),
                    started=at,
                    worker=begun.identity,
                    outcome="running",
                    earlier=call.earlier if failed is None else read_failure(failed, self.decode),
                )
            case EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
                done = event.activity_task_completed_event_attributes
                result = first(done.result.payloads, self.decode)
                self.book.learn(result)
                self._close(done.scheduled_event_id, at, "ok", result=result)
            case EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED:
                lost = event.activity_task_failed_event_attributes
                failure = read_failure(lost.failure, self.decode)
                self._close(lost.scheduled_event_id, at, "failed", failure=failure)
            case EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT:
                late = event.activity_task_timed_out_event_attributes
                failure = read_failure(late.failure, self.decode)
                self._close(late.scheduled_event_id, at, "timed_out", failure=failure)
            case EventType.EVENT_TYPE_ACTIVITY_TASK_CANCELED:
                gone = event.activity_task_canceled_event_attributes
                failure = Failure(code="cancelled", message="cancelled")
                self._close(gone.scheduled_event_id, at, "cancelled", failure=failure)
            case _:
                pass

    def _scheduled(self, event: HistoryEvent, at: datetime) -> None:
        asked = event.activity_task_scheduled_event_attributes
        kind = _KINDS.get(asked.activity_type.name, "activity")
        argument = first(asked.input.payloads, self.decode)
        data = cast("dict[str, Raw]", argument if isinstance(argument, dict) else {})
        data = cast("dict[str, Raw]", self.book.take(data, shown=("args",)))
        path = data.get("path") or [data.get("name")]
        name = "/".join(map(str, path)) if kind == "node" else data.get(kind)
        self.ids[asked.activity_id] = key = (self.part, event.event_id)
        before = self.quick.calls.pop((self.part, str(data.get("tried"))), None)
        if before is not None:
            self.tried[key] = before.attempts
        self.calls[key] = Call(
            kind=kind,
            name=str(name or asked.activity_type.name),
            summary=self._summary(event) or asked.activity_type.name,
            args=data.get("args") if kind == "tool" else None,
            call_id=data.get("call_id"),
            key=data.get("key"),
            scheduled=at if before is None else before.scheduled,
            attempts=0 if before is None else before.attempts,
            earlier=None if before is None else before.failure,
        )

    def _close(
        self,
        scheduled: int,
        at: datetime,
        outcome: Outcome,
        *,
        result: Json = None,
        failure: Failure | None = None,
    ) -> None:
        call = self.calls[self.part, scheduled]
        self.quick.fused((self.part, scheduled), call, result, at)
        inward, outward = _usage(result) if call.kind == "model" else (None, None)
        self.calls[self.part, scheduled] = replace(
            call,
            closed=at,
            outcome=outcome,
            result=result,
            failure=failure,
            input_tokens=inward,
            output_tokens=outward,
            asked=_asked(result) if call.kind == "model" else None,
        )
        if call.name == AHEAD_ACTIVITY and outcome == "ok":
            for one in calls_ahead(self.calls[self.part, scheduled], result):
                inward, outward = _usage(one.result) if one.kind == "model" else (None, None)
                self.ahead.append(replace(one, input_tokens=inward, output_tokens=outward))

    def pending(self, info: PendingActivityInfo) -> None:
        key = self.ids.get(info.activity_id)
        if key is None or self.calls[key].closed is not None:
            return
        failed = info.last_failure if info.HasField("last_failure") else None
        runs = info.state == PendingActivityState.PENDING_ACTIVITY_STATE_STARTED
        later = info.HasField("next_attempt_schedule_time") and not runs
        self.calls[key] = replace(
            self.calls[key],
            attempts=(info.attempt if runs else info.attempt - 1) + self.tried.get(key, 0),
            outcome="running" if runs else "waiting",
            started=moment(info.last_started_time) if info.HasField("last_started_time") else None,
            worker=info.last_worker_identity,
            earlier=self.calls[key].earlier
            if failed is None
            else read_failure(failed, self.decode),
            next_attempt=moment(info.next_attempt_schedule_time) if later else None,
        )

    def _worker(self, event: HistoryEvent) -> None:
        at = moment(event.event_time)
        match event.event_type:
            case EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED:
                identity = event.workflow_task_started_event_attributes.identity
                if self.last_worker and identity != self.last_worker:
                    self._note(at, "worker_changed", f"worker {identity} took over")
                self.last_worker = identity
                self.workers.append(identity)
            case EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT:
                kind = event.workflow_task_timed_out_event_attributes.timeout_type
                sticky = kind == TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_START
                who = self.last_worker or "the worker"
                how = "did not come back for it" if sticky else "did not finish its step"
                self._note(at, "worker_lost", f"{who} {how}; another worker goes on")
            case EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED:
                failed = event.workflow_task_failed_event_attributes
                if failed.cause == _OVERTAKEN:
                    return  # something came before its end; the server gives the task again
                failure = read_failure(failed.failure, self.decode)
                self._note(at, "task_failed", failure.words())
            case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED:
                reason = event.workflow_execution_cancel_requested_event_attributes.cause
                self._note(at, "cancel_requested", reason or "no reason given")
            case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW:
                self._note(at, "continued", "went on in a new execution")
            case _:
                pass

    def _note(self, at: datetime, what: Raw, text: str) -> None:
        self.happenings.append(Happening(at=at, what=what, text=text))

    def _end(self, event: HistoryEvent) -> None:
        match event.event_type:
            case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED:
                done = event.workflow_execution_completed_event_attributes
                self.status = "done"
                self.result = self.book.result(first(done.result.payloads, self.decode))
            case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED:
                failed = event.workflow_execution_failed_event_attributes
                self.status = "failed"
                self.failure = read_failure(failed.failure, self.decode)
            case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED:
                self.status = "cancelled"
                self.failure = Failure(code="cancelled", message="the run was cancelled")
            case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED:
                reason = event.workflow_execution_terminated_event_attributes.reason
                self.status = "terminated"
                self.failure = Failure(code="terminated", message=reason or "the run was killed")
            case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT:
                self.status = "timed_out"
                self.failure = Failure(code="timed_out", message="the run's own time limit")
            case _:
                return
        self.closed = moment(event.event_time)

    def _summary(self, event: HistoryEvent) -> str:
        if not event.user_metadata.HasField("summary"):
            return ""
        return str(self.decode(event.user_metadata.summary))


def _told(value: Json) -> str | None:
    return None if value is None else str(value)


def _asked(reply: Json) -> int | None:
    asked = reply.get("asked") if isinstance(reply, dict) else None
    return asked if isinstance(asked, int) else None


def _usage(reply: Json) -> tuple[int | None, int | None]:
    if not isinstance(reply, dict):
        return None, None
    usage = reply.get("usage") or usage_of(reply.get("message"))
    if not isinstance(usage, dict):
        return None, None
    inward, outward = usage.get("input_tokens"), usage.get("output_tokens")
    return (
        inward if isinstance(inward, int) else None,
        outward if isinstance(outward, int) else None,
    )


def moment(stamp: Timestamp) -> datetime:
    """Read a time of a history; always aware."""
    return stamp.ToDatetime(tzinfo=UTC)
