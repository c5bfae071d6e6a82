"""One dev server and one worker for the session; the command line, called in this process."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from typer.testing import CliRunner

from perdure.cli.main import app
from perdure.client import connect
from perdure.testing import DevServer, WorkerProcess

APP = Path(__file__).with_name("agents.py")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def server(tmp_path_factory):
    async with DevServer(data=tmp_path_factory.mktemp("temporal")) as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def worker(server):
    async with WorkerProcess(str(APP), address=server.address) as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def client(server, worker):
    return await connect(server.address)


@dataclass
class Told:
    """What a command printed, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def data(self):
        return json.loads(self.out)


@pytest.fixture
def perdure(server, worker):
    """Call the command line; it talks to the session's server."""

    def call(*arguments, text=None, **more):
        env = {"TEMPORAL_ADDRESS": server.address, "TEMPORAL_NAMESPACE": "default", **more}
        told = CliRunner().invoke(app, list(arguments), env=env, input=text)
        return Told(told.exit_code, told.stdout, told.stderr)

    return call


@pytest.fixture
def python():
    """Return the command that runs the command line as its own process."""
    return [sys.executable, "-m", "perdure"]
