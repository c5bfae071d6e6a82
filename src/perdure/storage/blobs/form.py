"""What all backends share: which names are allowed, how a blob is stored, how long it may take."""

import asyncio
import re
from collections.abc import Awaitable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from hashlib import blake2b
from typing import TypeVar
from urllib.parse import parse_qsl, urlsplit

from perdure.core.jsons import Raw, shorten
from perdure.errors import BadOption, BlobBroken, StorageUnavailable

T = TypeVar("T")
WITHIN = timedelta(seconds=20)
"""How long a store may take for a small value."""
HEAD = 28
"""Bytes before the value: four of kind, eight of length, sixteen of checksum."""
REFRESH = timedelta(minutes=10)
"""A blob that is asked for and older than this counts as new, where that costs a write."""
_KIND = b"PBL1"
_LENGTH = 8
_NAME = re.compile(r"[0-9A-Za-z_-]{16,128}", re.ASCII)
_MEBIBYTE = 1024 * 1024


def check_name(name: str) -> str:
    """Return `name` if it is a digest.

    Raises:
        BadOption: It is something else, such as a path.
    """
    if _NAME.fullmatch(name) is None:
        raise BadOption(
            f"blob {shorten(name, 80)!r}: a name is a digest, 16 to 128 of 0-9 a-z A-Z _ -"
        )
    return name


def is_name(text: str) -> bool:
    """Tell whether a text may be the name of a blob."""
    return _NAME.fullmatch(text) is not None


def head_of(name: str, data: bytes) -> bytes:
    """Return what is stored before a value, so that its bytes can be checked when read."""
    return _KIND + len(data).to_bytes(_LENGTH, "big") + _checksum(name, data)


def length_in(head: bytes) -> int | None:
    """Return the length that a head announces; None if it is no head."""
    whole = len(head) == HEAD and head.startswith(_KIND)
    return int.from_bytes(head[len(_KIND) : len(_KIND) + _LENGTH], "big") if whole else None


def open_up(name: str, stored: bytes, *, where: str) -> bytes:
    """Return the value out of what was stored.

    The name is part of the checksum: another blob's bytes under this name are found out too.

    Raises:
        BlobBroken: Something else stands there; the text names the blob and what is wrong.
    """
    length, data = length_in(stored[:HEAD]), stored[HEAD:]
    if length is None:
        reason = f"its {len(stored):,} bytes do not begin as a blob does"
    elif length != len(data):
        reason = f"it has {len(data):,} of {length:,} bytes"
    elif stored[len(_KIND) + _LENGTH : HEAD] != _checksum(name, data):
        reason = "its checksum is wrong"
    else:
        return data
    raise BlobBroken(
        f"blob {name} in {where} is broken: {reason}; restore it from a copy, and the run goes on"
    )


def _checksum(name: str, data: bytes) -> bytes:
    return blake2b(data, digest_size=16, person=b"perdure.blob", key=_key(name)).digest()


def _key(name: str) -> bytes:
    return blake2b(name.encode(), digest_size=16).digest()


@dataclass(frozen=True, kw_only=True)
class Deadline:
    """How long a store may take, and what is said when it takes longer."""

    where: str
    within: timedelta = WITHIN

    async def wait(self, work: Awaitable[T], *, size: int = 0) -> T:
        """Wait for work that the store does; a value of `size` has more time.

        What takes too long is cancelled and left to itself: it may hang in its own clean-up.

        Raises:
            StorageUnavailable: It took longer; the text says what to do.
        """
        seconds = self.within.total_seconds() + size / _MEBIBYTE
        task = asyncio.ensure_future(work)
        try:
            done, _ = await asyncio.wait((task,), timeout=seconds)
        except asyncio.CancelledError:
            task.cancel()
            raise
        if done:
            return task.result()
        task.add_done_callback(_note_end)
        task.cancel()
        raise StorageUnavailable(
            f"the blob store {self.where} did not answer within {seconds:g} s; see that it is up "
            "and not overloaded, or give it longer: ?within=SECONDS"
        )


def _note_end(task: "asyncio.Future[Raw]") -> None:
    """Take note of how abandoned work ended: its waiter was told already."""
    if not task.cancelled():
        task.exception()


def read_parameters(url: str, known: Iterable[str]) -> dict[str, str]:
    """Read the parameters of a URL.

    Raises:
        BadOption: One is none of `known`, has no value, or stands there twice.
    """
    allowed = tuple(known)
    found: dict[str, str] = {}
    for key, value in parse_qsl(urlsplit(url).query, keep_blank_values=True):
        if key not in allowed or key in found or not value:
            raise BadOption(
                f"blobs: the parameter {shorten(key, 40)!r} of the URL cannot be used; "
                f"each of these once, with a value: {', '.join(allowed)}"
            )
        found[key] = value
    return found


def read_within(parameters: Mapping[str, str]) -> timedelta:
    """Read `within=SECONDS`.

    Raises:
        BadOption: It is no number of seconds above 0.
    """
    text = parameters.get("within")
    if text is None:
        return WITHIN
    try:
        within = timedelta(seconds=float(text))
    except (ValueError, OverflowError):
        within = timedelta(0)
    if within <= timedelta(0):
        raise BadOption(f"blobs: within={text!r}: write a number of seconds above 0")
    return within
