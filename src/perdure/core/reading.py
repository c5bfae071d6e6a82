"""Put back what a value refers to, from the pieces that this process knows."""

from dataclasses import dataclass, field
from typing import cast

from perdure.core.digests import canonical, digest
from perdure.core.jsons import Json, JsonObject, Raw
from perdure.core.pieces import (
    CHAIN,
    LONG,
    PIECE,
    TAG,
    TEXT,
    Entry,
    Held,
    flatten,
    head_of,
    is_message,
    read_items,
    unfold,
)
from perdure.core.shelf import Shelf, Shelved


@dataclass
class Reading:
    """One value on its way back to what it was."""

    shelf: Shelf
    blind: bool = False
    """Only take what comes along; make no lists of messages."""
    lost: dict[str, bool] = field(default_factory=dict[str, bool])
    """What is not known here, by digest; True for a list."""
    bodies: dict[str, JsonObject] = field(default_factory=dict[str, JsonObject])
    """Messages that came without all of their texts, or are not read yet."""
    found: dict[str, Raw] = field(default_factory=dict[str, Raw])
    """What the run told; kept here too, since the shelf may be too small for all of it."""

    def read(self, value: Json) -> Json:
        """Put in place what a value refers to; what is not known here is noted as lost.

        Messages in it become `Held`, so that a codec makes each of them once.
        """
        if isinstance(value, list):
            return [self.read(item) for item in value]
        if isinstance(value, str) and len(value) >= LONG:
            self.shelf.add_text(value)
        if not isinstance(value, dict):
            return value
        tag = value.get(TAG)
        if tag == CHAIN:
            return self._chain(value)
        if tag == TEXT:
            return self._text(str(value["d"]))
        if tag == PIECE:
            return self._piece(value)
        return {key: self.read(item) for key, item in value.items()}

    def _find(self, name: str) -> Raw:
        if name in self.found:
            return self.found[name]
        return self.shelf.find(name)

    def _text(self, name: str) -> str | None:
        found = self._find(name)
        if isinstance(found, str):
            return found
        self.lost[name] = False
        return None

    def _piece(self, data: JsonObject) -> Json:
        if "v" not in data:
            name = str(data["d"])
            flat = self._find(name)
            if flat is None:
                self.lost[name] = False
                return None
            return unfold(cast("Json", flat), self._text)
        shelf, texts = self.shelf, dict[str, str]()
        flat = flatten(data["v"], texts, seal=shelf.seal)
        for name, text in texts.items():
            self.found[name] = text
            shelf.add(name, text, len(text))
        written = canonical(flat)
        shelf.add(digest(written, seal=shelf.seal), cast("JsonObject", flat), len(written))
        return unfold(flat, self._text)

    def _chain(self, data: JsonObject) -> Json:
        shelf = self.shelf
        items = cast("list[Json]", data.get("o") or [])
        name = cast("str | None", data.get("b"))
        base = [] if name is None else cast("list[Entry] | None", self._find(name))
        entries, told, sent = read_items(items, base, find=self._entry, seal=shelf.seal)
        self.bodies.update(sent)
        if items and not told:
            return None
        head = head_of(name, told, seal=shelf.seal)
        if entries is None:
            entries = cast("list[Entry] | None", self._find(head))
        if entries is None:
            self.lost[head] = True
            return None
        if "one" in data:
            return self._message(entries[0])
        shelf.add_list(head, entries)
        if self.blind:
            for one in sent:
                self._message((one, None))
            return []
        return [self._message(entry) for entry in entries]

    def _entry(self, name: str) -> Entry | None:
        """Find what a name stands for; one that is not known here is noted as lost."""
        found = self._find(name)
        if found is None:
            self.lost[name] = False
            return None
        return cast("Entry", tuple(found))

    def _message(self, entry: Entry) -> Json:
        name, own = entry
        held = self._find(name)
        if not isinstance(held, Shelved):
            flat = self.bodies.get(name)
            if flat is None:
                self.lost[name] = False
                return None
            bare = {key: item for key, item in flat.items() if key != "id"}
            held = self.shelf.add_message(bare, text=self._text)
            if held is None:
                return None
            self.found[name] = held
        body = held.body if own is None else {**held.body, "id": own}
        return Held(body, piece=held.piece)

    def take(self, name: str, value: Raw) -> None:
        """Take a piece that somebody else knew."""
        shelf = self.shelf
        if isinstance(value, str):
            self.found[name] = value
            shelf.add(name, value, len(value))
        elif is_message(value):
            self.bodies[name] = cast("JsonObject", value)
        else:
            self.found[name] = value
            shelf.add(name, cast("JsonObject", value), len(repr(value)))

    def take_list(self, name: str, entries: list[Entry]) -> None:
        """Take a list that somebody else knew."""
        self.found[name] = entries
        self.shelf.add_list(name, entries)
