"""The pieces of which calls are made: messages, long texts and large values, named by digest.

A run's history holds each piece once. What a call sends refers to it:

| form | meaning |
|---|---|
| `{"$": "chain", "b": HEAD, "o": [...]}` | a list of messages, told by what is new since HEAD |
| `{"$": "text", "d": DIGEST}` | a long text |
| `{"$": "piece", "d": DIGEST}` | a value that was sent before |
| `{"$": "piece", "v": VALUE}` | a value that may be referred to from now on |
| `{"$": "result", "v": VALUE}` | the result of a run that refers to the run's own history |

The items of `o` are `[i, j]` (the items i to j of HEAD's list, j excluded), a digest, a digest
with the message's id `[DIGEST, ID]`, `.` and a digest of both if history holds the message with
that id, or the message itself. An id that is a UUID is written as `~` and 22 characters.

A message's digest leaves its id out: LangGraph gives one to a message after it was recorded.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, cast

from perdure.core.digests import digest_of_json, digest_of_text
from perdure.core.ids import lengthen_id, shorten_id
from perdure.core.jsons import Json, JsonObject
from perdure.errors import BadInput

TAG = "$"
CHAIN, TEXT, PIECE, RESULT = "chain", "text", "piece", "result"
REFERENCES, VERSION = "refs", 1
"""Where a call says that it refers to pieces: its number; the version before it, unless it is 1."""
FEW = 4
"""Messages from which a list that is no call's is remembered, to go on from."""
LONG = 256
"""Characters from which a text is a piece of its own."""
WIDE = 200
"""Bytes from which an options object is one."""
MESSAGE_TAGS = frozenset(
    {
        "human", "ai", "AIMessageChunk", "system", "tool", "function", "chat", "remove",
        "HumanMessageChunk", "SystemMessageChunk", "ToolMessageChunk", "FunctionMessageChunk",
        "ChatMessageChunk",
    }
)  # fmt: skip
"""The tags of messages; those of `perdure.storage.values.MESSAGES`."""

Entry: TypeAlias = tuple[str, str | None]
"""A message in a list: the digest of what it says, and its id."""


@dataclass(kw_only=True)
class Piece:
    """A message without its id, as every list that has it shares it."""

    digest: str
    flat: JsonObject
    """Long texts are references."""
    texts: Mapping[str, str]
    made: object = None
    """The object that was made of it, for copies; only on a worker's side."""


class Held(dict[str, Json]):
    """A message as JSON, which remembers what piece it is."""

    __slots__ = ("entry", "piece")

    def __init__(self, body: Mapping[str, Json], *, piece: Piece) -> None:
        super().__init__(body)
        self.piece = piece
        self.entry: Entry = (piece.digest, cast("str | None", body.get("id")))


def is_result(value: object) -> bool:
    """Tell whether a run's result refers to its history."""
    return isinstance(value, dict) and cast("JsonObject", value).get(TAG) == RESULT


def is_conversation(value: object) -> bool:
    """Tell whether a value is a list of messages, long enough to go on from."""
    if not isinstance(value, list) or len(cast("list[Json]", value)) < FEW:
        return False
    return all(is_message(item) for item in cast("list[Json]", value))


def is_message(value: object) -> bool:
    """Tell whether a JSON value is a message."""
    return isinstance(value, dict) and cast("JsonObject", value).get(TAG) in MESSAGE_TAGS


def text_reference(digest: str) -> JsonObject:
    """Write a reference to a long text."""
    return {TAG: TEXT, "d": digest}


def flatten(value: Json, texts: dict[str, str], *, seal: bytes = b"") -> Json:
    """Replace the long texts of a value by references, and collect them in `texts`."""
    if isinstance(value, str):
        if len(value) < LONG:
            return value
        name = digest_of_text(value, seal=seal)
        texts[name] = value
        return text_reference(name)
    if isinstance(value, dict):
        return {key: flatten(item, texts, seal=seal) for key, item in value.items()}
    if isinstance(value, list):
        return [flatten(item, texts, seal=seal) for item in value]
    return value


def piece_of(body: Mapping[str, Json], *, seal: bytes = b"") -> Piece:
    """Make the piece of a message's JSON."""
    texts: dict[str, str] = {}
    bare: JsonObject = {key: item for key, item in body.items() if key != "id"}
    flat = cast("JsonObject", flatten(bare, texts, seal=seal))
    return Piece(digest=digest_of_json(flat, seal=seal), flat=flat, texts=texts)


