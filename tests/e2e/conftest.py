"""One Temporal server for the suite, and scenes to play runs in."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_asyncio
from temporalio.runtime import Runtime

from e2e.scene import SUPPORT, Scene, scene
from perdure.client import Client, connect
from perdure.testing import DevServer
from perdure.worker.agents import Agents
from perdure.worker.apps import load_app

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.e2e)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def server() -> AsyncGenerator[DevServer]:
    """Temporal's dev server, on a SQLite file and a free port."""
    async with DevServer() as server:
        yield server


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def client(server: DevServer, quiet: Runtime) -> Client:
    return await connect(server.address, runtime=quiet)


@pytest.fixture(scope="session")
def agents() -> Agents:
    """The example's agents in this process, to replay histories against."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SUPPORT_MODEL", "offline")
        return load_app(str(SUPPORT))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def steady(
    server: DevServer, client: Client, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[Scene]:
    """A scene with a worker that nobody kills, for every test that needs no other."""
    async with scene(tmp_path_factory.mktemp("steady"), client, server.address) as steady:
        await steady.start_worker()
        yield steady


@pytest_asyncio.fixture(loop_scope="session")
async def stage(server: DevServer, client: Client, tmp_path: Path) -> AsyncGenerator[Scene]:
    """An empty scene for one test."""
    async with scene(tmp_path, client, server.address) as stage:
        yield stage
