"""Servers and workers of the runtime's tests."""

from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio
from temporalio.testing import WorkflowEnvironment

from integration.runtime.harness import Lab
from perdure.testing.servers import DevServer


@pytest.fixture(autouse=True)
def _declare_nothing(fresh_declarations: None) -> None:
    """Every test declares its own models and tools."""


@pytest.fixture(params=[0, 100], ids=["replayed", "cached"])
def cache(request: pytest.FixtureRequest) -> int:
    """Whether each workflow task replays the run from its start, or finds it in memory."""
    return request.param


@pytest.fixture
def lab(skipping: WorkflowEnvironment, cache: int) -> Lab:
    """The time-skipping server. Its clock jumps only where a test says `skip=True`."""
    return Lab(client=skipping.client, environment=skipping, cache=cache)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def server() -> AsyncGenerator[DevServer]:
    """Temporal's dev server, for what the time-skipping one lacks."""
    async with DevServer() as server:
        yield server


@pytest_asyncio.fixture(loop_scope="session")
async def real(server: DevServer, cache: int) -> Lab:
    """The dev server, with search attributes and the real clock."""
    return Lab(client=await server.client(), cache=cache)
