"""Frames in a SQLite file that several processes write and read."""

import json
import sqlite3
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from time import time
from uuid import uuid4

from perdure.core.frames import Frame
from perdure.core.jsons import shorten
from perdure.errors import BadInput, Unavailable

BUSY_WITHIN = timedelta(seconds=2)
"""How long a writer waits for another one."""
LARGEST = 8_000_000
"""Bytes of one frame."""
_SWEEP_EVERY = timedelta(seconds=30)
_SHARE = 4
"""A file that is too large loses a quarter of its frames at a time."""
_TABLES = """
create table if not exists frames (
    id integer primary key autoincrement, run text not null, at real not null, data text not null
);
create index if not exists frames_by_run on frames (run, id);
create table if not exists sink (name text not null);
"""


class FrameFile:
    """One connection to the file; opened when it is first needed, used by one thread at a time."""

    def __init__(self, path: Path, *, keep_for: timedelta, keep_bytes: int) -> None:
        self._path = path
        self._keep_for = keep_for
        self._keep_bytes = keep_bytes
        self._connection: sqlite3.Connection | None = None
        self._name: str | None = None
        self._swept = 0.0
        self._inode: int | None = None

    def write(self, frames: Sequence[Frame]) -> str | None:
        """Write frames in one transaction; returns what went wrong, if anything did."""
        rows: list[tuple[str, float, str]] = []
        problem: str | None = None
        for frame in frames:
            text = json.dumps(frame.to_json(), separators=(",", ":"))
            if len(text) > LARGEST:
                problem = f"a frame of {len(text):,} bytes; at most {LARGEST:,} are kept"
            else:
                rows.append((frame.run, time(), text))
        try:
            held = self._open()
            with held:
                held.executemany("insert into frames (run, at, data) values (?, ?, ?)", rows)
            self._sweep(held)
        except (sqlite3.Error, OSError) as error:
            self.close()
            return f"{type(error).__name__}: {shorten(str(error))}"
        return problem

    def name(self) -> str | None:
        """Return the name of this file's ids; None while there is no file.

        Raises:
            Unavailable: It cannot be read.
        """
        if not self._path.is_file():
            self.close()
            return None
        try:
            if self._connection is not None and self._inode != self._path.stat().st_ino:
                self.close()  # another file took its place
            if self._name is None:
                self._connect(writable=False)
            return self._name
        except (sqlite3.Error, OSError) as error:
            raise self._unreadable(error) from error

    def read(self, run: str, *, after: int, limit: int) -> list[tuple[int, str]]:
        """Return the next frames of a run with their numbers.

        Raises:
            Unavailable: The file cannot be read.
        """
        if self._connection is None:
            return []
        try:
            rows = self._connection.execute(
                "select id, data from frames where run = ? and id > ? order by id limit ?",
                (run, after, limit),
            )
            return [(int(number), str(text)) for number, text in rows]
        except (sqlite3.Error, OSError) as error:
            raise self._unreadable(error) from error

    @staticmethod
    def parse(text: str) -> Frame | None:
        """Read a frame; None if a newer version wrote it in a way that is not known here."""
        try:
            return Frame.from_json(json.loads(text), id="")
        except (ValueError, BadInput):
            return None

    def close(self) -> None:
        """Close the file; it is opened again when it is needed."""
        held, self._connection, self._name = self._connection, None, None
        if held is not None:
            held.close()

    def _unreadable(self, error: Exception) -> Unavailable:
        self.close()
        return Unavailable(
            f"the stream file {self._path} cannot be read ({shorten(str(error))}); "
            "if it is damaged, stop the workers and delete it"
        )

    def _open(self) -> sqlite3.Connection:
        held = self._connection
        if held is not None and (
            not self._path.is_file() or self._path.stat().st_ino != self._inode
        ):
            self.close()
            held = None
        return held or self._connect(writable=True)

    def _connect(self, *, writable: bool) -> sqlite3.Connection:
        if writable:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        mode = "rwc" if writable else "ro"
        held = sqlite3.connect(
            f"{self._path.resolve().as_uri()}?mode={mode}",
            uri=True,
            timeout=BUSY_WITHIN.total_seconds(),
            check_same_thread=False,
            isolation_level="IMMEDIATE",
        )
        try:
            if writable:
                held.execute("pragma journal_mode = wal")
                held.execute("pragma synchronous = normal")
                held.execute("pragma journal_size_limit = 16000000")
                held.executescript(_TABLES)
                with held:
                    held.execute(
                        "insert into sink select ? where not exists (select 1 from sink)",
                        (uuid4().hex[:8],),
                    )
            found = _name_of(held)
        except BaseException:
            held.close()
            raise
        if found is None:
            held.close()
            return held
        self._connection, self._name = held, found
        self._inode = self._path.stat().st_ino
        return held

    def _sweep(self, held: sqlite3.Connection) -> None:
        """Delete what is too old, and the oldest if the file is too large."""
        now = time()
        if now - self._swept < _SWEEP_EVERY.total_seconds() and self._size(held) <= (
            self._keep_bytes
        ):
            return
        self._swept = now
        with held:
            held.execute("delete from frames where at < ?", (now - self._keep_for.total_seconds(),))
        if self._size(held) > self._keep_bytes:
            with held:
                held.execute(
                    "delete from frames where id in "
                    "(select id from frames order by id limit (select count(*) from frames) / ?)",
                    (_SHARE,),
                )

    def _size(self, held: sqlite3.Connection) -> int:
        """Count the bytes that are in use; freed pages are used again."""
        pages, free, size = (
            int(held.execute(f"pragma {name}").fetchone()[0])
            for name in ("page_count", "freelist_count", "page_size")
        )
        return (pages - free) * size


def _name_of(held: sqlite3.Connection) -> str | None:
    """Return the file's name; None if its writer has not come that far yet."""
    try:
        found = held.execute("select name from sink").fetchone()
    except sqlite3.OperationalError as error:
        if "no such table" in str(error):
            return None
        raise
    return None if found is None else str(found[0])
