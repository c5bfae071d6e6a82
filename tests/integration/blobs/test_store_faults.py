"""Blob stores that are down, slow, full, read-only, half written or wrongly named."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from integration.blobs.backends import BUCKET, KEYS, Bucket, Folder, Table
from integration.postgres_server import free_port, running_postgres
from perdure.errors import (
    BadOption,
    BlobMissing,
    MissingExtra,
    PayloadTooLarge,
    StorageUnavailable,
)
from perdure.storage.blobs import open_blobs
from perdure.storage.blobs.form import HEAD

A, B = "a" * 32, "b" * 32
MIB = 1024 * 1024


def s3_url(port: int, **more: str) -> str:
    settings = "&".join(f"{k}={v}" for k, v in {**KEYS, **more}.items())
    return f"s3://{BUCKET}/x?endpoint=http://127.0.0.1:{port}&{settings}"


def postgres_url(port: int, **more: str) -> str:
    settings = "&".join(f"{k}={v}" for k, v in more.items())
    return f"postgresql://someone:hunter2@127.0.0.1:{port}/db?{settings}"


REMOTE = pytest.mark.parametrize("url_of", [s3_url, postgres_url], ids=["s3", "postgres"])


async def uses(store):
    async def lists():
        return [info async for info in store.list()]

    yield lambda: store.put(A, b"x")
    yield lambda: store.get(A)
    yield lambda: store.has(A)
    yield lambda: store.delete(A)
    yield lists


@asynccontextmanager
async def answering(reply: bytes | None) -> AsyncGenerator[int]:
    """Listen, and give everybody the same answer, or none at all."""

    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        if reply is None:
            await reader.read()
        else:
            writer.write(reply)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def http(status: str, body: str) -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return (head + body).encode()


@REMOTE
async def test_a_store_that_is_down_says_where_and_what_to_do(url_of):
    store = open_blobs(url_of(free_port(), within="2"))
    async for use in uses(store):
        with pytest.raises(StorageUnavailable, match=r"blob store .*see that") as caught:
            await use()
        assert "hunter2" not in str(caught.value)
    await store.close()


@REMOTE
async def test_a_store_that_never_answers_is_given_up(url_of):
    async with answering(None) as port:
        store = open_blobs(url_of(port, within="0.3"))
        async for use in uses(store):
            with pytest.raises(StorageUnavailable, match=r"blob store"):
                await use()
        await store.close()


async def test_a_disk_that_never_answers_is_given_up(tmp_path):
    backend = Folder(tmp_path)
    store = backend.open(within="0.3")
    await store.put(A, b"x")
    place = backend.folder / A[:2] / A
    place.unlink()
    os.mkfifo(place)  # whoever opens it waits for a writer
    with pytest.raises(StorageUnavailable, match=r"did not answer within 0\.3 s.*within=SECONDS"):
        await store.get(A)
    with place.open("wb"):
        await store.close()


@pytest.mark.parametrize(
    ("status", "code", "mend"),
    [
        ("403 Forbidden", "AccessDenied", "credentials"),
        ("404 Not Found", "NoSuchBucket", "create the bucket"),
        ("503 Slow Down", "SlowDown", "see that the server is up"),
        ("507 Insufficient Storage", "XMinioStorageFull", "see that the server is up"),
    ],
)
async def test_what_s3_refuses_is_told_with_a_mend(status, code, mend):
    async with answering(http(status, f"<Error><Code>{code}</Code></Error>")) as port:
        store = open_blobs(s3_url(port, within="3"))
        with pytest.raises(StorageUnavailable, match=f"(?s){code}.*{mend}"):
            await store.put(A, b"x")
        with pytest.raises(StorageUnavailable, match=f"(?s){code}.*{mend}"):
            await store.get(A)


async def test_a_missing_bucket_is_no_missing_blob(s3):
    store = Bucket(s3).open()
    other = open_blobs(f"s3://no-such-bucket/x?endpoint={s3}&access_key_id=a&secret_access_key=b")
    with pytest.raises(BlobMissing):
        await store.get(A)
    with pytest.raises(StorageUnavailable, match="create the bucket"):
        await other.get(A)
    with pytest.raises(StorageUnavailable, match="create the bucket"):
        assert [info async for info in other.list()] == []


async def test_postgres_is_used_again_when_it_is_back():
    with running_postgres() as server:
        store = open_blobs(f"{server.url}?within=5")
        await store.put(A, b"x")
        server.stop()
        with pytest.raises(StorageUnavailable, match="see that the server runs"):
            await store.get(A)
        server.start()
        assert await store.get(A) == b"x"
        await store.close()


async def test_a_database_that_is_read_only_still_gives_what_it_has(postgres):
    backend = Table(postgres)
    store = backend.open()
    await store.put(A, b"x")
    reading = backend.open(options="-c default_transaction_read_only=on")
    assert await reading.get(A) == b"x"
    with pytest.raises(StorageUnavailable, match=r"read-only transaction.*may read and write"):
        await reading.put(B, b"y")
    await store.close()
    await reading.close()


async def test_six_processes_make_the_table_at_the_same_time(postgres):
    backend = Table(postgres)
    stores = [backend.open() for _ in range(6)]
    await asyncio.gather(*(store.put(A, b"x") for store in stores))
    assert await stores[0].get(A) == b"x"
    for store in stores:
        await store.close()


async def test_a_user_who_may_not_make_tables_uses_the_one_that_is_there(postgres):
    backend = Table(postgres)
    store = backend.open()
    await store.put(A, b"x")
    with psycopg.connect(postgres.url) as conn:
        conn.execute(f"CREATE ROLE guest_{backend.name} LOGIN")
        conn.execute(f"GRANT SELECT ON {backend.name} TO guest_{backend.name}")
    url = postgres.url.replace("perdure@", f"guest_{backend.name}@")
    guest = open_blobs(f"{url}?table={backend.name}")
    assert await guest.get(A) == b"x"
    with pytest.raises(StorageUnavailable, match="permission denied"):
        await guest.put(B, b"y")
    await store.close()
    await guest.close()


async def test_what_no_row_can_hold_is_refused_before_it_is_sent(postgres, monkeypatch):
    monkeypatch.setattr("perdure.storage.blobs.postgres.LARGEST", 10)
    store = Table(postgres).open()
    with pytest.raises(PayloadTooLarge, match=r"11 bytes.*folder or in S3"):
        await store.put(A, b"x" * 11)
    await store.close()


# The folder


@contextmanager
def unprivileged() -> Generator[Path]:
    """Give a folder that root's rights do not reach into."""
    folder = Path(tempfile.mkdtemp(prefix="perdure-blobs-"))
    user = os.geteuid()
    if user == 0:
        shutil.chown(folder, "nobody")
        os.seteuid(folder.stat().st_uid)
    try:
        yield folder
    finally:
        os.seteuid(user)
        folder.chmod(0o700)
        shutil.rmtree(folder)


