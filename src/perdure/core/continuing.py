"""When a run goes on in a new execution, and what it takes along. Pure.

Temporal keeps the whole history of an execution and takes no more than 51,200 events or 50 MiB.
Before that a run begins a new execution under its own id, with a `carry` as its argument.
"""

import base64
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from json import JSONDecodeError, dumps, loads
from typing import cast

from perdure.core.jsons import Json, JsonObject, Raw, as_object
from perdure.errors import BadInput

EVENTS = 8_000
"""Events after which an execution ends, if the server has not suggested it before."""
BYTES = 8 * 1024 * 1024
"""Bytes of history, in the same way."""
LAST_EVENTS = 50_000
LAST_BYTES = 48 * 1024 * 1024
"""A run that could not go on in a new execution fails here, before the server ends it."""
VERSION = 1
"""Of the carry. A worker that does not know a carry's version leaves the run to one that does."""
_PACKED = "zlib"


@dataclass(frozen=True, kw_only=True)
class Continues:
    """How long one execution of a run may become before the run goes on in a new one.

    Recorded with the run: a history without it never continues, and replays as it is.
    """

    events: int = EVENTS
    bytes: int = BYTES

    def to_json(self) -> JsonObject:
        """Write the limits as JSON, with the defaults of this version."""
        return {"events": self.events, "bytes": self.bytes}


def continues_from(raw: Raw) -> Continues | None:
    """Read the limits of a run; None means that it does not continue.

    Raises:
        BadInput: A limit is no whole number above 0.
    """
    if raw is None:
        return None
    data = as_object(raw, what="continues")
    for name in ("events", "bytes"):
        value = data.get(name, 1)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise BadInput(f"continues.{name}={value!r}: must be a whole number above 0")
    given = {name: cast("int", data[name]) for name in ("events", "bytes") if name in data}
    return Continues(**given)


def pack(carry: JsonObject) -> JsonObject:
    """Write a carry compressed: for one that is too large as it is."""
    text = dumps(carry, separators=(",", ":")).encode("utf-8", "surrogatepass")
    packed = base64.b64encode(zlib.compress(text, 6)).decode()
    told = {name: carry.get(name) for name in ("version", "executions")}
    return {**told, _PACKED: packed}


def unpack(raw: Raw) -> JsonObject:
    """Read a carry, compressed or not.

    Raises:
        BadInput: It is none, or of a version that this worker does not know.
    """
    data = as_object(raw, what="the carry of a run")
    if data.get("version") != VERSION:
        raise BadInput(
            f"the carry of a run has version {data.get('version')!r}, this worker knows {VERSION}: "
            "a newer worker wrote it. Update this one"
        )
    held = data.get(_PACKED)
    if held is None:
        return data
    try:
        text = zlib.decompress(base64.b64decode(str(held)))
        return as_object(loads(text.decode("utf-8", "surrogatepass")), what="the carry of a run")
    except (ValueError, zlib.error, JSONDecodeError) as error:
        raise BadInput(f"the carry of a run cannot be read: {error}") from error


def part(data: Mapping[str, Json], name: str) -> JsonObject:
    """Return one part of a carry; empty if it is not there."""
    raw = data.get(name)
    return {} if raw is None else as_object(raw, what=f"carry.{name}")


def items(data: Mapping[str, Json], name: str) -> list[Raw]:
    """Return a list of a carry; empty if it is not there."""
    raw = data.get(name)
    if raw is None:
        return []
    if not isinstance(raw, list):
        raise BadInput(f"carry.{name} must be a list")
    return cast("list[Raw]", raw)
