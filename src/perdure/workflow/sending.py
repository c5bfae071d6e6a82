"""Write one call by reference to what history holds, and tell what it refers to. Workflow side."""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import cast

from perdure.core.digests import canonical, digest, digest_of_text
from perdure.core.jsons import Json, JsonObject
from perdure.core.pieces import (
    CHAIN,
    LONG,
    PIECE,
    REFERENCES,
    TAG,
    VERSION,
    WIDE,
    Entry,
    Held,
    differences,
    entry_json,
    entry_name,
    flatten,
    head_of,
    text_reference,
    unfold,
)

PAGE = 1_000_000
"""Bytes of one answer to a worker, about; Temporal's server refuses more than 2 MiB."""
_ENTRIES = 10_000
_AROUND = 60
"""Bytes of a piece beside its value."""
_NEAR = 4
"""Items that a list is told by at most if the first list that it goes on from is good enough."""


@dataclass(kw_only=True)
class Sending:
    """One call, while it is open."""

    number: int
    seal: bytes
    known: set[str]
    lines: "OrderedDict[str, list[Entry]]"
    data: JsonObject = field(default_factory=dict[str, Json])
    """The call as it goes out."""
    fresh: set[str] = field(default_factory=set[str])
    """What history holds from now on, since this call brings it."""
    lists: dict[str, list[Held]] = field(default_factory=dict[str, list[Held]])
    pieces: dict[str, Json] = field(default_factory=dict[str, Json])
    """Texts and values that the call refers to."""
    alone: list[Held] = field(default_factory=list[Held])
    begun: int = -1
    """How long the history was when the call was made."""
    _places: dict[str, Json] | None = None
    """Everything that the call refers to, once somebody asked for some of it."""

    def write(self, call: JsonObject, *, parts: tuple[str, ...], wide: tuple[str, ...]) -> None:
        """Write the call; sets `data`."""
        self.data = {
            name: self._wide(value)
            if name in wide
            else self._group(name, value, wide)
            if name in parts
            else value
            for name, value in call.items()
        }
        self.data[REFERENCES] = self.number if VERSION == 1 else [VERSION, self.number]

    def find(self, name: str) -> Json:
        """Return what a digest names in this call; None if it refers to nothing of that name."""
        if self._places is None:
            places: dict[str, Json] = {}
            for one in self._messages():
                places[one.piece.digest] = one.piece.flat
                if one.entry[1] is not None:
                    places[entry_name(one.entry, seal=self.seal)] = list(one.entry)
                places.update(one.piece.texts)
            self._places = {**places, **self.pieces}
        return self._places.get(name)

    def _messages(self) -> Iterable[Held]:
        for held in self.lists.values():
            yield from held
        yield from self.alone

    def _group(self, name: str, value: Json, wide: tuple[str, ...]) -> Json:
        """Write a part of the call whose own parts may be wide: `scene.config`."""
        if not isinstance(value, dict) or isinstance(value, Held):
            return self._part(value)
        return {
            key: self._wide(item) if f"{name}.{key}" in wide else self._part(item)
            for key, item in value.items()
        }

    def _part(self, value: Json) -> Json:
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, Held):
            self.alone.append(value)
            return {TAG: CHAIN, "o": [self._entry(value)], "one": True}
        if isinstance(value, dict):
            return {key: self._part(item) for key, item in value.items()}
        if isinstance(value, list):
            if value and all(type(item) is Held for item in value):
                return self._list(cast("list[Held]", value))
            return [self._part(item) for item in value]
        return value

    def _wide(self, value: Json) -> Json:
        texts: dict[str, str] = {}
        flat = flatten(value, texts, seal=self.seal)
        written = canonical(flat)
        if not texts and len(written) < WIDE:
            return value
        name = digest(written, seal=self.seal)
        self.pieces[name] = flat
        self.pieces.update(texts)
        if name in self.known:
            return {TAG: PIECE, "d": name}
        self.fresh.add(name)
        return {TAG: PIECE, "v": unfold(flat, lambda one: self._sent(one, texts))}

    def _text(self, text: str) -> Json:
        if len(text) < LONG:
            return text
        name = digest_of_text(text, seal=self.seal)
        self.pieces[name] = text
        if name in self.known or name in self.fresh:
            return text_reference(name)
        self.fresh.add(name)
        return text

    def _list(self, held: list[Held]) -> JsonObject:
        entries = [one.entry for one in held]
        bodies = {one.entry: one for one in held}
        base, told = self._compare(entries)
        written: list[Json] = []
        named: list[Json] = []
        for item in told:
            if isinstance(item[0], int):
                written.append(list(cast("tuple[int, int]", item)))
                named.append(written[-1])
            else:
                entry = cast("Entry", item)
                written.append(self._entry(bodies[entry]))
                named.append(entry_json(entry))
        self.lists[head_of(base, named, seal=self.seal)] = held
        made: JsonObject = {TAG: CHAIN, "o": written}
        return made if base is None else {**made, "b": base}

    def _compare(
        self, entries: list[Entry]
    ) -> tuple[str | None, Sequence[tuple[int, int] | Entry]]:
        """Find the list that this one goes on from, or that it has most in common with."""
        best: tuple[str | None, Sequence[tuple[int, int] | Entry]] = (None, entries)
        for head, line in reversed(self.lines.items()):
            told = differences(line, entries)
            if len(told) < len(best[1]):
                best = (head, told)
            if len(best[1]) <= _NEAR and best[0] is not None:
                break
        return best

    def _entry(self, held: Held) -> Json:
        piece = held.piece
        if piece.digest in self.known or piece.digest in self.fresh:
            name = entry_name(held.entry, seal=self.seal) if held.entry[1] is not None else ""
            return name if name in self.known else entry_json(held.entry)
        self.fresh.add(piece.digest)
        body = cast("JsonObject", unfold(piece.flat, lambda one: self._sent(one, piece.texts)))
        own = held.entry[1]
        return body if own is None else {**body, "id": own}

    def _sent(self, name: str, texts: "dict[str, str] | object") -> str | None:
        """Return a text that has to be sent; None if history holds it, or will."""
        if name in self.known or name in self.fresh:
            return None
        self.fresh.add(name)
        return cast("dict[str, str]", texts)[name]


