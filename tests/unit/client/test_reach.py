"""Names of blobs are found wherever a payload may stand."""

from collections.abc import Iterator

import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from temporalio.api.common.v1 import Payload
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflowservice.v1 import (
    DescribeScheduleResponse,
    DescribeWorkflowExecutionResponse,
)

from perdure.client.reach import blob_names

DEEPEST = 9


class Filler:
    """Fills every place for a payload in a message, each with a name of its own.

    Where a message can have only one of several parts, `choice` says which.
    """

    def __init__(self, choice: int) -> None:
        self.choice = choice
        self.names: list[str] = []

    def payload(self) -> Payload:
        self.names.append(f"{len(self.names):032x}")
        metadata = {"encoding": b"perdure/blob", "blob": self.names[-1].encode(), "size": b"9"}
        return Payload(metadata=metadata)

    def fill(self, message: Message, depth: int = 0) -> None:
        for field in message.DESCRIPTOR.fields:
            if depth > DEEPEST or not self.is_wanted(field):
                continue
            if field.message_type.GetOptions().map_entry:
                self.put(getattr(message, field.name)["key"], depth)
            elif field.is_repeated:
                self.put(getattr(message, field.name).add(), depth)
            else:
                self.put(getattr(message, field.name), depth)

    def is_wanted(self, field: FieldDescriptor) -> bool:
        if field.message_type is None or not holds(field.message_type):
            return False
        if field.containing_oneof is None:
            return True
        parts = [f for f in field.containing_oneof.fields if f.message_type is not None]
        parts = [f.name for f in parts if holds(f.message_type)]
        return field.name == parts[self.choice % len(parts)]

    def put(self, place: Message, depth: int) -> None:
        if isinstance(place, Payload):
            place.CopyFrom(self.payload())
        else:
            place.SetInParent()
            self.fill(place, depth + 1)


def holds(kind, seen: tuple[str, ...] = ()) -> bool:
    """Whether a payload may stand somewhere in such a message."""
    if kind.full_name == Payload.DESCRIPTOR.full_name:
        return True
    if kind.full_name in seen:
        return False
    inner = (f.message_type for f in kind.fields if f.message_type is not None)
    return any(holds(one, (*seen, kind.full_name)) for one in inner)


def events() -> Iterator[str]:
    for field in HistoryEvent.DESCRIPTOR.oneofs_by_name["attributes"].fields:
        if field.type == FieldDescriptor.TYPE_MESSAGE and holds(field.message_type):
            yield field.name


CHOICES = range(12)


@pytest.mark.parametrize("name", sorted(events()))
def test_every_payload_of_an_event_is_found(name):
    for choice in CHOICES:
        event, filler = HistoryEvent(), Filler(choice)
        filler.put(getattr(event, name), 0)
        filler.put(event.user_metadata, 0)
        assert len(filler.names) > 2
        assert sorted(blob_names(event)) == filler.names


@pytest.mark.parametrize("kind", [DescribeWorkflowExecutionResponse, DescribeScheduleResponse])
def test_every_payload_of_a_description_is_found(kind):
    for choice in CHOICES:
        message, filler = kind(), Filler(choice)
        filler.fill(message)
        assert len(filler.names) > 5
        assert sorted(blob_names(message)) == filler.names


def test_a_payload_that_rests_in_no_store_names_none():
    event = HistoryEvent()
    event.user_metadata.summary.CopyFrom(Payload(metadata={"encoding": b"json/plain"}, data=b"1"))
    assert list(blob_names(event)) == []
