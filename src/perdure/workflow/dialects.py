"""Read what a graph asks with `interrupt()`, and write the answer in the form it expects.

Three forms are understood: Perdure's own (`perdure.ask`), LangChain's human-in-the-loop
middleware with one request, and any free-form value.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

from perdure.core.approvals import CHOICES, Approve, Choice, Decision, OnDeadline, Question
from perdure.core.jsons import Json, JsonObject, Raw, as_object, plain, shorten

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
        for read, form in ((_own, "perdure"), (_batched, "langchain")):
            try:
                question = read(data, id=id, now=now, node=node)
            except Exception:  # noqa: BLE001, S112 - a value of another shape is free-form
                continue
            return Asked(question=question, form=form)
    return Asked(question=_free(value, id=id, now=now, node=node), form="free")


def _own(data: Mapping[str, Raw], *, id: str, now: datetime, node: str | None) -> Question:
    action, args = data.get("action"), data.get("args")
    terms = Approve(
        within=timedelta(seconds=_or(data.get("within"), 86400.0)),
        allowed=tuple(_list(data.get("allowed"))) or CHOICES,
        on_deadline=_or(data.get("on_deadline"), "expire"),
        reminders=tuple(timedelta(seconds=s) for s in _list(data.get("reminders"))),
        approvers=tuple(_list(data.get("approvers"))),
    )
    return Question(
        id=id,
        title=_text(data[MARK]),
        action=None if action is None else _text(action),
        args=None if args is None else as_object(plain(args), what="args"),
        text=_text(_or(data.get("text"), "")),
        allowed=terms.allowed,
        asked_at=now,
        deadline=now + terms.within,
        on_deadline=terms.on_deadline,
        reminders=terms.reminders,
        approvers=terms.approvers,
        node=node,
    )


def _batched(data: Mapping[str, Raw], *, id: str, now: datetime, node: str | None) -> Question:
    (request,) = _list(data["action_requests"])
    name = _text(request["name"])
    configs = _list(data.get("review_configs"))
    named = configs[0].get("allowed_decisions") if configs else None
    allowed: tuple[Choice, ...] = tuple(c for c in CHOICES if c in _list(named))
    return Question(
        id=id,
        title=f"tool: {name}",
        action=name,
        args=as_object(plain(request.get("args") or {}), what="args"),
        text=_text(_or(request.get("description"), "")),
        allowed=allowed or CHOICES,
        asked_at=now,
        deadline=now + FREE_WITHIN,
        on_deadline="reject",
        node=node,
    )


def _free(value: Raw, *, id: str, now: datetime, node: str | None) -> Question:
    try:
        words = value if isinstance(value, str) else repr(value)
    except Exception:  # noqa: BLE001 - the app's own __repr__ is no reason to stop a run
        words = f"a {type(value).__name__}"
    return Question(
        id=id,
        title=shorten(words),
        text=words,
        allowed=("respond",),
        asked_at=now,
        deadline=now + FREE_WITHIN,
        on_deadline="fail",
        node=node,
    )


def _or(value: Raw, default: Raw) -> Raw:
    return default if value is None else value


def _list(value: Raw) -> list[Raw]:
    if value is None:
        return []
    if isinstance(value, list | tuple):
        return list(cast("list[Raw]", value))
    raise TypeError(type(value).__name__)


def _text(value: Raw) -> str:
    if isinstance(value, str):
        return value
    raise TypeError(type(value).__name__)


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
