"""Running ahead: one activity goes on with a run's graph, and keeps what its calls brought.

The run itself then goes the same way, and takes the results by what was asked. Whatever it asks
that is not there is called the ordinary way, so a difference costs time and changes nothing.
"""

from collections.abc import Coroutine, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Literal, Protocol, cast

from perdure.core.declared import Declaration
from perdure.core.digests import digest_of_json
from perdure.core.jsons import Json, JsonObject, Raw, as_object
from perdure.core.pieces import Held, flatten, hold
from perdure.errors import BadOption

Durability = Literal["sync", "async", "exit"]
DURABILITIES: tuple[Durability, ...] = ("sync", "async", "exit")


def check_durability(value: Raw) -> Durability:
    """Return the word if it is one of LangGraph's three.

    Raises:
        BadOption: It is another.
    """
    if value not in DURABILITIES:
        raise BadOption(f"durability={value!r}: choose of {', '.join(DURABILITIES)}")
    return value


class Ahead(Protocol):
    """What the parts of a graph find where it runs ahead. Activity side."""

    @property
    def found(self) -> object:
        """Plain models and tools that are intercepted (`perdure.workflow.found.Found`)."""
        ...

    async def model(self, name: str, messages: Sequence[Raw], options: Mapping[str, Raw]) -> Raw:
        """Call a model, and keep its reply."""
        ...

    async def tool(self, entry: Declaration, args: Raw, call_id: str | None) -> Raw:
        """Call a quick tool, and keep its result; any other one is where running ahead ends."""
        ...

    async def halt(self) -> Raw:
        """Go no further here: what comes next is the run's own to do. Never returns."""
        ...

    def stop(self) -> None:
        """Go no further anywhere in the graph."""
        ...

    def wait(self, call: Coroutine[Raw, Raw, Raw]) -> Raw:
        """Wait for a call in sync code of the graph, on a thread of its own."""
        ...


class Beyond(RuntimeError):
    """Code of a graph wants what only its run may do. Never leaves where the graph runs ahead."""


AHEAD: ContextVar[Ahead | None] = ContextVar("perdure_ahead", default=None)
"""Set where a graph runs ahead of its run."""


@dataclass(frozen=True, kw_only=True)
class Kept:
    """The result of one call, and what was called."""

    key: str
    value: Json
    name: str = ""
    """The model or tool."""
    call_id: str | None = None

    def to_json(self) -> Json:
        """Write it as JSON."""
        return [self.key, self.value, self.name, self.call_id]


@dataclass(kw_only=True)
class Journal:
    """What running ahead brought: replies of models and results of tools, in their order."""

    models: list[Kept] = field(default_factory=list[Kept])
    tools: list[Kept] = field(default_factory=list[Kept])

    def to_json(self) -> JsonObject:
        """Write the journal as JSON."""
        return {
            "models": [kept.to_json() for kept in self.models],
            "tools": [kept.to_json() for kept in self.tools],
        }

    @classmethod
    def from_json(cls, raw: Raw) -> "Journal":
        """Read a journal.

        Raises:
            BadInput: It is no object.
        """
        data = as_object(raw, what="a journal")
        return cls(models=_read(data.get("models")), tools=_read(data.get("tools")))


def _read(raw: Json) -> list[Kept]:
    held = cast("list[list[Raw]]", raw or [])
    return [Kept(key=str(k), value=value, name=name, call_id=own) for k, value, name, own in held]


def model_key(model: str, messages: Json, options: Json, *, seal: bytes = b"") -> str:
    """Name a request to a model by all that it says, but for the ids of messages."""
    bodies = cast("list[JsonObject]", messages)
    said: list[Json] = [_held(body, seal).piece.digest for body in bodies]
    return digest_of_json([model, said, flatten(options, {}, seal=seal)], seal=seal)


def tool_key(tool: str, args: Json, call_id: str | None, *, seal: bytes = b"") -> str:
    """Name a call of a tool by what is called, with what, and by which call of a model."""
    return digest_of_json([tool, call_id, flatten(args, {}, seal=seal)], seal=seal)


def _held(body: JsonObject, seal: bytes) -> Held:
    return hold(body, seal=seal)


def end_here(what: str) -> None:
    """End running ahead, if that is what goes on here.

    Raises:
        Beyond: It does; the text names what the run has to do itself.
    """
    guide = AHEAD.get()
    if guide is not None:
        guide.stop()
        raise Beyond(f"{what} is the run's own to do")
