"""Fixtures that every suite shares: real servers, quiet logging."""

import shutil
from collections.abc import AsyncGenerator, Iterator

import pytest
import pytest_asyncio
from temporalio.runtime import LoggingConfig, Runtime, TelemetryConfig
from temporalio.testing import WorkflowEnvironment

from perdure.core.declared import DECLARED


@pytest.fixture(scope="session")
def quiet() -> Runtime:
    return Runtime(telemetry=TelemetryConfig(logging=LoggingConfig(filter="off")))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def skipping(quiet: Runtime) -> AsyncGenerator[WorkflowEnvironment]:
    """Temporal's time-skipping server: a day passes in milliseconds."""
    binary = shutil.which("temporal-test-server")
    assert binary, "the extra `test` brings the server"
    async with await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=binary, runtime=quiet
    ) as environment:
        yield environment


@pytest.fixture
def fresh_declarations() -> Iterator[None]:
    """Start with no declared model or tool, and leave none behind."""
    DECLARED.clear()
    yield
    DECLARED.clear()
