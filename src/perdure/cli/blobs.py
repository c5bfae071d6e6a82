"""The blob store of a command, from its options and the environment."""

import os
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta

from perdure.cli.output import clean, err
from perdure.client import Sweep
from perdure.core.jsons import shorten
from perdure.core.ports import BlobStore
from perdure.errors import BadOption
from perdure.storage.blobs import open_blobs

FOLDER = "file:.perdure/blobs"
"""Where large values rest when nothing is said."""
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_SHOWN = 10


def blobs_url(url: str | None) -> str:
    """Return the URL of the command line, the environment (`PERDURE_BLOBS`) or the default."""
    return url or os.environ.get("PERDURE_BLOBS") or FOLDER


@asynccontextmanager
async def using_blobs(url: str | None) -> AsyncGenerator[BlobStore]:
    """Open the store of a command, and close it after use.

    Raises:
        BadOption: The URL names none.
        MissingExtra: The package that it needs is not installed.
    """
    blobs = open_blobs(blobs_url(url))
    try:
        yield blobs
    finally:
        await blobs.close()


def read_span(text: str) -> timedelta:
    """Read a duration as a person writes it: 90s, 30m, 1h, 2d; a bare number is seconds.

    Raises:
        BadOption: It is none.
    """
    match = re.fullmatch(r"(\d{1,9})([smhd]?)", text.strip())
    if match is None:
        raise BadOption(f"{shorten(text, 40)!r} is no duration; write 90s, 30m, 1h or 2d")
    return timedelta(seconds=int(match[1]) * _UNITS[match[2]])


def tell_sweep(sweep: Sweep, *, verbose: bool) -> None:
    """Say what a sweep removed and what it left, for a person."""
    verb = "would remove" if sweep.dry_run else "removed"
    err(f"{verb} {_heap(sweep.removed.blobs, sweep.removed.bytes)}")
    if verbose:
        for name in sweep.names:
            err(f"  {clean(name)}")
    err(
        f"left {_heap(sweep.reached.blobs, sweep.reached.bytes)} that runs refer to, and "
        f"{_heap(sweep.young.blobs, sweep.young.bytes)} in the grace period or asked for meanwhile"
    )
    if sweep.missing:
        names = ", ".join(clean(name) for name in sweep.missing[:_SHOWN])
        err(f"warning: {len(sweep.missing)} blobs that runs refer to are not here: {names}")


def _heap(blobs: int, size: int) -> str:
    return f"{blobs} blob{'' if blobs == 1 else 's'} ({size:,} bytes)"