def answer(sending: Sending, request: JsonObject) -> JsonObject:
    """Tell a worker the entries of a list, or pieces by digest, a page at a time.

    `list` names a list and `from` the first entry; the answer has `entries` and `more`. `want`
    lists digests and `from`, `at` say where to go on; the answer has `pieces`, each a digest
    and its value, a text with where its part begins and how long it is, and `from`, `at`.
    """
    first = cast("int", request.get("from") or 0)
    if "list" in request:
        held = sending.lists.get(str(request["list"]))
        if held is None:
            return {"gone": True}
        page: list[Json] = [list(one.entry) for one in held[first : first + _ENTRIES]]
        return {"entries": page, "more": len(held) > first + _ENTRIES}
    want = cast("list[str]", request.get("want") or [])
    at, room = cast("int", request.get("at") or 0), PAGE
    told: list[Json] = []
    for number in range(first, len(want)):
        value = sending.find(want[number])
        if isinstance(value, str):
            part = _fitting(value, at, room)
            if not part:
                return {"pieces": told, "from": number, "at": at}
            told.append([want[number], part, at, len(value)])
            room -= _width(part)
            if at + len(part) < len(value):
                return {"pieces": told, "from": number, "at": at + len(part)}
        else:
            room -= _width(value)
            if room < 0 and told:
                return {"pieces": told, "from": number, "at": 0}
            told.append([want[number], value])
        at = 0
    return {"pieces": told, "from": len(want), "at": 0}


def _fitting(text: str, at: int, room: int) -> str:
    """Return as much of a text as there is room for; it may take several bytes a character."""
    part = text[at : at + max(room, 0)]
    while part and (width := _width(part)) > room:
        part = part[: len(part) * room // width]
    return part


def _width(value: Json) -> int:
    """Count the bytes that a value takes at most in an answer."""
    return len(canonical(value)) + _AROUND
