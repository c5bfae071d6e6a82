"""Read the values in a history, whatever codec wrote them."""

from collections.abc import Callable, Iterable
from typing import TypeAlias, cast

from google.protobuf.message import Message
from temporalio.api.common.v1 import Payload
from temporalio.converter import DataConverter

from perdure.core.jsons import Json, Raw

Decode: TypeAlias = Callable[[Payload], Raw]


def decoder(converter: DataConverter) -> Decode:
    """Return what reads one payload as JSON; what cannot be read is shown as a note."""

    def decode(payload: Payload) -> Raw:
        try:
            return converter.payload_converter.from_payloads([payload])[0]
        except Exception as error:  # noqa: BLE001 - a time line is shown even if a part is unreadable
            encoding = payload.metadata.get("encoding", b"").decode("ascii", "replace")
            return f"(unreadable: {encoding or type(error).__name__})"

    return decode


def first(payloads: Iterable[Payload], decode: Decode) -> Json:
    """Decode the first of several payloads; None if there is none."""
    for payload in payloads:
        return cast("Json", decode(payload))
    return None


async def uncover(converter: DataConverter, messages: Iterable[Message]) -> None:
    """Undo the payload codec (encryption, compression) of whole events, in place.

    What the codec cannot read stays as it is.
    """
    codec = converter.payload_codec
    if codec is None:
        return
    held = [payload for message in messages for payload in payloads_of(message)]
    for payload in held:
        try:
            plain = await codec.decode([payload])
        except Exception:  # noqa: BLE001, S112 - e.g. a search attribute, which is never encoded
            continue
        if len(plain) == 1:
            payload.CopyFrom(plain[0])


def payloads_of(message: Message) -> Iterable[Payload]:
    """Yield the values of an event, however deep."""
    if isinstance(message, Payload):
        yield message
        return
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        if isinstance(value, Message):
            yield from payloads_of(value)
        elif hasattr(value, "values"):
            if isinstance(next(iter(value.values()), None), Message):
                yield from (p for item in value.values() for p in payloads_of(item))
        else:
            yield from (p for item in value for p in payloads_of(item))
