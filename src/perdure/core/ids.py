"""Write UUIDs in 23 characters where histories hold many of them."""

import base64
import re
from binascii import Error
from collections.abc import Callable

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
MARK = "~"
_SHORT = 23


def shorten_id(id: str) -> str:
    """Write an id: a UUID as `~` and 22 characters; of others, one that begins so as `~~...`."""
    if _UUID.fullmatch(id):
        data = bytes.fromhex(id.replace("-", ""))
        return MARK + base64.urlsafe_b64encode(data)[:22].decode("ascii")
    return MARK + id if id.startswith(MARK) else id


def lengthen_id(id: str) -> str:
    """Read what `shorten_id` wrote; anything else is an id as it is."""
    if id.startswith(MARK + MARK):
        return id[1:]
    if not id.startswith(MARK) or len(id) != _SHORT:
        return id
    try:
        text = base64.urlsafe_b64decode(id[1:] + "==").hex()
    except (Error, ValueError):
        return id
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def shorten_place(place: str) -> str | None:
    """Write a checkpoint namespace, `node:task|node:task`, in short; None if it cannot be."""
    if MARK in place:
        return None
    return "|".join(_with_task(part, shorten_id) for part in place.split("|"))


def lengthen_place(place: str) -> str:
    """Read what `shorten_place` wrote."""
    return "|".join(_with_task(part, lengthen_id) for part in place.split("|"))


def _with_task(part: str, write: Callable[[str], str]) -> str:
    node, colon, task = part.rpartition(":")
    return f"{node}{colon}{write(task)}"
