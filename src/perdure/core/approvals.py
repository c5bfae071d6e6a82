"""Questions to a person and their answers, as a state machine without a clock."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hashlib import blake2b
from json import dumps
from typing import Literal, cast, get_args

from perdure.core.jsons import Json, JsonObject, Raw, as_object, shorten
from perdure.errors import (
    AlreadyDecided,
    BadDecision,
    BadInput,
    BadOption,
    NotAllowed,
    NothingWaiting,
)

Choice = Literal["approve", "edit", "reject", "respond"]
OnDeadline = Literal["expire", "reject", "fail"]
Verb = Literal["approve", "edit", "reject", "respond", "expire"]

CHOICES: tuple[Choice, ...] = get_args(Choice)
ON_DEADLINE: tuple[OnDeadline, ...] = get_args(OnDeadline)
LONGEST = timedelta(days=3650)
"""No question waits longer; it keeps every deadline a date that exists."""


@dataclass(frozen=True, kw_only=True)
class Approve:
    """Ask a person before a tool runs.

    `within` is how long the run waits, `on_deadline` what follows when nobody decides:
    "reject" tells the model so, "expire" does the same under its own name, "fail" ends the run.
    """

    within: timedelta = timedelta(hours=24)
    allowed: tuple[Choice, ...] = ("approve", "edit", "reject", "respond")
    on_deadline: OnDeadline = "reject"
    reminders: tuple[timedelta, ...] = ()
    approvers: tuple[str, ...] = ()
    """Who may decide; empty means anyone who can reach the run."""

    def __post_init__(self) -> None:
        check_terms(
            within=self.within,
            allowed=self.allowed,
            on_deadline=self.on_deadline,
            reminders=self.reminders,
            approvers=self.approvers,
        )


def check_terms(
    *, within: Raw, allowed: Raw, on_deadline: Raw, reminders: Raw, approvers: Raw
) -> None:
    """Refuse a question that nobody could answer.

    Raises:
        BadOption: No time, no allowed answer, an unknown one, or a reminder after the deadline;
            or a value of another type, such as one text where a tuple of them belongs.
    """
    if not isinstance(within, timedelta) or not timedelta(0) < within <= LONGEST:
        raise BadOption(
            f"within={within!r}: a person needs some time to answer, "
            f"as timedelta of at most {LONGEST.days} days"
        )
    if not _some(allowed) or any(choice not in CHOICES for choice in allowed):
        raise BadOption(f"allowed={allowed!r}: choose among {', '.join(CHOICES)}, in a tuple")
    if on_deadline not in ON_DEADLINE:
        raise BadOption(f"on_deadline={on_deadline!r}: must be one of {', '.join(ON_DEADLINE)}")
    if reminders and not _some(reminders):
        raise BadOption(f"reminders={reminders!r}: must be a tuple of timedelta")
    for moment in reminders or ():
        if not isinstance(moment, timedelta) or not timedelta(0) < moment < within:
            raise BadOption(f"reminder after {moment!r}: must lie between 0 and within={within!r}")
    # A lone text would be searched for parts of names: "a" is in "ann".
    if approvers and not (_some(approvers) and all(isinstance(who, str) for who in approvers)):
        raise BadOption(f"approvers={approvers!r}: must be a tuple of names, as in ('ann',)")


def _some(value: Raw) -> bool:
    return isinstance(value, tuple | list) and bool(cast("Raw", value))


@dataclass(frozen=True, kw_only=True)
class Question:
    """What a run asks a person, complete enough to decide on without the run's code."""

    id: str
    title: str
    asked_at: datetime
    deadline: datetime
    action: str | None = None
    """The tool or step that follows an approval; None for a free question."""
    args: Mapping[str, Json] | None = None
    text: str = ""
    """Markdown for the person who decides."""
    allowed: tuple[Choice, ...] = ("approve", "edit", "reject")
    on_deadline: OnDeadline = "expire"
    reminders: tuple[timedelta, ...] = ()
    approvers: tuple[str, ...] = ()
    node: str | None = None

    @property
    def digest(self) -> str:
        """Fingerprint of exactly what is being approved."""
        return digest_of({"action": self.action, "args": dict(self.args or {}), "text": self.text})

    def to_json(self) -> JsonObject:
        """Write the question as JSON, for queries, lists and histories."""
        return {
            "id": self.id,
            "title": self.title,
            "action": self.action,
            "args": dict(self.args) if self.args is not None else None,
            "text": self.text,
            "allowed": list(self.allowed),
            "asked_at": self.asked_at.isoformat(),
            "deadline": self.deadline.isoformat(),
            "on_deadline": self.on_deadline,
            "approvers": list(self.approvers),
            "node": self.node,
            "digest": self.digest,
        }


