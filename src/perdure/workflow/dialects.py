"""Read what a graph asks with `interrupt()`, and write the answer in the form it expects.

Five forms are understood: Perdure's own (`perdure.ask`), the two of LangChain's human-in-the-loop
middleware (all calls of a turn at once, or each by itself), Agent Inbox's, and any free-form value.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
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
    """One interrupt, read: its questions, and how the answer must look."""

    questions: tuple[Question, ...]
    form: str
    schema: JsonObject | None = None
    """What edited arguments must fit, if the interrupt says so."""

    @property
    def question(self) -> Question:
        """The only question, or the first of several."""
        return self.questions[0]

    def answer(self, *decisions: Decision) -> Json:
        """Write the decisions, in the order of the questions, as what the interrupt returns."""
        pairs = list(zip(self.questions, decisions, strict=True))
        if self.form == "langchain":
            return {"decisions": [_langchain(q, d) for q, d in pairs]}
        if self.form == "inbox":
            return [_inbox(q, d) for q, d in pairs]
        ((question, decision),) = pairs
        if self.form == "perdure":
            return decision.to_json()
        if self.form == "call":
            return _langchain(question, decision)
        if decision.type == "respond":
            return decision.value if decision.value is not None else decision.message
        return decision.to_json()


def read_interrupt(
    value: Raw, *, id: str, now: datetime, node: str | None = None, schema: Raw = None
) -> Asked:
    """Read the value of an interrupt. Never fails: what is not understood is free-form.

    Several requests in one interrupt are as many questions; they have its id with a number.
    `schema` is the interrupt's `response_schema`.
    """
    about = _About(id=id, now=now, node=node)
    if isinstance(value, Mapping | list | tuple):
        data = cast("Raw", value)
        for read, form in _FORMS:
            try:
                questions = read(data, about)
            except Exception:  # noqa: BLE001, S112 - a value of another shape is free-form
                continue
            if form != "call":
                return Asked(questions=questions, form=form)
            allowed, fitting = _terms(schema)
            question = replace(questions[0], allowed=allowed or CHOICES)
            return Asked(questions=(question,), form=form, schema=fitting)
    return read_free(value, id=id, now=now, node=node)


def read_free(value: Raw, *, id: str, now: datetime, node: str | None = None) -> Asked:
    """Read the value of an interrupt as a question that any answer fits."""
    return Asked(questions=(_free(value, _About(id=id, now=now, node=node)),), form="free")


@dataclass(frozen=True, kw_only=True)
class _About:
    """What every question of an interrupt shares."""

    id: str
    now: datetime
    node: str | None

    def ask(self, number: int, count: int, **parts: Raw) -> Question:
        """Make one of so many questions about the call of a tool."""
        return Question(
            id=self.id if count == 1 else f"{self.id}.{number}",
            title=f"tool: {parts['action']}",
            asked_at=self.now,
            deadline=self.now + FREE_WITHIN,
            on_deadline="reject",
            node=self.node,
            **parts,
        )


def _own(data: Mapping[str, Raw], about: _About) -> tuple[Question, ...]:
    action, args = data.get("action"), data.get("args")
    terms = Approve(
        within=timedelta(seconds=_or(data.get("within"), 86400.0)),
        allowed=tuple(_list(data.get("allowed"))) or CHOICES,
        on_deadline=_or(data.get("on_deadline"), "expire"),
        reminders=tuple(timedelta(seconds=s) for s in _list(data.get("reminders"))),
        approvers=tuple(_list(data.get("approvers"))),
    )
    question = Question(
        id=about.id,
        title=_text(data[MARK]),
        action=None if action is None else _text(action),
        args=None if args is None else as_object(plain(args), what="args"),
        text=_text(_or(data.get("text"), "")),
        allowed=terms.allowed,
        asked_at=about.now,
        deadline=about.now + terms.within,
        on_deadline=terms.on_deadline,
        reminders=terms.reminders,
        approvers=terms.approvers,
        node=about.node,
    )
    return (question,)


def _batched(data: Mapping[str, Raw], about: _About) -> tuple[Question, ...]:
    """Read what LangChain's middleware asks: one request for each call of the turn."""
    requests = _list(data["action_requests"])
    configs = _list(data.get("review_configs"))
    named = {c.get("action_name"): c for c in configs if c.get("action_name")}
    questions: list[Question] = []
    for number, request in enumerate(requests, 1):
        name = _text(request["name"])
        config = named.get(name)
        if config is None:
            config = cast("Raw", configs[number - 1] if number <= len(configs) else {})
        question = about.ask(
            number,
            len(requests),
            action=name,
            args=as_object(plain(request.get("args") or {}), what="args"),
            text=_text(_or(request.get("description"), "")),
            allowed=_choices(config.get("allowed_decisions")) or CHOICES,
        )
        questions.append(question)
    return _some(questions)


