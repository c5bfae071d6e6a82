"""Fixtures that every suite shares: real servers, quiet logging."""

from collections.abc import AsyncGenerator, Iterator

import pytest
import pytest_asyncio
from temporalio.runtime import LoggingConfig, Runtime, TelemetryConfig
from temporalio.testing import WorkflowEnvironment

from perdure.core.declared import DECLARED
from perdure.testing import time_skipping


@pytest.fixture(scope="session")
def quiet() -> Runtime:
    return Runtime(telemetry=TelemetryConfig(logging=LoggingConfig(filter="off")))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def skipping(quiet: Runtime) -> AsyncGenerator[WorkflowEnvironment]:
    """Temporal's time-skipping server: a day passes in milliseconds."""
    async with time_skipping(runtime=quiet) as environment:
        yield environment


@pytest.fixture
def fresh_declarations() -> Iterator[None]:
    """Start with no declared model or tool, and leave none behind."""
    DECLARED.clear()
    yield
    DECLARED.clear()
