"""Blobs as rows of a PostgreSQL table, by the extra `postgres`."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from importlib.util import find_spec
from urllib.parse import urlsplit

from perdure.core.jsons import Raw, shorten
from perdure.core.ports import BlobInfo
from perdure.errors import (
    BadOption,
    BlobMissing,
    MissingExtra,
    PayloadTooLarge,
    StorageUnavailable,
)
from perdure.storage.blobs.form import (
    HEAD,
    REFRESH,
    WITHIN,
    Deadline,
    check_name,
    head_of,
    open_up,
    read_parameters,
    read_within,
)

TABLE = "perdure_blobs"
LARGEST = 1_000_000_000
"""PostgreSQL takes 1 GiB in one message, the rest of the message included."""
_LOCK = 0x706572626C6F62
"""Key of the advisory lock under which one process at a time makes the table."""
_OWN = ("table", "within")
_CONNECTIONS = 8
_PAGE = 1000
_MAKE = """
CREATE TABLE IF NOT EXISTS {table} (
    name text COLLATE "C" PRIMARY KEY,
    size bigint NOT NULL,
    changed timestamptz NOT NULL DEFAULT now(),
    data bytea NOT NULL
);
ALTER TABLE {table} ALTER COLUMN data SET STORAGE EXTERNAL
"""
"""Not compressed: large values are often encrypted, and always read whole."""


class PostgresBlobs:
    """One table, made when it is missing. A value may have up to 1 GB."""

    def __init__(self, url: str, *, table: str = TABLE, within: timedelta = WITHIN) -> None:
        if find_spec("psycopg") is None:
            raise MissingExtra(
                "PostgreSQL needs 'psycopg': pip install 'perdure[postgres]'", name="psycopg"
            )
        if re.fullmatch(r"[a-z_][a-z0-9_]{0,62}(\.[a-z_][a-z0-9_]{0,62})?", table) is None:
            raise BadOption(f"blobs: table={table!r}: write a name of a-z 0-9 _, or schema.name")
        parts = urlsplit(url)
        self._url = url
        self._table = table
        server = f"{parts.hostname or 'local socket'}:{parts.port or 5432}{parts.path}"
        self._where = f"PostgreSQL at {server}, table {table}"
        self._deadline = Deadline(where=self._where, within=within)
        self._slots = asyncio.Semaphore(_CONNECTIONS)
        self._idle: list[Raw] = []
        self._made = False

    @classmethod
    def of(cls, url: str) -> "PostgresBlobs":
        """Open the database that a URL names, in the form that PostgreSQL's programs know.

        Raises:
            BadOption: A part of it cannot be used.
            MissingExtra: The extra `postgres` is not installed.
        """
        parts = urlsplit(url)
        given = [part for part in parts.query.split("&") if part]
        own = [part for part in given if part.partition("=")[0] in _OWN]
        rest = [part for part in given if part not in own]
        found = read_parameters("?" + "&".join(own), _OWN)
        return cls(
            parts._replace(query="&".join(rest)).geturl(),
            table=found.get("table", TABLE),
            within=read_within(found),
        )

    async def put(self, name: str, data: bytes) -> None:
        """Store a value, in one statement.

        Raises:
            PayloadTooLarge: It is larger than a row can be.
            StorageUnavailable: The server does not answer or does not let us write.
        """
        check_name(name)
        if len(data) > LARGEST:
            raise PayloadTooLarge(
                f"a value of {len(data):,} bytes is larger than a row of PostgreSQL can be "
                f"({LARGEST:,}); keep such values in a folder or in S3"
            )
        await self._execute(
            "INSERT INTO {table} AS held (name, size, data) VALUES (%s, %s, %b) "
            "ON CONFLICT (name) DO UPDATE "
            "SET size = excluded.size, data = excluded.data, changed = now()",
            (name, len(data), head_of(name, data) + data),
            size=len(data),
        )

    async def get(self, name: str) -> bytes:
        """Read a value and check it.

        Raises:
            BlobMissing: There is no such row.
            BlobBroken: Its bytes were changed.
            StorageUnavailable: The server does not answer or does not let us read.
        """
        check_name(name)
        rows = await self._execute("SELECT size FROM {table} WHERE name = %s", (name,))
        size = rows[0][0] if rows else 0
        rows = await self._execute("SELECT data FROM {table} WHERE name = %s", (name,), size=size)
        if not rows:
            raise BlobMissing(
                f"blob {name} is not in {self._where}; give every worker and client the same "
                "database and table, or restore the blob from a copy, and the run goes on"
            )
        return open_up(name, bytes(rows[0][0]), where=self._where)

    async def has(self, name: str) -> bool:
        """Whether the row is there; if so, and it is not new, it is made new."""
        check_name(name)
        rows = await self._execute(
            "SELECT changed < now() - %s FROM {table} WHERE name = %s", (REFRESH, name)
        )
        if rows and rows[0][0]:
            rows = await self._execute(
                "UPDATE {table} SET changed = now() WHERE name = %s RETURNING 1", (name,)
            )
        return bool(rows)

    async def delete(self, name: str, *, unless_since: datetime | None = None) -> bool:
        """Remove a row, if it is there and was not asked for since then."""
        check_name(name)
        rows = await self._execute(
            "DELETE FROM {table} WHERE name = %s AND (%s::timestamptz IS NULL OR changed < %s) "
            "RETURNING 1",
            (name, unless_since, unless_since),
        )
        return bool(rows)

    async def list(self) -> AsyncIterator[BlobInfo]:
        """Name every blob, page by page."""
        last = ""
        while True:
            rows = await self._execute(
                "SELECT name, octet_length(data) - %s, changed FROM {table} "
                "WHERE name > %s ORDER BY name LIMIT %s",
                (HEAD, last, _PAGE),
            )
            for name, size, changed in rows:
                last = name
                yield BlobInfo(name=name, size=max(size, 0), changed=changed)
            if len(rows) < _PAGE:
                return

    async def close(self) -> None:
        """Close the connections."""
        while self._idle:
            await self._idle.pop().close()

    async def _execute(
        self, statement: str, values: tuple[Raw, ...], *, size: int = 0
    ) -> tuple[tuple[Raw, ...], ...]:
        from psycopg import Error  # noqa: PLC0415 - optional

        text = statement.format(table=self._table)
        try:
            return await self._deadline.wait(self._run(text, values), size=size)
        except (Error, OSError) as error:
            raise StorageUnavailable(
                f"the blob store in {self._where} cannot be used: {shorten(str(error), 300)}; "
                "see that the server runs, that its disk has room and that the user may read "
                "and write the table"
            ) from error

    async def _run(self, text: str, values: tuple[Raw, ...]) -> tuple[tuple[Raw, ...], ...]:
        """Run a statement; each may be run again, so a connection that has died is replaced."""
        from psycopg import Error  # noqa: PLC0415 - optional

        async with self._slots:
            while self._idle:
                conn = self._idle.pop()
                try:
                    return await self._run_on(conn, text, values)
                except Error:
                    if not conn.broken:
                        raise
            return await self._run_on(await self._connect(), text, values)

    async def _run_on(
        self, conn: Raw, text: str, values: tuple[Raw, ...]
    ) -> tuple[tuple[Raw, ...], ...]:
        try:
            cursor = await conn.execute(text, values, binary=True)
            rows = () if cursor.description is None else tuple(await cursor.fetchall())
        except BaseException:
            await conn.close()
            raise
        self._idle.append(conn)
        return rows

    async def _connect(self) -> Raw:
        from psycopg import AsyncConnection  # noqa: PLC0415 - optional

        conn: Raw = await AsyncConnection.connect(
            self._url, autocommit=True, prepare_threshold=None
        )
        try:
            if not self._made:
                await self._make_table(conn)
                self._made = True
        except BaseException:
            await conn.close()
            raise
        return conn

    async def _make_table(self, conn: Raw) -> None:
        """Make the table if it is missing; a user who may not make one can still use it."""
        async with conn.transaction():
            cursor = await conn.execute("SELECT to_regclass(%s) IS NOT NULL", (self._table,))
            if not (await cursor.fetchone())[0]:
                await conn.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
                for statement in _MAKE.format(table=self._table).split(";"):
                    await conn.execute(statement)
