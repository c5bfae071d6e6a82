"""The backends that the conformance suite runs on, each with a real server."""

from collections.abc import AsyncGenerator, Generator

import pytest
import pytest_asyncio

from integration.blobs.backends import Bucket, Folder, Table, running_s3
from integration.postgres_server import Postgres, running_postgres
from perdure.core.ports import BlobStore
from perdure.testing import DevServer


@pytest.fixture(scope="session")
def s3() -> Generator[str]:
    with running_s3() as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def postgres() -> Generator[Postgres]:
    with running_postgres() as server:
        yield server


@pytest.fixture(params=["folder", "s3", "postgres"])
def backend(request, tmp_path) -> Folder | Bucket | Table:
    if request.param == "folder":
        return Folder(tmp_path)
    held = request.getfixturevalue(request.param)
    return Bucket(held) if request.param == "s3" else Table(held)


@pytest.fixture(params=["folder", "postgres"])
def dated(request, tmp_path) -> Folder | Table:
    """A backend whose blobs can be made old."""
    if request.param == "folder":
        return Folder(tmp_path)
    return Table(request.getfixturevalue("postgres"))


@pytest_asyncio.fixture(loop_scope="session")
async def store(backend) -> AsyncGenerator[BlobStore]:
    store = backend.open()
    yield store
    await store.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def server() -> AsyncGenerator[DevServer]:
    async with DevServer() as server:
        yield server
