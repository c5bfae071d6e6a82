"""Write a time line as lines of text. Pure: values in, text out."""

from dataclasses import dataclass
from datetime import datetime

from perdure.cli.output import clean, one_line, span
from perdure.client.timeline import Asked, Call, Entry, Happening, Timeline, began
from perdure.core.jsons import JsonObject

_HAPPENINGS = {
    "worker_lost": "worker lost",
    "worker_changed": "worker changed",
    "task_failed": "step failed",
    "cancel_requested": "cancel asked for",
    "continued": "continued",
}
TITLES = ("time", "what", "tries", "took", "tokens", "outcome")


def rows(line: Timeline) -> list[list[str]]:
    """Return one row per entry, as `TITLES` names the columns."""
    return [
        [
            offset(began(entry), line.started),
            _what(entry),
            str(entry.attempts) if isinstance(entry, Call) else "",
            span(entry.seconds) if isinstance(entry, Call) else "",
            tokens(entry) if isinstance(entry, Call) else "",
            outcome(entry),
        ]
        for entry in line.entries
    ]


def _what(entry: Entry) -> str:
    if isinstance(entry, Call):
        return one_line(entry.summary)
    if isinstance(entry, Asked):
        return one_line(f"approval: {entry.title}")
    return _HAPPENINGS.get(entry.what, entry.what)


def offset(moment: datetime, start: datetime | None) -> str:
    """Write a time as the distance from the run's start."""
    return f"+{span((moment - start).total_seconds())}" if start is not None else ""


def tokens(call: Call) -> str:
    """Write a model call's tokens, in and out."""
    if call.input_tokens is None and call.output_tokens is None:
        return ""
    return f"{call.input_tokens or 0} in {call.output_tokens or 0} out"


def outcome(entry: Entry) -> str:
    """Tell in a few words what became of an entry."""
    if isinstance(entry, Happening):
        return one_line(entry.text, 200)
    if isinstance(entry, Asked):
        return _answer(entry)
    return _call_outcome(entry)


def _call_outcome(call: Call) -> str:
    earlier = f", before: {one_line(call.earlier.words(), 160)}" if call.earlier else ""
    if call.outcome == "ok":
        return f"ok{earlier}"
    if call.failure is not None:
        return f"{call.outcome}: {one_line(call.failure.words(), 200)}{earlier}"
    if call.outcome == "waiting" and call.next_attempt is not None:
        return f"tries again at {clock(call.next_attempt)}{earlier}"
    return f"{call.outcome}{earlier}"


def _answer(asked: Asked) -> str:
    reminded = f", reminded {len(asked.reminders)} times" if asked.reminders else ""
    if asked.outcome == "waiting":
        end = f" until {clock(asked.deadline)}" if asked.deadline else ""
        return f"waits for a person{end}{reminded}"
    if asked.outcome == "expired":
        return f"nobody decided in time{reminded}"
    if asked.outcome == "withdrawn" or asked.decision is None:
        return f"{asked.outcome}{reminded}"
    told = asked.decision.get("message")
    why = f": {one_line(str(told))}" if told else ""
    who = one_line(str(asked.decision.get("by")))
    return f"{asked.decision.get('type')} by {who}{why}{reminded}"


def clock(moment: datetime) -> str:
    """Write a time in the zone of this machine."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def headline(line: Timeline) -> str:
    """Describe a run in one line."""
    took = f" after {span(line.seconds)}" if line.closed else ""
    return f"{clean(line.run_id)}  agent {one_line(line.agent)}  {line.status}{took}"


def totals(line: Timeline) -> str:
    """Count what a run did, in one line."""
    again = f", {line.repeated_model_calls} made again" if line.repeated_model_calls else ""
    inward, out = line.tokens.get("input_tokens", 0), line.tokens.get("output_tokens", 0)
    return (
        f"{_count(line.model_calls, 'model call')}{again}, {_count(line.tool_calls, 'tool call')}, "
        f"{inward} tokens in, {out} out; {_count(line.events, 'event')}, "
        f"{line.history_bytes:,} bytes, {_count(len(line.workers), 'worker')}"
        + (f", {line.executions:,} executions" if line.executions > 1 else "")
    )


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


@dataclass(frozen=True, kw_only=True)
class Change:
    """Something new in a time line, for a person and for a program."""

    text: str
    data: JsonObject
    entry: int = -1
    """The number of the entry that it tells of."""


class Changes:
    """Tells what is new in a time line since it was last asked."""

    def __init__(self) -> None:
        self._said: dict[int, str] = {}
        self._status = ""

    def of(self, line: Timeline) -> list[Change]:
        """Return the entries that are new, or tell something else than before."""
        found = [
            Change(text=text, data=entry.to_json(), entry=number)
            for number, entry in enumerate(line.entries)
            if (text := self._news(number, entry, line)) is not None
        ]
        if line.status != self._status:
            self._status = line.status
            data: JsonObject = {"type": "status", "run_id": line.run_id, "status": line.status}
            if line.closed is not None:
                data["result"] = line.result
                data["failure"] = line.failure.to_json() if line.failure else None
            found.append(Change(text="", data=data))
        return found

    def _news(self, number: int, entry: Entry, line: Timeline) -> str | None:
        said = outcome(entry)
        if isinstance(entry, Call):
            said = f"{said} {entry.attempts}"
        key = hash((type(entry).__name__, began(entry), _what(entry), number))
        if self._said.get(key) == said:
            return None
        self._said[key] = said
        extra = ""
        if isinstance(entry, Call):
            tries = f"try {entry.attempts}" if entry.attempts > 1 else ""
            took = span(entry.seconds)
            extra = "  ".join(part for part in (tries, took, tokens(entry)) if part)
        parts = (offset(began(entry), line.started), _what(entry), outcome(entry), extra)
        return "  ".join(part for part in parts if part)
