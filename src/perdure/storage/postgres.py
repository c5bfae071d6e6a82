"""LangGraph's store and saver on PostgreSQL, by the extra `postgres`. Worker side."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib.util import find_spec
from urllib.parse import urlsplit

from langgraph.checkpoint.serde.base import SerializerProtocol

from perdure.core.jsons import Raw, shorten
from perdure.errors import MissingExtra, StorageUnavailable
from perdure.storage.sweeping import NO_TTL, sweeping

SCHEMES = ("postgresql:", "postgres:")
OPEN_WITHIN = 10.0
"""Seconds that a server may take to accept the first connection."""
_SETUP_LOCK = 0x706572647572
"""Key of the advisory lock that lets one worker at a time make the tables."""
_PAUSE = 0.2


def check_installed() -> None:
    """Make sure that the extra is there.

    Raises:
        MissingExtra: It is not.
    """
    for package in ("psycopg", "psycopg_pool", "langgraph.checkpoint.postgres"):
        if find_spec(package) is None:
            raise MissingExtra(
                f"PostgreSQL needs {package!r}: pip install 'perdure[postgres]'", name=package
            )


@asynccontextmanager
async def open_store(url: str, *, index: Raw = None, ttl: Raw = None) -> AsyncGenerator[Raw]:
    """Open a database as LangGraph's store.

    Items that have outlived their time to live are swept away now and then.

    Raises:
        StorageUnavailable: It does not answer.
    """
    from langgraph.store.postgres.aio import AsyncPostgresStore  # noqa: PLC0415 - optional

    async with _pool(url) as pool:
        store = AsyncPostgresStore(conn=pool, index=index, ttl=ttl or NO_TTL)
        await _set_up(url, pool, store.setup)
        async with sweeping(store):
            yield store


@asynccontextmanager
async def open_threads(url: str, *, serde: SerializerProtocol) -> AsyncGenerator[Raw]:
    """Open a database as LangGraph's saver.

    Raises:
        StorageUnavailable: It does not answer.
    """
    from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver  # noqa: PLC0415 - optional

    async with _pool(url) as pool:
        saver = AsyncPostgresSaver(conn=pool, serde=serde)
        await _set_up(url, pool, saver.setup)
        yield saver


@asynccontextmanager
async def _pool(url: str) -> AsyncGenerator[Raw]:
    check_installed()
    from psycopg import Error  # noqa: PLC0415
    from psycopg.rows import dict_row  # noqa: PLC0415
    from psycopg_pool import AsyncConnectionPool, PoolTimeout  # noqa: PLC0415

    options = {"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row}
    pool: Raw = AsyncConnectionPool(url, min_size=2, max_size=10, open=False, kwargs=options)
    try:
        await pool.open(wait=True, timeout=OPEN_WITHIN)
    except (PoolTimeout, Error, OSError) as error:
        await pool.close()
        raise _explain(url, error) from error
    try:
        yield pool
    finally:
        await pool.close()


async def _set_up(url: str, pool: Raw, step: Callable[[], Awaitable[Raw]]) -> None:
    """Make the tables, one worker at a time.

    The lock is tried, not waited for: a waiting statement would hold up LangGraph's
    `CREATE INDEX CONCURRENTLY`, which waits for all statements.
    """
    from psycopg import Error  # noqa: PLC0415

    try:
        async with pool.connection() as conn:
            while True:
                cursor = await conn.execute(
                    "SELECT pg_try_advisory_lock(%s) AS ours", (_SETUP_LOCK,)
                )
                if (await cursor.fetchone())["ours"]:
                    break
                await asyncio.sleep(_PAUSE)
            try:
                await step()
            finally:
                await conn.execute("SELECT pg_advisory_unlock(%s)", (_SETUP_LOCK,))
    except Error as error:
        raise _explain(url, error) from error


def _explain(url: str, error: Exception) -> StorageUnavailable:
    parts = urlsplit(url)
    where = f"{parts.hostname or 'local socket'}:{parts.port or 5432}{parts.path}"
    return StorageUnavailable(
        f"the PostgreSQL database at {where} cannot be used: {shorten(str(error), 200)}; "
        "see that the server runs and that the URL names a database and a user of it"
    )
