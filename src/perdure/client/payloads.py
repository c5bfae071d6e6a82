"""Read the values in a history, whatever codec wrote them."""

from collections.abc import Callable, Iterable
from typing import TypeAlias, cast

import temporalio.client
from google.protobuf.message import Message
from temporalio.api.common.v1 import Payload
from temporalio.converter import DataConverter, WorkflowSerializationContext

from perdure.core.jsons import Json, Raw
from perdure.core.wire import PAYLOAD_LIMIT

Decode: TypeAlias = Callable[[Payload], Raw]


def decoder(converter: DataConverter) -> Decode:
    """Return what reads one payload as JSON; what cannot be read is shown as a note."""

    def decode(payload: Payload) -> Raw:
        try:
            return converter.payload_converter.from_payloads([payload])[0]
        except Exception as error:  # noqa: BLE001 - a time line is shown even if a part is unreadable
            encoding = payload.metadata.get("encoding", b"").decode("ascii", "replace")
            key = payload.metadata.get("key", b"").decode("ascii", "replace")
            why = f", key {key!r}" if key else ""
            return f"(unreadable: {encoding or type(error).__name__}{why})"

    return decode


def for_run(client: temporalio.client.Client, run_id: str) -> DataConverter:
    """Return the converter of a client, for the payloads of one run: keys may depend on it."""
    return client.data_converter.with_context(
        WorkflowSerializationContext(namespace=client.namespace, workflow_id=run_id)
    )


def largest(converter: DataConverter) -> int:
    """Return the bytes of the largest value that a client's converter carries."""
    return int(getattr(converter.payload_codec, "largest", PAYLOAD_LIMIT))


def seal_of(converter: DataConverter) -> bytes:
    """Return the secret that the digests in histories are keyed with; empty without keys."""
    return cast("bytes", getattr(converter.payload_codec, "seal", b""))


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
    held = [payload for message in messages for payload in payloads_in(message)]
    for payload in held:
        try:
            plain = await codec.decode([payload])
        except Exception:  # noqa: BLE001, S112 - e.g. a search attribute, which is never encoded
            continue
        if len(plain) == 1:
            payload.CopyFrom(plain[0])


def payloads_in(message: Message) -> Iterable[Payload]:
    """Find every payload in a message of Temporal's, wherever it stands."""
    if isinstance(message, Payload):
        yield message
        return
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        if isinstance(value, Message):
            yield from payloads_in(value)
        elif hasattr(value, "values"):
            if isinstance(next(iter(value.values()), None), Message):
                yield from (p for item in value.values() for p in payloads_in(item))
        else:
            yield from (p for item in value for p in payloads_in(item))
