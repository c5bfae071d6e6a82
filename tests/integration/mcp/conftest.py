"""Servers and workers of the tests of MCP tools."""

from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio
from temporalio.testing import WorkflowEnvironment

from integration.mcp.peers import HttpServer
from integration.runtime.harness import Lab


@pytest.fixture(autouse=True)
def _declare_nothing(fresh_declarations: None) -> None:
    """Every test declares its own models and servers."""


@pytest.fixture(params=[0, 100], ids=["replayed", "cached"])
def lab(skipping: WorkflowEnvironment, request: pytest.FixtureRequest) -> Lab:
    """A server whose worker replays a run for each task, or keeps it in memory."""
    return Lab(client=skipping.client, environment=skipping, cache=request.param)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def steady() -> AsyncGenerator[HttpServer]:
    """A server that no test kills or changes."""
    tools = ("forecast", "add", "nothing", "fail", "picture", "key", "header", "ask_back", "sample")
    async with HttpServer(*tools, "slow", "whoami") as server:
        yield server


@pytest_asyncio.fixture(loop_scope="session")
async def peer() -> AsyncGenerator[HttpServer]:
    """A server for one test alone, to be killed."""
    async with HttpServer("forecast", "add", "whoami", "stall", "slow") as server:
        yield server
