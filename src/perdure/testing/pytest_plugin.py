"""Fixtures for tests of agents. Loaded by pytest when `perdure[test]` is installed."""

from collections.abc import AsyncGenerator

import pytest_asyncio
from temporalio.testing import WorkflowEnvironment

from perdure.testing.servers import time_skipping


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def perdure_time_skipping() -> AsyncGenerator[WorkflowEnvironment]:
    """Run Temporal's time-skipping test server for the session: days pass in milliseconds."""
    async with time_skipping() as environment:
        yield environment
