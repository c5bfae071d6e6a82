"""The server, the workers and the page of results."""

from collections.abc import AsyncGenerator
from os import environ
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from temporalio.runtime import Runtime

from conformance.case import Case
from conformance.page import Row, write_page
from conformance.world import World, open_world
from perdure.client import Client
from perdure.core.declared import DECLARED
from perdure.storage.sinks import MemorySink
from perdure.testing.servers import DevServer

_ROWS: dict[str, Row] = {}


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def world(quiet: Runtime) -> AsyncGenerator[World]:
    DECLARED.clear()
    async with DevServer() as server:
        client = Client(await server.client(), sink=MemorySink())
        async with open_world(client) as world:
            yield world
    DECLARED.clear()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: Any, call: Any) -> Any:
    report = yield
    case = getattr(item, "callspec", None) and item.callspec.params.get("case")
    if isinstance(case, Case) and (report.when == "call" or report.failed):
        said = str(call.excinfo.value) if call.excinfo is not None else ""
        _ROWS[case.id] = Row(case=case, passed=report.passed, said=said)
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    folder = environ.get("PERDURE_CONFORMANCE_PAGE")
    if folder and _ROWS:
        write_page(Path(folder), list(_ROWS.values()))