async def test_a_folder_that_is_read_only_still_gives_what_it_has():
    with unprivileged() as place:
        backend = Folder(place)
        store = backend.open()
        await store.put(A, b"x")
        for folder in (backend.folder, *backend.folder.iterdir()):
            folder.chmod(0o500)
        try:
            assert await store.get(A) == b"x"
            assert await store.has(A)
            with pytest.raises(StorageUnavailable, match=r"denied; let the process read and write"):
                await store.put(B, b"y")
            with pytest.raises(StorageUnavailable, match="denied"):
                await store.delete(A)
        finally:
            for folder in (backend.folder, *backend.folder.iterdir()):
                folder.chmod(0o700)
        await store.put(B, b"y")
        await store.close()


async def test_a_full_disk_is_told_and_leaves_nothing_half_written(tmp_path, monkeypatch):
    backend = Folder(tmp_path)
    store = backend.open()
    await store.put(B, b"y")

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(StorageUnavailable, match=r"No space left.*perdure gc"):
            await store.put(A, b"x" * MIB)
    assert (await store.has(A), list((backend.folder / ".parts").iterdir())) == (False, [])
    await store.put(A, b"x" * MIB)
    assert await store.get(A) == b"x" * MIB
    await store.close()


def in_process(folder: Path, body: str) -> subprocess.CompletedProcess[str]:
    """Run some lines with `store` and A in a process of their own."""
    script = (
        "import asyncio, os, resource, signal\n"
        "from perdure.storage.blobs import open_blobs\n"
        f"A = {A!r}\n"
        f"store = open_blobs('file://{folder}')\n"
        f"async def main():\n{textwrap.indent(textwrap.dedent(body), '    ')}\n"
        "asyncio.run(main())\n"
    )
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60
    )


async def test_a_limit_of_the_file_size_is_told(tmp_path):
    backend = Folder(tmp_path)
    done = in_process(
        backend.folder,
        """
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        await store.put(A, b"x" * 200_000)
        """,
    )
    assert "StorageUnavailable" in done.stderr
    assert "File too large; allow larger files" in done.stderr
    store = backend.open()
    assert [info async for info in store.list()] == []
    await store.close()