def question_from(raw: Raw) -> Question:
    """Read a question that `Question.to_json` wrote.

    Raises:
        BadInput: A part is missing or has the wrong type.
    """
    data = as_object(raw, what="a question")
    try:
        return Question(
            id=str(data["id"]),
            title=str(data["title"]),
            asked_at=datetime.fromisoformat(str(data["asked_at"])),
            deadline=datetime.fromisoformat(str(data["deadline"])),
            action=_text(data, "action"),
            args=None if data.get("args") is None else as_object(data["args"], what="args"),
            text=str(data.get("text") or ""),
            allowed=tuple(cast("list[Choice]", data["allowed"])),
            on_deadline=cast("OnDeadline", data["on_deadline"]),
            approvers=tuple(cast("list[str]", data.get("approvers") or [])),
            node=_text(data, "node"),
            reminders=tuple(
                timedelta(seconds=float(cast("float", one)))
                for one in cast("list[Json]", data.get("reminders") or [])
            ),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(f"a question cannot be read: {error!r}") from error


@dataclass(frozen=True, kw_only=True)
class Decision:
    """One answer: what was decided, by whom, and when the run recorded it."""

    type: Verb
    by: str = "unknown"
    args: Mapping[str, Json] | None = None
    """Edited arguments, complete; only with `edit`."""
    message: str | None = None
    """The reason of a rejection, or a remark."""
    value: Json = None
    """The answer itself; only with `respond`."""
    answered: bool = field(default=False, compare=False)
    """Whether `value` was given, so that None is an answer too."""
    at: datetime | None = None
    question: str | None = None
    """Id of the question; None means the only open one."""

    def to_json(self) -> JsonObject:
        """Write the decision as JSON; fields without a value are left out."""
        data: JsonObject = {"type": self.type, "by": self.by}
        if self.args is not None:
            data["args"] = dict(self.args)
        if self.message is not None:
            data["message"] = self.message
        if self.value is not None or self.answered:
            data["value"] = self.value
        if self.at is not None:
            data["at"] = self.at.isoformat()
        if self.question is not None:
            data["question"] = self.question
        return data


def digest_of(value: Json) -> str:
    """Fingerprint a JSON value, whatever the order of its keys."""
    text = dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


_FIELDS = {"type", "by", "args", "message", "value", "question", "at"}


def parse_decision(raw: Raw) -> Decision:
    """Read a decision from what a person's tool sent.

    Raises:
        BadDecision: The text says which part is wrong and what is expected.
    """
    if isinstance(raw, Decision):
        return raw
    if not isinstance(raw, Mapping):
        raise BadDecision(
            f"a decision must be an object like {{'type': 'approve', 'by': 'ann'}}, "
            f"got {shorten(repr(raw))}"
        )
    data = cast("Mapping[str, Json]", raw)
    if unknown := sorted(set(data) - _FIELDS, key=str):
        raise BadDecision(f"unknown field {unknown[0]!r}: known are {', '.join(sorted(_FIELDS))}")
    verb = data.get("type")
    if verb not in (*CHOICES, "expire"):
        raise BadDecision(f"type={shorten(repr(verb))}: must be one of {', '.join(CHOICES)}")
    args = data.get("args")
    if args is not None and not isinstance(args, dict):
        raise BadDecision(
            f"args={shorten(repr(args))}: must be an object with the edited arguments"
        )
    return Decision(
        type=verb,
        by=_text(data, "by") or "unknown",
        args=args,
        message=_text(data, "message"),
        value=data.get("value"),
        answered="value" in data,
        at=_time(data.get("at")),
        question=_text(data, "question"),
    )


def _text(data: Mapping[str, Json], name: str) -> str | None:
    value = data.get(name)
    if value is None or isinstance(value, str):
        return value
    raise BadDecision(f"{name}={shorten(repr(value))}: must be text")


def _time(value: Json) -> datetime | None:
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise BadDecision(
            f"at={shorten(repr(value))}: must be a time with its zone, like "
            "2026-01-31T12:00:00+00:00"
        )
    return moment


@dataclass(frozen=True)
class Docket:
    """The questions of one run, open and decided. A value: each step returns a new one."""

    open: tuple[Question, ...] = ()
    decided: tuple[tuple[Question, Decision], ...] = ()
    past: tuple[str, ...] = ()
    """Ids of questions whose decisions an earlier execution of the run has taken."""

    def distinct(self, question: Question) -> Question:
        """Return the question under an id that no other one of the run has.

        Models number their calls anew in every turn, and a node that interrupts twice does so
        under one id; a decision for one question must never be taken for another.
        """
        taken = {q.id for q in self.open} | {q.id for q, _ in self.decided} | {*self.past}
        name, number = question.id, 1
        while name in taken:
            number += 1
            name = f"{question.id}-{number}"
        return question if name == question.id else replace(question, id=name)

    def ask(self, question: Question) -> "Docket":
        """Add an open question; its id must be `distinct`."""
        return replace(self, open=(*self.open, question))

    def withdraw(self, question: Question) -> "Docket":
        """Take an open question back: what it asked about is no longer so."""
        return replace(self, open=tuple(q for q in self.open if q.id != question.id))

    def find(self, decision: Decision) -> Question:
        """Return the open question that a decision is for.

        Raises:
            NothingWaiting: No such question was ever asked, or none is open.
            AlreadyDecided: It was decided before; the text says by whom and how.
            BadDecision: Several are open and the decision names none.
        """
        wanted = decision.question
        if wanted is None:
            if len(self.open) == 1:
                return self.open[0]
            if self.open:
                ids = ", ".join(q.id for q in self.open)
                raise BadDecision(f"{len(self.open)} questions are open; name one of: {ids}")
            if self.decided:
                raise _already(*self.decided[-1])
            raise NothingWaiting("the run waits for nobody's decision right now")
        for question in self.open:
            if question.id == wanted:
                return question
        for question, earlier in self.decided:
            if question.id == wanted:
                raise _already(question, earlier)
        if wanted in self.past:
            raise AlreadyDecided(f"question {wanted!r} was decided long before")
        ids = ", ".join(q.id for q in self.open) or "none"
        raise NothingWaiting(f"no question {wanted!r} in this run; open: {ids}")

    def check(self, decision: Decision, *, now: datetime) -> Question:
        """Return the question if the decision may be taken now.

        Raises:
            Refused: One of its kinds; nothing changed, the question stays as it was.
        """
        question = self.find(decision)
        if decision.type == "expire":
            raise NotAllowed("'expire' is decided by the deadline alone")
        if now >= question.deadline:
            raise AlreadyDecided(
                f"too late: the deadline of {question.title!r} was {question.deadline.isoformat()}"
            )
        if decision.type not in question.allowed:
            raise NotAllowed(
                f"{decision.type!r} is not allowed for {question.title!r}: "
                f"choose {', '.join(question.allowed)}"
            )
        if question.approvers and decision.by not in question.approvers:
            raise NotAllowed(
                f"{decision.by!r} may not decide {question.title!r}: "
                f"only {', '.join(question.approvers)}"
            )
        _check_parts(question, decision)
        return question

    def settle(self, question: Question, decision: Decision) -> "Docket":
        """Move a question from open to decided."""
        rest = tuple(q for q in self.open if q.id != question.id)
        return replace(self, open=rest, decided=(*self.decided, (question, decision)))

    def shortened(self, most: int, *, ids: int) -> "Docket":
        """Return the docket with the newest decisions only, and so many ids of older ones."""
        older, decided = self.decided[:-most], self.decided[-most:]
        past = (*self.past, *(question.id for question, _ in older))
        return replace(self, decided=decided, past=past[-ids:])


def _already(question: Question, earlier: Decision) -> AlreadyDecided:
    who = "the deadline" if earlier.type == "expire" else repr(earlier.by)
    when = f" at {earlier.at.isoformat(timespec='seconds')}" if earlier.at else ""
    return AlreadyDecided(f"{question.title!r} was decided before: {earlier.type} by {who}{when}")


def _check_parts(question: Question, decision: Decision) -> None:
    if decision.type == "edit":
        if decision.args is None:
            raise BadDecision("an edit needs 'args' with the edited arguments")
        known = set(question.args or {})
        if known and (unknown := sorted(set(decision.args) - known, key=str)):
            raise BadDecision(
                f"edited argument {unknown[0]!r} is not one of {', '.join(sorted(known))}"
            )
    elif decision.args is not None:
        raise BadDecision(f"'args' goes with an edit, not with {decision.type!r}")
    given = decision.answered or decision.value is not None or decision.message is not None
    if decision.type == "respond" and not given:
        raise BadDecision("a response needs 'value' or 'message'")
