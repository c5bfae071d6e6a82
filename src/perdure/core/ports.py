"""What one room needs of another, as Protocols; `worker/` plugs the real things in."""

from collections.abc import Callable, Mapping
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

    def size(self, data: Json) -> int:
        """Count the bytes that a JSON value takes on the wire."""
        ...


class Host(Protocol):
    """What the worker process lends to the workflow code that runs in it."""

    @property
    def codec(self) -> Codec:
        """The codec of this worker."""
        ...

    @property
    def seal(self) -> bytes:
        """The secret that digests are keyed with; empty without encryption."""
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
