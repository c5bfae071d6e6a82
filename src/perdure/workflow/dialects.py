"""Read what a graph asks with `interrupt()`, and write the answer in the form it expects.

Three forms are understood: Perdure's own (`perdure.ask`), LangChain's human-in-the-loop
middleware with one request, and any free-form value.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

from perdure.core.approvals import CHOICES, Choice, Decision, OnDeadline, Question
from perdure.core.jsons import Json, JsonObject, Raw, shorten

MARK = "perdure_question"
FREE_WITHIN = timedelta(hours=24)
"""How long a plain `interrupt()` is waited for; `perdure.ask` sets its own time."""


def question_value(
    *,
    title: str,
    action: str | None,
    args: Mapping[str, Json] | None,
    text: str,
    allowed: tuple[Choice, ...],
    within: timedelta,
    on_deadline: OnDeadline,
    reminders: tuple[timedelta, ...],
    approvers: tuple[str, ...],
) -> JsonObject:
    """Write a question as the value of an interrupt; durations are seconds."""
    return {
        MARK: title,
        "action": action,
        "args": dict(args) if args is not None else None,
        "text": text,
        "allowed": list(allowed),
        "within": within.total_seconds(),
        "on_deadline": on_deadline,
        "reminders": [moment.total_seconds() for moment in reminders],
        "approvers": list(approvers),
    }


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One interrupt, read: the question, and how its answer must look."""

    question: Question
    form: str

    def answer(self, decision: Decision) -> Json:
        """Write a decision as the value that the interrupt returns in the node."""
        if self.form == "perdure":
            return decision.to_json()
        if self.form == "langchain":
            return {"decisions": [_langchain(self.question, decision)]}
        if decision.type == "respond":
            return decision.value if decision.value is not None else decision.message
        return decision.to_json()


def read_interrupt(value: Raw, *, id: str, now: datetime, node: str | None = None) -> Asked:
    """Read the value of an interrupt. Never fails: what is not understood is free-form."""
    if isinstance(value, Mapping):
        data: Mapping[str, Raw] = cast("Raw", value)
        if MARK in data:
            return Asked(question=_own(data, id=id, now=now, node=node), form="perdure")
        requests = cast("Raw", data.get("action_requests"))
        if isinstance(requests, list) and len(cast("Raw", requests)) == 1:
            return Asked(question=_batched(data, id=id, now=now, node=node), form="langchain")
    question = Question(
        id=id,
        title=shorten(value if isinstance(value, str) else repr(value)),
        text=value if isinstance(value, str) else "",
        allowed=("respond",),
        asked_at=now,
        deadline=now + FREE_WITHIN,
        on_deadline="fail",
        node=node,
    )
    return Asked(question=question, form="free")


def _own(data: Mapping[str, Raw], *, id: str, now: datetime, node: str | None) -> Question:
    return Question(
        id=id,
        title=str(data[MARK]),
        action=data.get("action"),
        args=data.get("args"),
        text=str(data.get("text") or ""),
        allowed=tuple(cast("list[Choice]", data.get("allowed") or list(CHOICES))),
        asked_at=now,
        deadline=now + timedelta(seconds=float(data.get("within") or 86400.0)),
        on_deadline=data.get("on_deadline") or "expire",
        reminders=tuple(
            timedelta(seconds=float(s)) for s in cast("list[float]", data.get("reminders") or [])
        ),
        approvers=tuple(cast("list[str]", data.get("approvers") or [])),
        node=node,
    )


def _batched(data: Mapping[str, Raw], *, id: str, now: datetime, node: str | None) -> Question:
    request = cast("Mapping[str, Raw]", data["action_requests"][0])
    configs = cast("list[Mapping[str, Raw]]", data.get("review_configs") or [{}])
    allowed = tuple(c for c in configs[0].get("allowed_decisions") or CHOICES if c in CHOICES)
    name = str(request.get("name"))
    return Question(
        id=id,
        title=f"tool: {name}",
        action=name,
        args=request.get("args"),
        text=str(request.get("description") or ""),
        allowed=cast("tuple[Choice, ...]", allowed),
        asked_at=now,
        deadline=now + FREE_WITHIN,
        on_deadline="reject",
        node=node,
    )


def _langchain(question: Question, decision: Decision) -> JsonObject:
    if decision.type == "edit":
        return {
            "type": "edit",
            "edited_action": {"name": question.action, "args": dict(decision.args or {})},
        }
    if decision.type == "respond":
        said = decision.value if decision.value is not None else decision.message
        return {"type": "respond", "message": said if isinstance(said, str) else str(said)}
    if decision.type == "approve":
        return {"type": "approve"}
    return {"type": "reject", "message": decision.message or f"rejected by {decision.by}"}