def hold(body: JsonObject, *, seal: bytes = b"") -> Held:
    """Make a message's JSON remember what piece it is."""
    return body if isinstance(body, Held) else Held(body, piece=piece_of(body, seal=seal))


def unfold(value: Json, text: Callable[[str], str | None]) -> Json:
    """Put long texts in place of references; one that `text` does not know stays one."""
    if isinstance(value, dict):
        if value.get(TAG) == TEXT:
            found = text(str(value.get("d")))
            return value if found is None else found
        return {key: unfold(item, text) for key, item in value.items()}
    if isinstance(value, list):
        return [unfold(item, text) for item in value]
    return value


def head_of(base: str | None, told: Sequence[Json], *, seal: bytes = b"") -> str:
    """Name a list by the list that it goes on from and what it adds: ranges and entries."""
    return digest_of_json([base, *told], seal=seal)


def entry_json(entry: Entry) -> Json:
    """Write an entry as an item of `o`."""
    name, own = entry
    return name if own is None else [name, shorten_id(own)]


def entry_name(entry: Entry, *, seal: bytes = b"") -> str:
    """Name a message that history holds with its id."""
    return "." + digest_of_text(f"{entry[0]} {entry[1]}", seal=seal)


def differences(base: Sequence[Entry], entries: Sequence[Entry]) -> list[tuple[int, int] | Entry]:
    """Tell a list by the ranges of another that it repeats, and what is new in it."""
    if len(entries) >= len(base) and list(entries[: len(base)]) == list(base):
        return [(0, len(base)), *entries[len(base) :]]
    places = {entry: number for number, entry in enumerate(base)}
    told: list[tuple[int, int] | Entry] = []
    following = -1  # the item of the base that would make the last range longer
    for entry in entries:
        if 0 <= following < len(base) and base[following] == entry:
            first, end = cast("tuple[int, int]", told[-1])
            told[-1] = (first, end + 1)
            following += 1
        elif (place := places.get(entry)) is not None:
            told.append((place, place + 1))
            following = place + 1
        else:
            told.append(entry)
            following = -1
    return told


def is_range(item: Json) -> bool:
    """Tell whether an item of `o` repeats a part of the base."""
    return isinstance(item, list) and len(item) == 2 and isinstance(item[0], int)  # noqa: PLR2004


def read_items(
    items: Sequence[Json],
    base: Sequence[Entry] | None,
    *,
    find: Callable[[str], Entry | None] = lambda _: None,
    seal: bytes = b"",
) -> tuple[list[Entry] | None, list[Json], dict[str, JsonObject]]:
    """Read the items of a list of messages.

    `find` tells what a name stands for. Returns its entries (None if they need the base and
    there is none), what names it (see `head_of`), and the messages that came with it, by
    digest, as they were sent. An unknown name leaves nothing to name the list by.

    Raises:
        BadInput: An item has no known form.
    """
    entries: list[Entry] | None = []
    told: list[Json] = []
    sent: dict[str, JsonObject] = {}
    for item in items:
        found: Sequence[Entry]
        if is_range(item):
            told.append(item)
            first, end = cast("list[int]", item)
            if base is None:
                entries = None
                continue
            found = base[first:end]
        else:
            entry = _entry(item, sent, find, seal=seal)
            if entry is None:
                return None, [], sent
            told.append(entry_json(entry))
            found = (entry,)
        if entries is not None:
            entries.extend(found)
    return entries, told, sent


def _entry(
    item: Json,
    sent: dict[str, JsonObject],
    find: Callable[[str], Entry | None],
    *,
    seal: bytes,
) -> Entry | None:
    if isinstance(item, str):
        return find(item) if item.startswith(".") else (item, None)
    if isinstance(item, list) and all(isinstance(part, str) for part in item):
        return (str(item[0]), lengthen_id(str(item[1])))
    if isinstance(item, dict):
        piece = piece_of(item, seal=seal)
        sent[piece.digest] = item
        return (piece.digest, cast("str | None", item.get("id")))
    raise BadInput(f"a list of messages has an item of an unknown form: {item!r}")
