"""The pieces that a process knows, the most recently used of them."""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from perdure.core.digests import digest_of_text
from perdure.core.jsons import Json, JsonObject
from perdure.core.pieces import (
    LONG,
    Entry,
    Piece,
    entry_json,
    entry_name,
    head_of,
    is_conversation,
    is_message,
    piece_of,
    unfold,
)

CAPACITY = 64 * 1024 * 1024
"""Bytes of text that a worker keeps, about."""
_ENTRY = 8
_SMALL = 200


@dataclass(kw_only=True)
class Shelved:
    """A message as JSON without its id, with its texts in place."""

    body: JsonObject
    piece: Piece


Kept = str | Shelved | list[Entry] | Entry | JsonObject


@dataclass
class Shelf:
    """Texts, messages, values and lists by digest. Lost with the process, and no harm done."""

    seal: bytes = b""
    capacity: int = CAPACITY
    room_for_lists: int = CAPACITY // 4
    size: int = 0
    _lists: "OrderedDict[str, list[Entry]]" = field(default_factory=OrderedDict[str, list[Entry]])
    _listed: int = 0
    _kept: "OrderedDict[str, tuple[Kept, int]]" = field(
        default_factory=OrderedDict[str, tuple[Kept, int]]
    )

    def find(self, name: str) -> Kept | None:
        """Return what a digest names; None if it is not known here."""
        held = self._kept.get(name)
        if held is None:
            if name in self._lists:
                self._lists.move_to_end(name)
            return self._lists.get(name)
        self._kept.move_to_end(name)
        return held[0]

    def text(self, name: str) -> str | None:
        """Return a long text, if it is known here."""
        found = self.find(name)
        return found if isinstance(found, str) else None

    def add(self, name: str, value: Kept, size: int) -> None:
        """Keep something; the least recently used goes if there is no room."""
        if name in self._kept:
            self._kept.move_to_end(name)
            return
        self._kept[name] = (value, size)
        self.size += size
        while self.size > self.capacity and len(self._kept) > 1:
            self.size -= self._kept.popitem(last=False)[1][1]

    def add_text(self, text: str) -> None:
        """Keep a long text under its digest."""
        self.add(digest_of_text(text, seal=self.seal), text, len(text))

    def add_list(self, name: str, entries: Sequence[Entry]) -> None:
        """Keep the entries of a list."""
        if name in self._lists:
            self._lists.move_to_end(name)
            return
        self._lists[name] = list(entries)
        self._listed += _ENTRY * len(entries)
        while self._listed > self.room_for_lists and len(self._lists) > 1:
            self._listed -= _ENTRY * len(self._lists.popitem(last=False)[1])

    def add_message(
        self, flat: JsonObject, *, text: Callable[[str], str | None] | None = None
    ) -> Shelved | None:
        """Keep a message, whose texts are references or the texts themselves.

        `text` finds those that are references. None if it does not know one of them.
        """
        piece = piece_of(flat, seal=self.seal)
        for name, own in piece.texts.items():
            self.add(name, own, len(own))
        lost: list[str] = []
        size = _SMALL

        def find(name: str) -> str | None:
            nonlocal size
            found = piece.texts.get(name) or (text or self.text)(name)
            if found is None:
                lost.append(name)
            else:
                size += len(found)
            return found

        body = cast("JsonObject", unfold(piece.flat, find))
        if lost:
            return None
        made = Shelved(body=body, piece=piece)
        self.add(piece.digest, made, size)
        return made

    def learn(self, data: Json) -> None:
        """Keep the messages and long texts of a value that this worker gives to history."""
        if isinstance(data, str):
            if len(data) >= LONG:
                self.add_text(data)
        elif is_message(data):
            self._learn_message(cast("JsonObject", data))
        elif isinstance(data, Mapping):
            for item in data.values():
                self.learn(item)
        elif is_conversation(data):
            entries = [
                self._learn_message(cast("JsonObject", one)) for one in cast("list[Json]", data)
            ]
            self.add_list(head_of(None, [entry_json(e) for e in entries], seal=self.seal), entries)
        elif isinstance(data, list):
            for item in data:
                self.learn(item)

    def _learn_message(self, body: JsonObject) -> Entry:
        piece = piece_of(body, seal=self.seal)
        if piece.digest not in self._kept:
            self.add_message({k: v for k, v in body.items() if k != "id"})
        entry: Entry = (piece.digest, cast("str | None", body.get("id")))
        if entry[1] is not None:
            self.add(entry_name(entry, seal=self.seal), entry, _SMALL)
        return entry

    def entry(self, name: str) -> Entry | None:
        """Return the message that a name stands for, if it is known here."""
        found = self.find(name)
        return found if isinstance(found, tuple) else None
