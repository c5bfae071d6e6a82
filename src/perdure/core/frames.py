"""What streams beside a run's history, and where it goes. Pure values; no I/O.

A frame is for readers who watch: losing one never changes a run. Those of the graph itself are
numbered in the order in which the graph makes them, so that a step that is executed again gives
the same numbers; those of a call are numbered per attempt.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, Protocol, cast, get_args

from perdure.core.jsons import Json, JsonObject, Raw, as_object, shorten
from perdure.errors import BadInput

FrameKind = Literal["begin", "chunk", "message", "reset", "end"]
FRAME_KINDS: tuple[FrameKind, ...] = get_args(FrameKind)


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One piece of a run's stream.

    - "begin": the first one of the graph itself.
    - "chunk": parts of a stream mode, as they came; `data` is `{"parts": [...]}`, and for
      messages also `{"metadata": ...}`, which belongs to each of them.
    - "message": a message as the run has it, or what a tool wrote to its stream as the run has
      it; it ends the chunks of its call.
    - "reset": an attempt of a call begins, and what earlier ones sent is void.
    - "end": of a call's attempt, or of the graph; nothing comes after it.
    """

    run: str
    """The workflow id."""
    execution: str
    """Temporal's id of the execution; a run that was rewound has several."""
    kind: FrameKind
    mode: str = ""
    ns: tuple[str, ...] = ()
    """The path of the sub-graph, as LangGraph tells it."""
    data: Json = None
    activity: str = ""
    """The activity's id; empty for what the graph itself sends."""
    call: str = ""
    """Which call of the run; repairs and attempts share it."""
    repair: int = 0
    attempt: int = 1
    seq: int = 0
    id: str = ""
    """Given by the sink: its place there. Empty until then."""

    @property
    def generation(self) -> tuple[int, int]:
        """Which try of its call it is from; a later one makes all earlier ones void."""
        return (self.repair, self.attempt)

    def to_json(self) -> JsonObject:
        """Write the frame as JSON, without the id."""
        data: JsonObject = {"run": self.run, "execution": self.execution, "kind": self.kind}
        for name in ("mode", "activity", "call", "repair", "attempt", "seq"):
            data[name] = getattr(self, name)
        data["ns"] = list(self.ns)
        data["data"] = self.data
        return data

    @classmethod
    def from_json(cls, raw: Raw, *, id: str) -> "Frame":
        """Read a frame.

        Raises:
            BadInput: A part is missing or has the wrong type.
        """
        data = as_object(raw, what="a frame")
        kind = data.get("kind")
        if kind not in FRAME_KINDS:
            raise BadInput(f"a frame of kind {shorten(repr(kind))}: not one of {FRAME_KINDS}")
        ns = data.get("ns")
        return cls(
            run=str(data.get("run")),
            execution=str(data.get("execution")),
            kind=kind,
            mode=str(data.get("mode") or ""),
            ns=tuple(str(part) for part in ns) if isinstance(ns, list) else (),
            data=data.get("data"),
            activity=str(data.get("activity") or ""),
            call=str(data.get("call") or ""),
            repair=_number(data, "repair", 0),
            attempt=_number(data, "attempt", 1),
            seq=_number(data, "seq", 0),
            id=id,
        )


def _number(data: Mapping[str, Json], name: str, otherwise: int) -> int:
    value = data.get(name, otherwise)
    if isinstance(value, bool) or not isinstance(value, int):
        raise BadInput(f"{name}={shorten(repr(value))} of a frame: must be a whole number")
    return value


class StreamSink(Protocol):
    """Where frames go, and where readers find them. Several processes may share one."""

    def open(self) -> None:
        """Make ready to publish; a worker does so when it starts, once or several times."""
        ...

    def publish(self, frame: Frame) -> None:
        """Take a frame; never waits and never raises. What cannot be kept is lost."""
        ...

    def flush(self, within: timedelta) -> bool:
        """Wait until what was published can be read; False if it took too long. Blocks."""
        ...

    def read(self, run: str, *, after: str | None = None, limit: int = 500) -> Sequence[Frame]:
        """Return the next frames of a run, oldest first; empty if there are none yet. Blocks.

        Raises:
            BadInput: `after` is no id that this sink gave.
            Unavailable: The sink cannot be read now.
        """
        ...

    def close(self) -> None:
        """Write what is under way, and let go of files."""
        ...


def can_be_live(part: object) -> bool:
    """Tell whether what a tool writes to its stream is told at once.

    The run tells it again, recorded, when the call has ended, and must know it by its identity:
    Python keeps one object for all equal small values.
    """
    return isinstance(part, dict | list) or (isinstance(part, str) and len(part) > 1)


@dataclass(frozen=True, kw_only=True)
class Live:
    """How an activity tells what it does while it does it; part of a call on the wire."""

    call: str
    ns: tuple[str, ...] = ()
    repair: int = 0
    metadata: Mapping[str, Json] | None = None
    """What LangGraph says about the node that called; goes with each chunk."""

    def to_json(self) -> JsonObject:
        """Write it as JSON; what equals its default is left out."""
        data: JsonObject = {"call": self.call}
        if self.ns:
            data["ns"] = list(self.ns)
        if self.repair:
            data["repair"] = self.repair
        if self.metadata:
            data["metadata"] = dict(self.metadata)
        return data

    @classmethod
    def from_json(cls, raw: Raw) -> "Live | None":
        """Read it; None stays None.

        Raises:
            BadInput: A part has the wrong type.
        """
        if raw is None:
            return None
        data = as_object(raw, what="the live part of a call")
        ns, metadata = data.get("ns"), data.get("metadata")
        return cls(
            call=str(data.get("call")),
            ns=tuple(str(part) for part in ns) if isinstance(ns, list) else (),
            repair=_number(data, "repair", 0),
            metadata=cast("dict[str, Json]", metadata) if isinstance(metadata, dict) else None,
        )
