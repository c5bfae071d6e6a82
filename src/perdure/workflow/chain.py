"""What the history of a run holds, so that a call sends the rest only. Workflow side.

A call's input tells a list of messages by what is new since a list that was sent before, and
long texts and bound options by their digests (`perdure.core.pieces`). The worker that gets it
knows most of that already; what it does not know it asks of the run, by query.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import cast

import orjson
from langchain_core.messages import BaseMessage
from temporalio import workflow

from perdure.core.digests import digest_of_text
from perdure.core.jsons import Json, JsonObject, Raw, as_object
from perdure.core.names import PIECES_QUERY
from perdure.core.pieces import (
    LONG,
    Entry,
    Held,
    entry_json,
    entry_name,
    head_of,
    hold,
    is_conversation,
    is_message,
)
from perdure.core.ports import Codec
from perdure.workflow.sending import Sending, answer

LINES = 16
"""Lists that a run remembers to go on from: its own conversation, and those of sub-agents."""
_NOTES = 512
_ONLY_PLAIN = (
    orjson.OPT_PASSTHROUGH_DATACLASS
    | orjson.OPT_PASSTHROUGH_DATETIME
    | orjson.OPT_PASSTHROUGH_SUBCLASS
)
_Stamp = tuple[Raw, ...]
_PLAIN = frozenset({str, int})
_Noted = tuple[BaseMessage, _Stamp, Held]


@dataclass
class Chain:
    """What the history of one run holds, by digest.

    It is also the run's codec: one that knows which message is which piece, and so writes none
    twice.
    """

    codec: Codec
    seal: bytes = b""
    known: set[str] = field(default_factory=set[str])
    lines: "OrderedDict[str, list[Entry]]" = field(default_factory=OrderedDict[str, list[Entry]])
    """The lists that were sent, by what names them; the newest last."""
    whole: bool = True
    """Whether the history holds all that its calls refer to, so that it can be read alone."""
    _calls: int = 0
    _open: dict[int, Sending] = field(default_factory=dict[int, Sending])
    _longest: int = 0
    _young: dict[int, _Noted] = field(default_factory=dict[int, _Noted])
    _old: dict[int, _Noted] = field(default_factory=dict[int, _Noted])
    _met: dict[int, Held] = field(default_factory=dict[int, Held])
    """Messages of the value that is being read, by identity."""

    @property
    def largest(self) -> int:
        """Bytes of one value that the worker can carry."""
        return self.codec.largest

    def encode(self, value: object, *, what: str, memo: Raw = None) -> Json:  # noqa: ARG002
        """Write a value as JSON; messages that were written before are not written again."""
        return self.codec.encode(value, what=what, memo=self)

    def decode(self, data: Json, *, memo: Raw = None) -> object:  # noqa: ARG002
        """Read a value that the run's history holds."""
        self._learn(data)
        try:
            return self.codec.decode(data, memo=self)
        finally:
            self._met = {}

    def size(self, data: Json) -> int:
        """Count the bytes of a JSON value."""
        return self.codec.size(data)

    def find(self, message: BaseMessage) -> Held | None:
        """Return what a message was written as, if it is still the same."""
        key = id(message)
        noted = self._young.get(key)
        if noted is None:
            noted = self._old.get(key)
        if noted is None or noted[0] is not message or stamp_of(message) != noted[1]:
            return None
        self._note(key, noted)
        return noted[2]

    def keep(self, message: BaseMessage, body: JsonObject) -> Held:
        """Note what a message was written as."""
        held = hold(body, seal=self.seal)
        stamp = stamp_of(message)
        if stamp is not None:
            self._note(id(message), (message, stamp, held))
        return held

    def made(self, message: BaseMessage, body: JsonObject) -> None:
        """Note what a message was read from, which history holds."""
        held = self.keep(message, self._met.get(id(body)) or body)
        self.known.add(held.piece.digest)
        self.known.update(held.piece.texts)
        if held.entry[1] is not None:
            self.known.add(entry_name(held.entry, seal=self.seal))

    def _learn(self, data: Json) -> None:
        """Note the long texts of a value that history holds, and lists to go on from."""
        if isinstance(data, str):
            if len(data) >= LONG:
                self.known.add(digest_of_text(data, seal=self.seal))
        elif is_conversation(data):
            bodies = cast("list[JsonObject]", data)
            held = [hold(body, seal=self.seal) for body in bodies]
            self._met.update((id(body), one) for body, one in zip(bodies, held, strict=True))
            told = [entry_json(one.entry) for one in held]
            self._remember(head_of(None, told, seal=self.seal), held)
        elif isinstance(data, list):
            for item in data:
                self._learn(item)
        elif isinstance(data, dict) and not is_message(data):
            for item in data.values():
                self._learn(item)

    def shrink(
        self, call: JsonObject, *, parts: tuple[str, ...], wide: tuple[str, ...] = ()
    ) -> Sending:
        """Write parts of a call by reference; `wide` ones as a whole, if they were sent before."""
        number, self._calls = self._calls, self._calls + 1
        sending = Sending(number=number, seal=self.seal, known=self.known, lines=self.lines)
        sending.write(call, parts=parts, wide=wide)
        return sending

    def begin(self, sending: Sending) -> None:
        """Count what a call sends as held by history, and answer for it while it is open."""
        if workflow.get_query_handler(PIECES_QUERY) is None:
            workflow.set_query_handler(PIECES_QUERY, self.tell)
        sending.begun = workflow.info().get_current_history_length()
        self.known |= sending.fresh
        for head, held in sending.lists.items():
            self._remember(head, held)
        self._open[sending.number] = sending

    def end(self, sending: Sending) -> None:
        """Answer for a call no more."""
        self._open.pop(sending.number, None)
        if sending.begun == workflow.info().get_current_history_length():
            # Cancelled in the step that made it, so history will never hold it.
            self.known -= sending.fresh
            self.lines.clear()
            self.whole = False

    def tell(self, raw: Raw) -> JsonObject:
        """Answer a worker that does not know what a call refers to."""
        request = as_object(raw, what="a request for pieces")
        sending = self._open.get(cast("int", request.get("call")))
        return {"gone": True} if sending is None else answer(sending, request)

    def _remember(self, head: str, held: list[Held]) -> None:
        self.lines[head] = [one.entry for one in held]
        self.lines.move_to_end(head)
        self._longest = max(self._longest, len(held))
        while len(self.lines) > LINES:
            self.lines.popitem(last=False)

    def _note(self, key: int, noted: _Noted) -> None:
        self._young[key] = noted
        if len(self._young) > _NOTES + 2 * self._longest:
            self._old, self._young = self._young, {}


