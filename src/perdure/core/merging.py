"""Put the frames of a run together so that a reader never sees a text twice. Pure.

Frames come from several processes: late, doubled, from attempts that were given up, and some
never. What one reader was shown stays true: either the parts of the call's last try and nothing
else, or a `Reset` says that what was shown of the call is void.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from perdure.core.frames import Frame
from perdure.core.jsons import Json, JsonObject


@dataclass(frozen=True, kw_only=True)
class Part:
    """One part of a stream mode, as LangGraph's `stream` would give it, as JSON."""

    id: str
    """Go on after it: `client.stream(run_id, after=part.id)`."""
    mode: str
    data: Json
    """For messages a list of two: the message or chunk, and the metadata of its node."""
    ns: tuple[str, ...] = ()
    call: str = ""
    """Which call of the run it is from; a `Reset` names the same."""
    run: str = ""
    activity: str = ""
    """Temporal's id of the activity; empty for what the graph itself tells."""
    attempt: int = 1
    seq: int = 0
    """The number of its frame: per attempt of an activity, or of the graph."""

    @property
    def text(self) -> str:
        """The text of a message or a chunk; empty for anything else."""
        if self.mode != "messages" or not isinstance(self.data, list) or not self.data:
            return ""
        return text_of(self.data[0])

    def to_json(self) -> JsonObject:
        """Write the part as JSON."""
        return {
            "type": "part",
            "id": self.id,
            "mode": self.mode,
            "ns": list(self.ns),
            "call": self.call,
            "run": self.run,
            "activity": self.activity,
            "attempt": self.attempt,
            "seq": self.seq,
            "data": self.data,
        }


@dataclass(frozen=True, kw_only=True)
class Reset:
    """What was shown of a call is void: it is made again, or parts of it were lost."""

    id: str
    mode: str
    call: str
    ns: tuple[str, ...] = ()

    def to_json(self) -> JsonObject:
        """Write the reset as JSON."""
        return {
            "type": "reset",
            "id": self.id,
            "mode": self.mode,
            "ns": list(self.ns),
            "call": self.call,
        }


def text_of(message: Json) -> str:
    """Return the text of a message as the codec wrote it; blocks that are no text count not."""
    content = message.get("content") if isinstance(message, dict) else None
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    texts: list[str] = []
    for block in content:
        if isinstance(block, str):
            texts.append(block)
        elif isinstance(block, dict) and block.get("type") == "text":
            texts.append(str(block.get("text") or ""))
    return "".join(texts)


@dataclass
class _Call:
    generation: tuple[int, int] = (0, 0)
    seen: set[int] = field(default_factory=set[int])
    last: int | None = None
    """The number of the frame that ended the try."""
    shown: bool = False
    done: bool = False
    """The run has told it, too."""
    told: bool = False
    """All of it was shown before the run told it."""

    @property
    def whole(self) -> bool:
        """Whether every part of the last try was shown."""
        return self.last is not None and len(self.seen) == self.last


@dataclass
class Merger:
    """Turn frames, in the order in which a sink gives them, into what a reader may see."""

    resumed: bool = False
    """The reader saw frames that may be gone from the sink by now."""
    ended: set[str] = field(default_factory=set[str])
    """Executions whose graph said that nothing more comes."""
    _numbers: dict[str, set[int]] = field(default_factory=dict[str, set[int]])
    _whole: set[str] = field(default_factory=set[str])
    """Executions whose frames are all here, from the first one on."""
    _calls: dict[tuple[str, str], _Call] = field(default_factory=dict[tuple[str, str], _Call])

    def feed(self, frame: Frame) -> Iterator[Part | Reset]:
        """Take the next frame; yields what is new because of it."""
        if frame.activity:
            yield from self._of_call(frame)
            return
        numbers = self._numbers.setdefault(frame.execution, set())
        if frame.seq in numbers:
            return
        numbers.add(frame.seq)
        if frame.kind == "begin":
            self._whole.add(frame.execution)
        elif frame.kind == "end":
            self.ended.add(frame.execution)
        elif frame.kind == "message" and frame.call:
            yield from self._settled(frame)
        else:
            yield from _parts(frame)

    def _of_call(self, frame: Frame) -> Iterator[Part | Reset]:
        call = self._calls.setdefault((frame.execution, frame.call), _Call())
        if call.done or frame.generation < call.generation:
            return
        if frame.generation > call.generation:
            fresh = call.generation == (0, 0)
            if call.shown or (fresh and frame.kind == "reset" and self._lacks(frame)):
                yield _reset(frame)
            call.generation, call.seen = frame.generation, set()
            call.last, call.shown = None, False
        if frame.kind == "end":
            call.last = frame.seq
        elif frame.kind == "chunk" and frame.seq not in call.seen:
            call.seen.add(frame.seq)
            call.shown = True
            yield from _parts(frame)

    def _lacks(self, frame: Frame) -> bool:
        """Tell whether the reader may have seen frames that are gone."""
        return self.resumed and frame.execution not in self._whole

    def _settled(self, frame: Frame) -> Iterator[Part | Reset]:
        call = self._calls.get((frame.execution, frame.call))
        if call is None:
            call = self._calls[frame.execution, frame.call] = _Call(shown=self._lacks(frame))
        if not call.done:
            call.done, call.told = True, call.whole and call.shown
            if call.shown and not call.told:
                yield _reset(frame)
        if not call.told:
            yield from _parts(frame)


def _reset(frame: Frame) -> Reset:
    # Before the parts of its frame: who goes on after it still gets those.
    place = frame.id if frame.kind == "reset" else f"{frame.id}:0"
    return Reset(id=place, mode=frame.mode, call=key_of(frame), ns=frame.ns)


def key_of(frame: Frame) -> str:
    """Name the call of a frame, uniquely among all executions of the run."""
    return f"{frame.execution}/{frame.call}" if frame.call else ""


def _parts(frame: Frame) -> Iterator[Part]:
    data = frame.data if isinstance(frame.data, dict) else {}
    parts = data.get("parts")
    parts = parts if isinstance(parts, list) else []
    for number, part in enumerate(parts, start=1):
        # Within a frame the last part has the frame's own id: what follows is the next frame.
        place = frame.id if number == len(parts) else f"{frame.id}:{number}"
        body: Json = [part, data.get("metadata")] if frame.mode == "messages" else part
        yield Part(
            id=place,
            mode=frame.mode,
            data=body,
            ns=frame.ns,
            call=key_of(frame),
            run=frame.run,
            activity=frame.activity,
            attempt=frame.attempt,
            seq=frame.seq,
        )
