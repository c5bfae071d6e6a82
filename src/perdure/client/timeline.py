"""The time line of a run, as values: what was called, asked, decided, and how it ended."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from perdure.client.failures import Failure
from perdure.client.records import iso
from perdure.core.jsons import Json, JsonObject
from perdure.core.wire import Status

Kind = Literal["model", "tool", "node", "agent", "activity"]
Outcome = Literal["waiting", "running", "ok", "failed", "timed_out", "cancelled"]


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call of a model, a tool or a node: one activity with all its attempts; or a sub-agent."""

    kind: Kind
    name: str
    summary: str
    args: Json = None
    """The tool's arguments."""
    call_id: str | None = None
    key: str | None = None
    """The idempotency key of an effect."""
    attempts: int = 0
    outcome: Outcome = "waiting"
    failure: Failure | None = None
    """Why it ended without a result."""
    earlier: Failure | None = None
    """Why the attempt before the last one failed."""
    scheduled: datetime
    started: datetime | None = None
    """Start of the last attempt."""
    closed: datetime | None = None
    next_attempt: datetime | None = None
    worker: str = ""
    input_tokens: int | None = None
    output_tokens: int | None = None
    result: Json = None
    run: str | None = None
    """The child run of a sub-agent."""
    asked: int | None = None
    """Of a model: the attempt that asked it, if a later one went on with the reply."""
    quick: bool = False
    """Whether it took one event of the run's own step, not an activity of the server's."""

    @property
    def seconds(self) -> float | None:
        """How long it took from being asked for to its end, all attempts included."""
        return None if self.closed is None else (self.closed - self.scheduled).total_seconds()

    def to_json(self) -> JsonObject:
        """Write the call as JSON; a result of a model is left out."""
        return {
            "type": "call",
            "kind": self.kind,
            "name": self.name,
            "summary": self.summary,
            "args": self.args,
            "call_id": self.call_id,
            "key": self.key,
            "attempts": self.attempts,
            "outcome": self.outcome,
            "failure": _json(self.failure),
            "earlier_failure": _json(self.earlier),
            "scheduled": self.scheduled.isoformat(),
            "started": iso(self.started),
            "closed": iso(self.closed),
            "next_attempt": iso(self.next_attempt),
            "seconds": self.seconds,
            "worker": self.worker,
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "result": self.result if self.kind in ("tool", "agent") else None,
            **({} if self.run is None else {"run": self.run}),
            **({"quick": True} if self.quick else {}),
        }


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One question to a person, and what became of it."""

    title: str
    asked_at: datetime
    deadline: datetime | None = None
    question: str | None = None
    """Its id; known once it is decided, or when the run was asked."""
    action: str | None = None
    digest: str | None = None
    outcome: Literal["waiting", "decided", "expired", "withdrawn"] = "waiting"
    reminders: tuple[datetime, ...] = ()
    decision: Mapping[str, Json] | None = None
    decided_at: datetime | None = None
    via: Literal["update", "signal", "deadline"] | None = None

    @property
    def at(self) -> datetime:
        """When it was asked."""
        return self.asked_at

    def to_json(self) -> JsonObject:
        """Write the question as JSON."""
        return {
            "type": "question",
            "title": self.title,
            "question": self.question,
            "action": self.action,
            "digest": self.digest,
            "outcome": self.outcome,
            "asked_at": self.asked_at.isoformat(),
            "deadline": iso(self.deadline),
            "reminders": [moment.isoformat() for moment in self.reminders],
            "decision": None if self.decision is None else dict(self.decision),
            "decided_at": iso(self.decided_at),
            "via": self.via,
        }


@dataclass(frozen=True, kw_only=True)
class Happening:
    """Something that is no call and no question, e.g. a lost worker."""

    at: datetime
    what: Literal["worker_lost", "worker_changed", "task_failed", "cancel_requested", "continued"]
    text: str

    def to_json(self) -> JsonObject:
        """Write the happening as JSON."""
        return {"type": self.what, "at": self.at.isoformat(), "text": self.text}


Entry = Call | Asked | Happening


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """All that a run's history tells, in the order in which it began."""

    run_id: str
    agent: str
    status: Status
    input: Json = None
    thread: str | None = None
    forked_from: str | None = None
    """The run that this one goes on from; itself, if it was rewound."""
    from_step: int | None = None
    """The step of that run after which it begins."""
    tenant: str | None = None
    options: Json = None
    started: datetime | None = None
    closed: datetime | None = None
    entries: tuple[Entry, ...] = ()
    result: Json = None
    failure: Failure | None = None
    workers: tuple[str, ...] = ()
    """Identities of the workers that ran the workflow, in order of appearance."""
    events: int = 0
    history_bytes: int = 0
    executions: int = 1
    """Above 1 if the run went on in new executions."""
    whole: bool = True
    """False if earlier executions are not told: dropped by the server, or too many."""
    tokens: Mapping[str, int] = field(default_factory=dict[str, int])

    @property
    def calls(self) -> tuple[Call, ...]:
        """The calls alone."""
        return tuple(entry for entry in self.entries if isinstance(entry, Call))

    @property
    def questions(self) -> tuple[Asked, ...]:
        """The questions alone."""
        return tuple(entry for entry in self.entries if isinstance(entry, Asked))

    @property
    def model_calls(self) -> int:
        """How many model calls the run asked for."""
        return sum(call.kind == "model" for call in self.calls)

    @property
    def tool_calls(self) -> int:
        """How many tool calls the run asked for."""
        return sum(call.kind == "tool" for call in self.calls)

    @property
    def repeated_model_calls(self) -> int:
        """How many model calls were made again after an attempt had failed or was lost."""
        models = [call for call in self.calls if call.kind == "model"]
        return sum(max((call.asked or call.attempts) - 1, 0) for call in models)

    @property
    def seconds(self) -> float | None:
        """How long the run took; None while it runs."""
        if self.closed is None or self.started is None:
            return None
        return (self.closed - self.started).total_seconds()

    def to_json(self) -> JsonObject:
        """Write the time line as JSON."""
        return {
            "run_id": self.run_id,
            "agent": self.agent,
            "status": self.status,
            "tenant": self.tenant,
            "options": self.options,
            "started": iso(self.started),
            "closed": iso(self.closed),
            "seconds": self.seconds,
            "input": self.input,
            "thread": self.thread,
            "forked_from": self.forked_from,
            "from_step": self.from_step,
            "result": self.result,
            "failure": _json(self.failure),
            "entries": [entry.to_json() for entry in self.entries],
            "model_calls": self.model_calls,
            "tool_calls": self.tool_calls,
            "repeated_model_calls": self.repeated_model_calls,
            "tokens": dict[str, Json](self.tokens),
            "workers": list[Json](self.workers),
            "events": self.events,
            "history_bytes": self.history_bytes,
            "executions": self.executions,
            "whole": self.whole,
        }


def began(entry: Entry) -> datetime:
    """Return when an entry began."""
    return entry.scheduled if isinstance(entry, Call) else entry.at


def _json(failure: Failure | None) -> JsonObject | None:
    return None if failure is None else failure.to_json()
