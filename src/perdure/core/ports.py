"""What one room needs of another, as Protocols; `worker/` plugs the real things in."""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from perdure.core.ahead import Durability
from perdure.core.declared import Table
from perdure.core.frames import Frame
from perdure.core.jsons import Json, JsonObject, Raw


class Memo(Protocol):
    """What knows the messages that were written or read before."""

    def find(self, message: Raw) -> JsonObject | None:
        """Return what a message was written as; None if it must be written."""
        ...

    def keep(self, message: Raw, body: JsonObject) -> JsonObject:
        """Take what a message was written as; returns what stands for it."""
        ...

    def made(self, message: Raw, body: JsonObject) -> None:
        """Take a message that was read, and what it was read from."""
        ...


class Codec(Protocol):
    """Turn the values of LangChain and LangGraph into JSON and back, by a closed tag table."""

    def encode(self, value: object, *, what: str, memo: "Memo | None" = None) -> Json:
        """Write a value as JSON; `what` names it in the error, `memo` what was written before.

        Raises:
            Unserializable: Some part of it has no JSON form.
        """
        ...

    def decode(self, data: Json, *, memo: "Memo | None" = None) -> object:
        """Read a value back; `memo` is told what each message was made of.

        Raises:
            Unserializable: A tag or a type name is not in the table.
        """
        ...

    @property
    def largest(self) -> int:
        """Bytes of one value that can be carried to another process."""
        ...

    def size(self, data: Json) -> int:
        """Count the bytes that a JSON value takes on the wire."""
        ...


@dataclass(frozen=True, kw_only=True)
class BlobInfo:
    """What a blob store knows of one blob without reading it."""

    name: str
    size: int
    """The bytes of the value."""
    changed: datetime
    """When it was last put or asked for, in UTC."""


class BlobStore(Protocol):
    """Where large values rest, by name, outside of the history.

    A name is the digest of the content: 16 to 128 of `0-9 a-z A-Z _ -`. So equal values are
    stored once, and a blob is never changed.

    Every method raises `StorageUnavailable` when the store does not answer in time, is full or
    cannot be written to, and `BadOption` for a name that is no digest.
    """

    async def put(self, name: str, data: bytes) -> None:
        """Store a value; a reader sees all of it or none. A second time nothing changes."""
        ...

    async def get(self, name: str) -> bytes:
        """Read a value.

        Raises:
            BlobMissing: The store has no blob of that name.
            BlobBroken: Its bytes are not those that were put.
        """
        ...

    async def has(self, name: str) -> bool:
        """Whether the store has it; if so it counts as just put, so that `gc` leaves it alone."""
        ...

    async def delete(self, name: str, *, unless_since: datetime | None = None) -> bool:
        """Remove a value if it is there; with `unless_since`, if nobody asked for it since then.

        Returns whether it was removed.
        """
        ...

    def list(self) -> AsyncIterator[BlobInfo]:
        """Name every blob, in any order."""
        ...

    async def close(self) -> None:
        """Let go of connections; the store is not used afterwards."""
        ...


class Host(Protocol):
    """What the worker process lends to the workflow code that runs in it."""

    @property
    def codec(self) -> Codec:
        """The codec of this worker."""
        ...

    @property
    def largest(self) -> int:
        """Bytes of one value that this worker can carry, in the history or beside it."""
        ...

    @property
    def seal(self) -> bytes:
        """What keys the digests of values; empty without encryption, the same after a rotation."""
        ...

    @property
    def fuse(self) -> bool:
        """Whether the worker that gets a reply calls its quick tools at once."""
        ...

    @property
    def bridge(self) -> bool:
        """Whether sync code of a run may wait for models and tools, on greenlets."""
        ...

    def durability(self, agent: str) -> Durability:
        """Return how an agent's runs record their calls, where a run says nothing."""
        ...

    def publish(self, frame: Frame) -> None:
        """Send a frame to the worker's sink, if there is one; never waits, never raises."""
        ...

    @property
    def remembers(self) -> bool:
        """Whether a store is configured, so that every graph is given it."""
        ...

    @property
    def declared(self) -> Table:
        """The models and tools that this worker knows."""
        ...

    @property
    def found(self) -> object:
        """Plain models and tools that runs intercept (`perdure.workflow.found.Found`), or None."""
        ...

    def graph(self, name: str) -> object:
        """Return the compiled graph of an agent, shared by all runs.

        Raises:
            UnknownAgent: No agent of that name.
        """
        ...


Notify = Callable[[str, Mapping[str, Json]], None]
"""Tell an observer about a call; called on the worker, inside the activity."""
