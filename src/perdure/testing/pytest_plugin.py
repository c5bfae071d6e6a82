"""Fixtures for tests of agents; pytest loads them where `perdure[test]` is installed."""

from collections.abc import AsyncGenerator, Iterator
from importlib.util import find_spec

import pytest
from temporalio.testing import WorkflowEnvironment

from perdure.core.declared import DECLARED
from perdure.testing.servers import DevServer, time_skipping


@pytest.fixture
def perdure_fresh() -> Iterator[None]:
    """Start a test with no declared model or tool, and leave none behind."""
    DECLARED.clear()
    yield
    DECLARED.clear()


# A pytest without pytest-asyncio must not break because Perdure is installed beside it.
if find_spec("pytest_asyncio") is not None:
    import pytest_asyncio

    @pytest_asyncio.fixture(scope="session", loop_scope="session")
    async def perdure_time_skipping() -> AsyncGenerator[WorkflowEnvironment]:
        """Run Temporal's time-skipping server for the session: days pass in milliseconds."""
        async with time_skipping() as environment:
            yield environment

    @pytest_asyncio.fixture(scope="session", loop_scope="session")
    async def perdure_dev_server() -> AsyncGenerator[DevServer]:
        """Run Temporal's dev server for the session, with Perdure's search attributes."""
        async with DevServer() as server:
            yield server
