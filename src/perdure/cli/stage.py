"""Everything the demo needs, on free ports in one folder: Temporal, a worker, a mailbox."""

import importlib
import os
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Protocol, cast

import perdure
from perdure.cli.options import Where
from perdure.cli.output import err
from perdure.cli.session import open_client
from perdure.client import Client
from perdure.errors import AppFailed, MissingExtra
from perdure.testing.process import WorkerProcess
from perdure.testing.servers import DevServer
from perdure.worker.agents import Agents
from perdure.worker.apps import load_app

THINKING = "0.4"
"""Seconds the offline model takes for an answer, so that a person can follow."""


class Mailbox(Protocol):
    """What the demo needs of the example's SMTP sink."""

    port: int

    def start(self) -> object:
        """Listen."""
        ...

    def stop(self) -> None:
        """Stop listening."""
        ...

    def messages(self) -> list[EmailMessage]:
        """Return what arrived."""
        ...

    def raw_deliveries(self) -> int:
        """Count the deliveries at the wire."""
        ...


@dataclass
class Stage:
    """The parts of the demo, running."""

    app: Path
    server: DevServer
    client: Client
    mailbox: Mailbox
    env: dict[str, str]
    folder: Path
    worker: WorkerProcess

    async def start_worker(self) -> None:
        """Start a worker process and wait until it takes work."""
        self.worker = make_worker(self.app, self.server, self.env, self.folder)
        self.worker.start()
        await self.worker.wait_ready()

    def agents(self) -> Agents:
        """Load the app into this process, with the worker's settings, for a replay."""
        os.environ.update(self.env)
        return load_app(str(self.app))


def end_in_order() -> None:
    """Let SIGTERM and a closed terminal end this program as Ctrl-C does: nothing stays behind."""
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)


@asynccontextmanager
async def set_stage(folder: Path, *, kb: Path | None, verbose: bool) -> AsyncGenerator[Stage]:
    """Start all parts; stop them, by their process ids, when the block is left.

    Raises:
        MissingExtra: The extras `local` or `examples` are not installed.
    """
    app = find_example()
    mailbox = open_mailbox(app, folder / "inbox")
    mailbox.start()
    env = {
        "SUPPORT_SMTP": f"127.0.0.1:{mailbox.port}",
        "SUPPORT_DESK": str(folder / "desk.sqlite"),
        "SUPPORT_OFFLINE_DELAY": os.environ.get("SUPPORT_OFFLINE_DELAY") or THINKING,
    }
    if kb is not None:
        env["SUPPORT_KB"] = str(kb)
    try:
        async with DevServer(data=folder / "temporal") as server:
            err(f"Temporal runs at {server.address}, a mailbox at 127.0.0.1:{mailbox.port}")
            where = Where(address=server.address, namespace="default", profile=None)
            client = await open_client(where, verbose=verbose)
            worker = make_worker(app, server, env, folder)
            stage = Stage(
                app=app,
                server=server,
                client=client,
                mailbox=mailbox,
                env=env,
                folder=folder,
                worker=worker,
            )
            try:
                await stage.start_worker()
                err(f"a worker runs: pid {stage.worker.pid}")
                yield stage
            finally:
                stage.worker.kill()
    finally:
        mailbox.stop()


def make_worker(app: Path, server: DevServer, env: dict[str, str], folder: Path) -> WorkerProcess:
    """Describe a worker process of the example."""
    return WorkerProcess(
        app=str(app), address=server.address, env=env, cwd=folder, log=folder / "worker.log"
    )


def find_example() -> Path:
    """Find the support agent: in the installed package, or in a checkout.

    Raises:
        AppFailed: It is in neither place.
    """
    package = Path(perdure.__file__).parent
    places = [
        package / "_examples" / "support_agent",
        package.parent.parent / "examples" / "support_agent",
    ]
    for place in places:
        if (place / "app.py").is_file():
            return place
    raise AppFailed("the support agent is not part of this installation; clone the project")


def open_mailbox(app: Path, folder: Path) -> Mailbox:
    """Make the example's SMTP sink.

    Raises:
        MissingExtra: Its SMTP library is not installed.
    """
    sys.path.insert(0, str(app.parent))
    try:
        module = importlib.import_module(f"{app.name}.mailbox")
    except ImportError as error:
        raise MissingExtra(
            f"the demo's mailbox needs {error.name!r}: pip install 'perdure[local,examples]'"
        ) from error
    return cast("Mailbox", module.Mailbox(folder))
