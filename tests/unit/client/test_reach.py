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

    Of the parts of which a message can have only one, the last stays.
    """

    def __init__(self) -> None:
        self.names: list[str] = []

    def payload(self) -> Payload:
        self.names.append(f"{len(self.names):032x}")
        metadata = {"encoding": b"perdure/blob", "blob": self.names[-1].encode(), "size": b"9"}
        return Payload(metadata=metadata)

    def left_in(self, message: Message) -> list[str]:
        data = message.SerializeToString()
        return sorted(name for name in self.names if name.encode() in data)

    def fill(self, message: Message, depth: int = 0) -> None:
        for field in message.DESCRIPTOR.fields:
            if field.message_type is None or depth > DEEPEST or not holds(field.message_type):
                continue
            if field.message_type.GetOptions().map_entry:
                self.put(getattr(message, field.name)["key"], depth)
            elif field.is_repeated:
                self.put(getattr(message, field.name).add(), depth)
            else:
                self.put(getattr(message, field.name), depth)

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


@pytest.mark.parametrize("name", sorted(events()))
def test_every_payload_of_an_event_is_found(name):
    event, filler = HistoryEvent(), Filler()
    filler.put(getattr(event, name), 0)
    filler.put(event.user_metadata, 0)
    assert len(filler.left_in(event)) > 2
    assert sorted(blob_names(event)) == filler.left_in(event)


@pytest.mark.parametrize("kind", [DescribeWorkflowExecutionResponse, DescribeScheduleResponse])
def test_every_payload_of_a_description_is_found(kind):
    message, filler = kind(), Filler()
    filler.fill(message)
    assert len(filler.left_in(message)) > 5
    assert sorted(blob_names(message)) == filler.left_in(message)


def test_a_payload_that_rests_in_no_store_names_none():
    event = HistoryEvent()
    event.user_metadata.summary.CopyFrom(Payload(metadata={"encoding": b"json/plain"}, data=b"1"))
    assert list(blob_names(event)) == []
