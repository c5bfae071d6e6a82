"""What the calls of a run really got: their inputs, with what they refer to put back. Pure."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowHistory

from perdure.client.book import Book
from perdure.client.payloads import Decode, first, payloads_in
from perdure.core.jsons import Json, JsonObject

_SCHEDULED = EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED


@dataclass(frozen=True, kw_only=True)
class RawCall:
    """One call as its activity got it."""

    number: int
    """From 1, in the order in which the run made its calls."""
    activity: str
    event: int
    input: Json
    missing: tuple[str, ...] = ()
    """Digests that the history does not hold; they are references in `input` still."""

    def to_json(self) -> JsonObject:
        """Write the call as JSON."""
        data: JsonObject = {
            "number": self.number,
            "activity": self.activity,
            "event": self.event,
            "input": self.input,
        }
        if self.missing:
            data["missing"] = list(self.missing)
        return data


def read_calls(
    histories: Sequence[WorkflowHistory],
    *,
    decode: Decode,
    only: int | None = None,
    seal: bytes = b"",
) -> Generator[RawCall]:
    """Yield the calls of one run, whose executions come oldest first, or `only` one of them.

    Those that were not asked for are not put together.
    """
    book, number = Book(seal=seal), 0
    for history in histories:
        for event in history.events:
            if event.event_type != _SCHEDULED:
                for payload in payloads_in(event):
                    book.learn(decode(payload))
                continue
            number += 1
            call = _take(book, event, decode, number=number, wanted=only in (None, number))
            if call is not None:
                yield call
            if number == only:
                return


def _take(
    book: Book, event: HistoryEvent, decode: Decode, *, number: int, wanted: bool
) -> RawCall | None:
    asked = event.activity_task_scheduled_event_attributes
    given = first(asked.input.payloads, decode)
    if not isinstance(given, dict):
        book.learn(given)
        whole, missing = given, ()
    else:
        book.take(given)
        whole, missing = book.whole(given) if wanted else (None, ())
    if not wanted:
        return None
    kind = asked.activity_type.name
    return RawCall(number=number, activity=kind, event=event.event_id, input=whole, missing=missing)
