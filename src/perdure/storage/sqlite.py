"""LangGraph's store and saver on SQLite files, fit for several workers. Worker side."""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiosqlite
from langgraph.checkpoint.serde.base import SerializerProtocol
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.store.base import BaseStore
from langgraph.store.sqlite import AsyncSqliteStore

from perdure.core.jsons import Raw
from perdure.errors import BadOption, StorageUnavailable
from perdure.storage.ranking import Ranked
from perdure.storage.sweeping import NO_TTL, sweeping

SCHEME = "sqlite:"
BUSY = 30.0
"""Seconds that a write waits for another worker's."""
_EXTENSIBLE = hasattr(sqlite3.Connection, "enable_load_extension")
_TRIES = 5
_PAUSE = 0.2


def path_of(url: str) -> Path:
    """Return the file that a URL names: `sqlite:///relative` or `sqlite:////absolute`.

    Raises:
        BadOption: It names none.
    """
    rest = url.removeprefix(SCHEME)
    if not rest.startswith("///") or not rest[3:] or rest[3:] == ":memory:":
        raise BadOption(
            f"{url!r} names no file; write sqlite:///folder/file.sqlite (relative) or "
            "sqlite:////folder/file.sqlite (absolute)"
        )
    return Path(rest[3:])


@asynccontextmanager
async def open_store(url: str, *, index: Raw = None, ttl: Raw = None) -> AsyncGenerator[BaseStore]:
    """Open a file as LangGraph's store, with its index where this Python can load it.

    Items that have outlived their time to live are swept away now and then.

    Raises:
        StorageUnavailable: It cannot be opened.
    """
    file = path_of(url)
    async with _connect(file, isolation_level=None) as conn:
        store = AsyncSqliteStore(conn, index=index if _EXTENSIBLE else None, ttl=ttl or NO_TTL)
        store.supports_ttl = True  # its tables do; a base class that comes first says no
        await _set_up(file, store.setup)
        async with sweeping(store):
            yield store if index is None or _EXTENSIBLE else Ranked(store, index=index)


@asynccontextmanager
async def open_threads(url: str, *, serde: SerializerProtocol) -> AsyncGenerator[AsyncSqliteSaver]:
    """Open a file as LangGraph's saver.

    Raises:
        StorageUnavailable: It cannot be opened.
    """
    file = path_of(url)
    async with _connect(file) as conn:
        saver = AsyncSqliteSaver(conn, serde=serde)
        await _set_up(file, saver.setup)
        yield saver


@asynccontextmanager
async def _connect(file: Path, **options: Raw) -> AsyncGenerator[aiosqlite.Connection]:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        conn = await aiosqlite.connect(file, timeout=BUSY, **options)
    except (OSError, sqlite3.Error) as error:
        raise _explain(file, error) from error
    try:
        await _set_up(file, lambda: conn.execute("PRAGMA journal_mode=WAL"))
        yield conn
    finally:
        await conn.close()


async def _set_up(file: Path, step: Callable[[], Awaitable[Raw]]) -> None:
    """Do one step of opening; another worker may be at the same one, so try again."""
    for left in range(_TRIES - 1, -1, -1):
        try:
            await step()
        except (sqlite3.OperationalError, sqlite3.IntegrityError) as error:
            hopeless = any(word in str(error) for word in ("readonly", "unable to open"))
            if hopeless or left == 0:
                raise _explain(file, error) from error
            await asyncio.sleep(_PAUSE)
        except sqlite3.Error as error:
            raise _explain(file, error) from error
        else:
            return


def _explain(file: Path, error: Exception) -> StorageUnavailable:
    said = str(error)
    if "readonly" in said or "unable to open" in said or isinstance(error, OSError):
        mend = "let the worker write to the file and its folder, or name another"
    elif "not a database" in said:
        mend = "name another file"
    else:
        mend = "see which program holds it"
    return StorageUnavailable(f"the SQLite file {str(file)!r} cannot be used: {said}; {mend}")
