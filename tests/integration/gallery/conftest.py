"""One server, one worker process, and each shape played once on either side."""

import json
import os
import subprocess
import sys
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from temporalio.runtime import Runtime

from integration.gallery.shapes import GALLERY
from integration.gallery.stage import Asked, Show, Stage
from perdure.client import Client, connect
from perdure.testing import DevServer, WorkerProcess
from perdure.worker.agents import Agents
from perdure.worker.projects import open_app

TESTS = Path(__file__).parents[2]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def server() -> AsyncGenerator[DevServer]:
    async with DevServer() as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def client(server: DevServer, quiet: Runtime) -> Client:
    return await connect(server.address, runtime=quiet)


@pytest.fixture(scope="session")
def asked() -> Iterator[Asked]:
    """The model that the worker process asks."""
    asked = Asked()
    with asked.server:
        yield asked


@pytest.fixture(scope="session")
def asked_plainly() -> Iterator[Asked]:
    """The model that plain LangGraph asks."""
    asked = Asked()
    with asked.server:
        yield asked


@pytest.fixture(scope="session")
def plain_process(
    asked_plainly: Asked, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[subprocess.Popen[str]]:
    """A process of plain LangGraph, at work while the worker starts."""
    path = os.pathsep.join([str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])])
    with subprocess.Popen(
        [sys.executable, "-m", "integration.gallery.plain"],
        cwd=tmp_path_factory.mktemp("plain"),
        env={**os.environ, **asked_plainly.server.environment, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        process.kill()


@pytest.fixture(scope="session")
def plain(plain_process: subprocess.Popen[str]) -> dict[str, list[Any]]:
    """The outputs of plain LangGraph, by shape."""
    outputs, errors = plain_process.communicate()
    assert plain_process.returncode == 0, errors
    return json.loads(outputs)


@pytest.fixture(scope="session")
def agents(asked: Asked) -> Iterator[Agents]:
    """The gallery in this process, to replay histories against."""
    before = set(sys.modules)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", list(sys.path))
        for name, value in asked.server.environment.items():
            patch.setenv(name, value)
        agents, warnings = open_app(str(GALLERY), environment=os.environ)
        agents.build()
    assert warnings == ()
    yield agents
    for name in set(sys.modules) - before:
        if str(GALLERY) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def worker(
    plain_process: subprocess.Popen[str],
    server: DevServer,
    asked: Asked,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncGenerator[WorkerProcess]:
    """A `perdure worker` of the gallery."""
    del plain_process  # only to be started before
    async with WorkerProcess(
        str(GALLERY),
        address=server.address,
        task_queue="gallery",
        env=asked.server.environment,
        cwd=tmp_path_factory.mktemp("gallery"),
    ) as worker:
        yield worker


@pytest.fixture(scope="session")
def stage(worker: WorkerProcess, client: Client, agents: Agents) -> Stage:
    return Stage(client=client, queue=worker.task_queue, codec=agents.codec)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def show(stage: Stage, asked: Asked) -> Show:
    """Every shape, played once."""
    before = asked.count
    shapes = await stage.play()
    return Show(shapes=shapes, prompts=asked.count - before)