async def test_a_writer_that_is_killed_leaves_no_blob(tmp_path):
    backend = Folder(tmp_path)
    done = in_process(
        backend.folder,
        """
        await store.put(A[:-1] + "b", b"y")
        os.fsync = lambda handle: os.kill(os.getpid(), signal.SIGKILL)
        await store.put(A, b"x" * 200_000)
        """,
    )
    assert done.returncode == -signal.SIGKILL
    parts = backend.folder / ".parts"
    assert len(list(parts.iterdir())) == 1
    store = backend.open()
    assert [info.name async for info in store.list()] == [A[:-1] + "b"]
    assert not await store.has(A)
    await store.put(A, b"x")
    assert (await store.get(A), len(list(parts.iterdir()))) == (b"x", 1)
    await store.close()
    # A day later the next writer clears it away.
    then = (datetime.now(UTC) - timedelta(days=2)).timestamp()
    for part in parts.iterdir():
        os.utime(part, (then, then))
    store = backend.open()
    await store.put(B, b"y")
    assert list(parts.iterdir()) == []
    await store.close()


async def test_a_file_that_was_cut_off_is_not_there_for_who_would_rely_on_it(tmp_path):
    backend = Folder(tmp_path)
    store = backend.open()
    await store.put(A, b"x" * 1000)
    backend.spoil(A, backend.stored(A)[: HEAD + 10])
    assert not await store.has(A)
    await store.close()


async def test_a_folder_that_is_gone_is_no_missing_blob(tmp_path):
    backend = Folder(tmp_path)
    store = backend.open()
    with pytest.raises(StorageUnavailable, match="is not there; mount"):
        await store.get(A)
    await store.close()


async def test_a_file_where_the_folder_should_be_is_told(tmp_path):
    backend = Folder(tmp_path)
    backend.folder.write_text("in the way")
    store = backend.open()
    with pytest.raises(StorageUnavailable, match="name a folder"):
        await store.put(A, b"x")
    await store.close()


async def test_other_files_in_the_folder_are_left_alone(tmp_path):
    backend = Folder(tmp_path)
    store = backend.open()
    await store.put(A, b"x")
    (backend.folder / "README").write_text("mine")
    (backend.folder / A[:2] / "notes.txt").write_text("mine")
    assert [info.name async for info in store.list()] == [A]
    await store.close()


# URLs


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("ftp://user:hunter2@host/x", "write file:///folder, s3://"),
        ("blobs", "write file:///folder"),
        ("file://", "file:///folder"),
        ("file://host/folder", "file:///folder"),
        ("file:///folder?fsync=no", "fsync"),
        ("file:///folder?within=soon", "within='soon'"),
        ("file:///folder?within=0", "within='0'"),
        ("file:///folder?within=1e99", "within"),
        ("s3:///prefix", "s3://bucket/prefix"),
        ("s3://key:hunter2@bucket/x", "s3://bucket/prefix"),
        ("s3://bucket/../x", "s3://bucket/prefix"),
        ("s3://bucket/x?bucket=other", "'bucket'"),
        ("s3://bucket/x?region=", "'region'"),
        ("postgresql://host/db?table=a;drop", "table="),
        ("postgresql://host/db?within=-1", "within="),
    ],
)
def test_a_url_that_names_no_store_is_refused(url, words):
    with pytest.raises(BadOption) as caught:
        open_blobs(url)
    assert words in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_relative_folder_is_taken_from_where_the_program_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = open_blobs("file:some/blobs")
    asyncio.run(store.put(A, b"x"))
    assert (tmp_path / "some" / "blobs" / "aa" / A).exists()


@pytest.mark.parametrize(
    ("url", "package"),
    [("s3://bucket/x", "perdure[s3]"), ("postgresql://host/db", "perdure[postgres]")],
)
def test_a_package_that_is_missing_is_named(url, package, monkeypatch):
    for room in ("s3", "postgres"):
        monkeypatch.setattr(f"perdure.storage.blobs.{room}.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match="pip install") as caught:
        open_blobs(url)
    assert package in str(caught.value)


def test_only_the_library_of_the_backend_in_use_is_loaded(tmp_path):
    script = (
        "import sys\nfrom perdure.storage.blobs import open_blobs\n"
        f"open_blobs('file://{tmp_path}')\n"
        "print({'obstore', 'psycopg', 'langgraph', 'temporalio'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"
