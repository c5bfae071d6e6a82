"""Find the questions to a person in a run's history, by their timers and decisions. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import cast

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent

from perdure.client.payloads import Decode, first
from perdure.client.timeline import Asked
from perdure.core.jsons import Json, Raw
from perdure.core.names import DECIDE_SIGNAL, DECIDE_UPDATE
from perdure.core.summaries import deadline_summary

_DEADLINE = "approval deadline: "
_REMINDER = "approval reminder "


@dataclass
class _Open:
    """A question whose timers are being followed."""

    asked: Asked
    timer: int | None = None
    """Event id of the timer that runs now."""
    last: bool = False
    """Whether that timer is the deadline's."""


@dataclass
class AskedReader:
    """Collects the questions of one history, event by event."""

    decode: Decode
    _open: list[_Open] = field(default_factory=list[_Open])
    _done: list[Asked] = field(default_factory=list[Asked])
    _updates: dict[str, Raw] = field(default_factory=dict[str, Raw])
    _signals: list[Mapping[str, Json]] = field(default_factory=list[Mapping[str, Json]])

    def read(self, event: HistoryEvent) -> None:
        """Take in one event."""
        at = event.event_time.ToDatetime(tzinfo=UTC)
        match event.event_type:
            case EventType.EVENT_TYPE_TIMER_STARTED:
                self._timer(event, at)
            case EventType.EVENT_TYPE_TIMER_FIRED:
                self._fired(event.timer_fired_event_attributes.started_event_id, at)
            case EventType.EVENT_TYPE_TIMER_CANCELED:
                self._cancelled(event.timer_canceled_event_attributes.started_event_id, at)
            case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED:
                held = event.workflow_execution_update_accepted_event_attributes
                if held.accepted_request.input.name == DECIDE_UPDATE:
                    self._updates[held.protocol_instance_id] = True
            case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_COMPLETED:
                self._decided(event, at)
            case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED:
                self._signalled(event, at)
            case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW:
                self._go_on()
            case _:
                pass

    def _go_on(self) -> None:
        """Forget the timers: the next execution has its own."""
        for held in self._open:
            held.timer = None

    def _signalled(self, event: HistoryEvent, at: datetime) -> None:
        held = event.workflow_execution_signaled_event_attributes
        decision = first(held.input.payloads, self.decode)
        if held.signal_name == DECIDE_SIGNAL and isinstance(decision, dict):
            self._signals.append({**decision, "at": at.isoformat()})

    def entries(self) -> list[Asked]:
        """Return the questions so far, decided and open."""
        return [*self._done, *(held.asked for held in self._open)]

    def close(self) -> None:
        """Say that the run has ended: what is open now will never be answered."""
        self._done += [replace(held.asked, outcome="withdrawn") for held in self._open]
        self._open = []

    def _timer(self, event: HistoryEvent, at: datetime) -> None:
        if not event.user_metadata.HasField("summary"):
            return
        summary = str(self.decode(event.user_metadata.summary))
        last = summary.startswith(_DEADLINE)
        if not last and not summary.startswith(_REMINDER):
            return
        title = summary.removeprefix(_DEADLINE) if last else summary.partition(": ")[2]
        span = event.timer_started_event_attributes.start_to_fire_timeout.ToTimedelta()
        held = next(
            (o for o in self._open if o.timer is None and _same(o.asked.title, title)), None
        )
        if held is None:
            held = _Open(asked=Asked(title=title, asked_at=at))
            self._open.append(held)
        held.timer, held.last = event.event_id, last
        if last:
            held.asked = replace(held.asked, deadline=at + span)

    def _fired(self, timer: int, at: datetime) -> None:
        held = self._by_timer(timer)
        if held is None:
            return
        held.timer = None
        if held.last:
            self._settle(
                held, replace(held.asked, outcome="expired", decided_at=at, via="deadline")
            )
        else:
            held.asked = replace(held.asked, reminders=(*held.asked.reminders, at))

    def _cancelled(self, timer: int, at: datetime) -> None:
        held = self._by_timer(timer)
        if held is None:
            return
        if self._signals:
            decision = self._signals.pop(0)
            asked = replace(
                held.asked, outcome="decided", decision=decision, decided_at=at, via="signal"
            )
            self._settle(held, asked)
        else:
            self._settle(held, replace(held.asked, outcome="withdrawn"))

    def _decided(self, event: HistoryEvent, at: datetime) -> None:
        held = event.workflow_execution_update_completed_event_attributes
        if held.meta.update_id not in self._updates or not held.outcome.HasField("success"):
            return
        ack = first(held.outcome.success.payloads, self.decode)
        if not isinstance(ack, dict):
            return
        title = str(ack.get("title") or "")
        asked_at = _time(ack.get("asked_at")) or at
        near = sorted(
            (o for o in self._open if _same(o.asked.title, title)),
            key=lambda o: abs((o.asked.asked_at - asked_at).total_seconds()),
        )
        opened = near[0] if near else _Open(asked=Asked(title=title, asked_at=asked_at))
        decision = ack.get("decision")
        asked = replace(
            opened.asked,
            title=title,
            asked_at=asked_at,
            question=_text(ack.get("question")),
            action=_text(ack.get("action")),
            digest=_text(ack.get("digest")),
            outcome="decided",
            decision=cast("Mapping[str, Json]", decision) if isinstance(decision, dict) else None,
            decided_at=at,
            via="update",
        )
        self._settle(opened, asked)

    def _by_timer(self, timer: int) -> _Open | None:
        return next((held for held in self._open if held.timer == timer), None)

    def _settle(self, held: _Open, asked: Asked) -> None:
        self._open = [other for other in self._open if other is not held]
        self._done.append(asked)


def _same(known: str, shown: str) -> bool:
    """Compare titles as timers show them, which may be shortened."""
    return deadline_summary(known) == deadline_summary(shown)


def _text(value: Json) -> str | None:
    return None if value is None else str(value)


def _time(value: Json) -> datetime | None:
    try:
        return datetime.fromisoformat(str(value))
    except ValueError:
        return None
