"""What the client tells about runs, as values."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import cast

from temporalio.client import WorkflowExecution, WorkflowExecutionStatus

from perdure.client.failures import Failure
from perdure.client.index import AGENT, STATUS, TENANT, WAITING
from perdure.core.jsons import Json, JsonObject, Raw
from perdure.core.wire import Status

CLOSED: Mapping[WorkflowExecutionStatus, Status] = {
    WorkflowExecutionStatus.COMPLETED: "done",
    WorkflowExecutionStatus.FAILED: "failed",
    WorkflowExecutionStatus.CANCELED: "cancelled",
    WorkflowExecutionStatus.TERMINATED: "terminated",
    WorkflowExecutionStatus.TIMED_OUT: "timed_out",
}


@dataclass(frozen=True, kw_only=True)
class RunSummary:
    """One line in the list of runs."""

    run_id: str
    agent: str
    status: Status
    started: datetime
    closed: datetime | None = None
    waiting: int | None = None
    """Open questions; None when only a query could tell."""
    tenant: str | None = None

    def to_json(self) -> JsonObject:
        """Write the summary as JSON."""
        return {
            "run_id": self.run_id,
            "agent": self.agent,
            "status": self.status,
            "started": self.started.isoformat(),
            "closed": iso(self.closed),
            "waiting": self.waiting,
            "tenant": self.tenant,
        }


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """One open question of one run."""

    run_id: str
    agent: str
    id: str
    title: str
    action: str | None
    args: Mapping[str, Json] | None
    text: str
    allowed: tuple[str, ...]
    asked_at: str
    deadline: str
    on_deadline: str
    approvers: tuple[str, ...]
    digest: str
    reminded: int
    complete: bool
    """False if only the index was read, which leaves out long arguments and texts."""

    def to_json(self) -> JsonObject:
        """Write the question as JSON."""
        return {
            "run_id": self.run_id,
            "agent": self.agent,
            "question": self.id,
            "title": self.title,
            "action": self.action,
            "args": None if self.args is None else dict(self.args),
            "text": self.text,
            "allowed": list(self.allowed),
            "asked_at": self.asked_at,
            "deadline": self.deadline,
            "on_deadline": self.on_deadline,
            "approvers": list(self.approvers),
            "digest": self.digest,
            "reminded": self.reminded,
            "complete": self.complete,
        }


@dataclass(frozen=True, kw_only=True)
class Unasked:
    """A run that could not be asked whether it waits for a person."""

    run_id: str
    agent: str
    reason: str

    def to_json(self) -> JsonObject:
        """Write the fact as JSON."""
        return {"run_id": self.run_id, "agent": self.agent, "reason": self.reason}


@dataclass(frozen=True, kw_only=True)
class Inbox:
    """Open questions, oldest first, and the runs that could not be asked."""

    questions: tuple[Waiting, ...] = ()
    unasked: tuple[Unasked, ...] = ()

    def to_json(self) -> JsonObject:
        """Write the inbox as JSON."""
        return {
            "questions": [question.to_json() for question in self.questions],
            "unasked": [run.to_json() for run in self.unasked],
        }


@dataclass(frozen=True, kw_only=True)
class RunStatus:
    """Where one run stands."""

    run_id: str
    agent: str
    status: Status
    started: datetime
    closed: datetime | None = None
    tenant: str | None = None
    task_queue: str = ""
    questions: tuple[Waiting, ...] = ()
    decisions: tuple[JsonObject, ...] = ()
    refused: tuple[str, ...] = ()
    model_calls: int | None = None
    """None when no worker could be asked, as the counts below."""
    tool_calls: int | None = None
    tokens: Mapping[str, Json] = field(default_factory=dict[str, Json])
    failure: Failure | None = None
    note: str = ""
    """Why something is missing here."""

    def to_json(self) -> JsonObject:
        """Write the status as JSON."""
        return {
            "run_id": self.run_id,
            "agent": self.agent,
            "status": self.status,
            "started": self.started.isoformat(),
            "closed": iso(self.closed),
            "tenant": self.tenant,
            "task_queue": self.task_queue,
            "questions": [question.to_json() for question in self.questions],
            "decisions": list[Json](self.decisions),
            "refused": list[Json](self.refused),
            "model_calls": self.model_calls,
            "tool_calls": self.tool_calls,
            "tokens": dict(self.tokens),
            "failure": None if self.failure is None else self.failure.to_json(),
            "note": self.note,
        }


def iso(moment: datetime | None) -> str | None:
    """Write a time, or None."""
    return None if moment is None else moment.isoformat()


def status_of(execution: WorkflowExecution) -> Status:
    """Read a run's status; "waiting" only if the run is indexed."""
    closed = CLOSED.get(execution.status or WorkflowExecutionStatus.RUNNING)
    if closed is not None:
        return closed
    return "waiting" if execution.typed_search_attributes.get(STATUS) == "waiting" else "running"


def summary_of(execution: WorkflowExecution, *, agent: str) -> RunSummary:
    """Read one line of the list; `agent` is what the memo says."""
    found = execution.typed_search_attributes
    status = status_of(execution)
    open_now = found.get(WAITING) if status in ("running", "waiting") else 0
    return RunSummary(
        run_id=execution.id,
        agent=found.get(AGENT) or agent or execution.workflow_type,
        status=status,
        started=execution.start_time,
        closed=execution.close_time,
        waiting=open_now,
        tenant=found.get(TENANT),
    )


def waiting_of(raw: Raw, *, run_id: str, agent: str) -> Waiting | None:
    """Read one open question as the run describes it; None if it is not one."""
    if not isinstance(raw, dict) or "id" not in raw:
        return None
    data = cast("Mapping[str, Raw]", raw)
    args = data.get("args")
    return Waiting(
        run_id=run_id,
        agent=agent,
        id=str(data["id"]),
        title=str(data.get("title") or ""),
        action=data.get("action"),
        args=cast("Mapping[str, Json]", args) if isinstance(args, dict) else None,
        text=str(data.get("text") or ""),
        allowed=tuple(data.get("allowed") or ()),
        asked_at=str(data.get("asked_at") or ""),
        deadline=str(data.get("deadline") or ""),
        on_deadline=str(data.get("on_deadline") or ""),
        approvers=tuple(data.get("approvers") or ()),
        digest=str(data.get("digest") or ""),
        reminded=int(data.get("reminded") or 0),
        complete="text" in data,
    )


def waitings_of(raw: Raw, *, run_id: str, agent: str) -> tuple[Waiting, ...]:
    """Read the open questions of a run."""
    items = cast("list[Raw]", raw) if isinstance(raw, list) else []
    read = (waiting_of(item, run_id=run_id, agent=agent) for item in items)
    return tuple(question for question in read if question is not None)


def with_answer(base: RunStatus, raw: Mapping[str, Raw]) -> RunStatus:
    """Complete a status with what the run itself says."""
    said = raw.get("status")
    return replace(
        base,
        agent=str(raw.get("agent") or base.agent),
        status="waiting" if said == "waiting" else base.status,
        questions=waitings_of(raw.get("questions"), run_id=base.run_id, agent=base.agent),
        decisions=tuple(raw.get("decisions") or ()),
        refused=tuple(raw.get("refused") or ()),
        model_calls=raw.get("model_calls"),
        tool_calls=raw.get("tool_calls"),
        tokens=raw.get("tokens") or {},
    )
