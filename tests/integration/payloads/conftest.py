"""A server for runs whose payloads are encrypted or offloaded, and keys."""

from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio

from integration.payloads.lab import Lab
from perdure.testing import DevServer

_PROMPT = (
    *("--dynamic-config-value", 'history.defaultWorkflowTaskTimeout="3s"'),
    *("--dynamic-config-value", 'history.workflowTaskRetryMaxInterval="1s"'),
)
"""A workflow task that failed is tried again soon."""


@pytest.fixture(autouse=True)
def _declare_nothing(fresh_declarations: None) -> None:
    """Every test declares its own models and tools."""


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def server() -> AsyncGenerator[DevServer]:
    async with DevServer(extra=_PROMPT) as server:
        yield server


@pytest.fixture(params=[0, 100], ids=["replayed", "cached"])
def cache(request: pytest.FixtureRequest) -> int:
    """Whether each workflow task replays the run from its start, or finds it in memory."""
    return request.param


@pytest.fixture
def lab(server: DevServer, cache: int, tmp_path) -> Lab:
    return Lab(server=server, cache=cache, folder=tmp_path / "blobs")