def stamp_of(message: BaseMessage) -> _Stamp | None:
    """Tell what a message says, cheaply, so that one that was changed in place is seen.

    Texts are compared by identity first, so a long one costs nothing. None if it holds what
    cannot be told so; it is then written anew each time.
    """
    told: list[Raw] = []
    try:
        for value in vars(message).values():
            if value is None or type(value) in _PLAIN:
                told.append(value)
            else:
                _tell(value, told)
        if message.model_extra:
            _tell(message.model_extra, told)
    except TypeError:
        return None
    return tuple(told)


def _tell(value: Raw, told: list[Raw]) -> None:
    """Tell content, calls of tools, or metadata; `TypeError` if that is not possible."""
    if type(value) is list:
        blocks = cast("list[Raw]", value)
        told.append(len(blocks))
        for block in blocks:
            if type(block) is dict:
                _tell(block, told)
            else:
                told.append(block if type(block) in _PLAIN else _dumps(block))
    elif type(value) is dict:
        parts = cast("dict[Raw, Raw]", value)
        told.append(len(parts))
        for key, item in parts.items():
            told.append(key)
            told.append(item if item is None or type(item) in _PLAIN else _dumps(item))
    else:
        told.append(value if type(value) in _PLAIN else _dumps(value))


def _dumps(value: Raw) -> bytes:
    """Tell a value as bytes: True is not 1, and a dataclass is not told."""
    return orjson.dumps(value, option=_ONLY_PLAIN)