def _per_call(data: Mapping[str, Raw], about: _About) -> tuple[Question, ...]:
    """Read what LangChain's middleware asks for one call; its schema says what is allowed."""
    if data["type"] != "tool_approval":
        raise ValueError(data["type"])
    question = about.ask(
        1,
        1,
        action=_text(data["name"]),
        args=as_object(plain(data.get("args") or {}), what="args"),
        text=_text(_or(data.get("description"), "")),
    )
    return (question,)


def _from_inbox(data: Raw, about: _About) -> tuple[Question, ...]:
    """Read the requests of Agent Inbox: a list of them, or one."""
    requests = _list(data) if isinstance(data, list | tuple) else [data]
    questions: list[Question] = []
    for number, one in enumerate(cast("list[Mapping[str, Raw]]", requests), 1):
        request, config = one["action_request"], one["config"]
        question = about.ask(
            number,
            len(requests),
            action=_text(request["action"]),
            args=as_object(plain(request.get("args") or {}), what="args"),
            text=_text(_or(one.get("description"), "")),
            allowed=tuple(choice for flag, choice in _FLAGS if config.get(flag)) or CHOICES,
        )
        questions.append(question)
    return _some(questions)


def _some(questions: list[Question]) -> tuple[Question, ...]:
    if not questions:
        raise ValueError("no request")
    return tuple(questions)


def _choices(named: Raw) -> tuple[Choice, ...]:
    listed = _list(named)
    return tuple(choice for choice in CHOICES if choice in listed)


def _terms(schema: Raw) -> tuple[tuple[Choice, ...], JsonObject | None]:
    """Find in the schema of an answer which decisions it allows, and what an edit must fit."""
    if not isinstance(schema, dict):
        return (), None
    whole = cast("JsonObject", schema)
    branches = cast("list[Raw]", whole.get("oneOf") or whole.get("anyOf") or [whole])
    known: dict[str, JsonObject] = {}
    for branch in branches:
        parts = _resolve(branch, whole)
        properties = cast("dict[str, Raw]", parts.get("properties") or {})
        known[str(properties["type"].get("const"))] = parts
    edit = known.get("edit")
    if edit is None:
        return _choices(list(known)), None
    action = _resolve(cast("Raw", edit)["properties"]["edited_action"], whole)
    args = _resolve(cast("Raw", action)["properties"]["args"], whole)
    # References among its own parts still point into the whole.
    return _choices(list(known)), {**args, "$defs": whole.get("$defs", {})}


def _resolve(part: Raw, whole: JsonObject) -> JsonObject:
    name = part.get("$ref")
    if not isinstance(name, str):
        return cast("JsonObject", part)
    return cast("Raw", whole["$defs"])[name.rpartition("/")[2]]


def _free(value: Raw, about: _About) -> Question:
    try:
        words = value if isinstance(value, str) else repr(value)
    except Exception:  # noqa: BLE001 - the app's own __repr__ is no reason to stop a run
        words = f"a {type(value).__name__}"
    return Question(
        id=about.id,
        title=shorten(words),
        text=words,
        allowed=("respond",),
        asked_at=about.now,
        deadline=about.now + FREE_WITHIN,
        on_deadline="fail",
        node=about.node,
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


def _inbox(question: Question, decision: Decision) -> JsonObject:
    if decision.type == "edit":
        edited: JsonObject = {"action": question.action, "args": dict(decision.args or {})}
        return {"type": "edit", "args": edited}
    if decision.type == "respond":
        said = decision.value if decision.value is not None else decision.message
        return {"type": "response", "args": said if isinstance(said, str) else str(said)}
    return {"type": "accept" if decision.type == "approve" else "ignore", "args": None}


_FLAGS: tuple[tuple[str, Choice], ...] = (
    ("allow_accept", "approve"),
    ("allow_edit", "edit"),
    ("allow_respond", "respond"),
    ("allow_ignore", "reject"),
)
_FORMS: tuple[tuple[Callable[[Raw, _About], tuple[Question, ...]], str], ...] = (
    (_own, "perdure"),
    (_batched, "langchain"),
    (_per_call, "call"),
    (_from_inbox, "inbox"),
)
