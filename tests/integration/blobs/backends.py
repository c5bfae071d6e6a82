"""What the conformance suite needs of a backend beyond the Protocol: to reach behind it."""

import os
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import quote, urlencode
from uuid import uuid4

import psycopg
from obstore.store import S3Store
from psycopg import sql

from integration.postgres_server import Postgres, free_port
from perdure.core.ports import BlobStore
from perdure.storage.blobs import open_blobs

BUCKET = "perdure-test"
KEYS = {"access_key_id": "test", "secret_access_key": "test", "region": "us-east-1"}


class Folder:
    """Blobs in a local folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "blobs"

    def open(self, **more: str) -> BlobStore:
        return open_blobs(f"file://{self.folder}?{urlencode(more)}")

    def stored(self, name: str) -> bytes:
        return (self.folder / name[:2] / name).read_bytes()

    def spoil(self, name: str, stored: bytes) -> None:
        (self.folder / name[:2] / name).write_bytes(stored)

    def age(self, name: str, hours: int) -> None:
        then = time.time() - hours * 3600
        os.utime(self.folder / name[:2] / name, (then, then))


class Bucket:
    """Blobs in a bucket of a server that speaks S3."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.prefix = uuid4().hex

    def open(self, **more: str) -> BlobStore:
        settings = {"endpoint": self.endpoint, **KEYS, **more}
        return open_blobs(f"s3://{BUCKET}/{self.prefix}?{urlencode(settings)}")

    def stored(self, name: str) -> bytes:
        return bytes(self._raw().get(name).bytes())

    def spoil(self, name: str, stored: bytes) -> None:
        self._raw().put(name, stored)

    def _raw(self) -> S3Store:
        options = {"allow_http": True}
        return S3Store(
            BUCKET, prefix=self.prefix, endpoint=self.endpoint, client_options=options, **KEYS
        )


class Table:
    """Blobs in a table of PostgreSQL."""

    def __init__(self, server: Postgres) -> None:
        self.server = server
        self.name = f"blobs_{uuid4().hex[:12]}"

    def open(self, **more: str) -> BlobStore:
        return open_blobs(
            f"{self.server.url}?{urlencode({'table': self.name, **more}, quote_via=quote)}"
        )

    def stored(self, name: str) -> bytes:
        with psycopg.connect(self.server.url) as conn:
            row = conn.execute(self._sql("SELECT data FROM {}"), (name,)).fetchone()
        return bytes(row[0])

    def spoil(self, name: str, stored: bytes) -> None:
        with psycopg.connect(self.server.url) as conn:
            conn.execute(self._sql("UPDATE {} SET data = %s"), (stored, name))

    def age(self, name: str, hours: int) -> None:
        with psycopg.connect(self.server.url) as conn:
            text = self._sql("UPDATE {} SET changed = now() - make_interval(hours => %s)")
            conn.execute(text, (hours, name))

    def _sql(self, text: str) -> sql.Composed:
        return sql.SQL(text + " WHERE name = %s").format(sql.Identifier(self.name))


@contextmanager
def running_s3() -> Generator[str]:
    """Start an S3 server with one bucket in a process of its own; yields its endpoint."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(300):
            try:
                connection = HTTPConnection("127.0.0.1", port, timeout=5)
                connection.request("PUT", f"/{BUCKET}")
                assert connection.getresponse().status == 200
                break
            except ConnectionRefusedError:
                assert server.poll() is None
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.kill()
        server.wait()
