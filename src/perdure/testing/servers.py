"""Temporal servers for tests and for one machine: the dev server, and one that skips time."""

import asyncio
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import temporalio.client
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.runtime import Runtime
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment

from perdure.client.poll import until
from perdure.core.names import INT_ATTRIBUTES, KEYWORD_ATTRIBUTES
from perdure.errors import MissingExtra, PortTaken, ServerUnavailable, Unavailable

if sys.platform != "win32":
    import fcntl

HOST = "127.0.0.1"
START_WITHIN = timedelta(seconds=40)
STOP_WITHIN = 10.0
_EXTRAS = {"temporal": "local", "temporal-test-server": "test"}
_LOG_TAIL = 1500


def free_port() -> int:
    """Return a port that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def is_taken(port: int) -> bool:
    """Tell whether a program listens on the port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return True
    return False


def find_binary(name: str) -> Path:
    """Find a server's program: beside this Python, else on the PATH.

    Raises:
        MissingExtra: It is not installed; the text names the extra that brings it.
    """
    beside = Path(sys.executable).parent / name
    if beside.is_file():
        return beside
    found = shutil.which(name)
    if found is None:
        extra = _EXTRAS.get(name, name)
        raise MissingExtra(
            f"the program {name!r} is not installed: pip install 'perdure[{extra}]', "
            "or put it on the PATH"
        )
    return Path(found)


@dataclass
class DevServer(AbstractAsyncContextManager["DevServer"]):
    """Temporal's development server as a process of its own, with everything in one file.

    Killed and started again on the same file it goes on where it was. Not for production.
    """

    data: Path | None = None
    """Folder of the database and the log; a temporary one by default."""
    port: int = 0
    """0 means any free port."""
    ui_port: int | None = None
    """None means no Web UI, 0 any free port."""
    in_memory: bool = False
    """Keep no database: faster, and everything ends with the server."""
    attributes: bool = True
    """Whether Perdure's search attributes are registered at the start."""
    extra: Sequence[str] = ()
    """More arguments for `temporal server start-dev`."""
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False, repr=False)
    _temporary: tempfile.TemporaryDirectory[str] | None = field(
        default=None, init=False, repr=False
    )

    @property
    def address(self) -> str:
        """Where clients connect to."""
        return f"{HOST}:{self.port}"

    @property
    def ui_url(self) -> str | None:
        """Where a browser finds Temporal's own UI."""
        return None if self.ui_port is None else f"http://{HOST}:{self.ui_port}"

    @property
    def pid(self) -> int | None:
        """The process id, while it runs."""
        return self._process.pid if self._process is not None else None

    @property
    def log(self) -> Path:
        """Where the server writes what it has to say."""
        return self._folder() / "server.log"

    @property
    def file(self) -> Path:
        """The database."""
        return self._folder() / "temporal.sqlite"

    async def start(self, *, within: timedelta = START_WITHIN) -> Self:
        """Start the server and wait until it answers.

        Raises:
            PortTaken: Another program listens on a port that was asked for.
        Unavailable: Another dev server uses the folder.
            MissingExtra: The `temporal` program is not installed.
            ServerUnavailable: It ended, or did not answer in time; the text has its last words.
        """
        binary = find_binary("temporal")
        with self.log.open("ab") as log:
            self._claim_folder(log)
            self._claim_ports()
            self._process = self._spawn([str(binary), *self._arguments()], log)
            self._pid_file().write_text(str(self._process.pid), "utf-8")
        if not await until(self._answers, within=within):
            self.kill()
            raise ServerUnavailable(
                f"Temporal's dev server did not answer at {self.address} within "
                f"{within.total_seconds():g} s.\n{self._last_words()}"
            )
        return self

    def kill(self) -> None:
        """End the server as a power cut would (SIGKILL)."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """Ask the server to end, and see to it that it does."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(STOP_WITHIN)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    async def restart(self, *, within: timedelta = START_WITHIN) -> Self:
        """Start again on the same file and port, after `kill`, `stop` or neither."""
        self.stop()
        return await self.start(within=within)

    async def client(self, namespace: str = "default") -> temporalio.client.Client:
        """Return a client of Temporal's own."""
        return await temporalio.client.Client.connect(self.address, namespace=namespace)

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        if self._temporary is not None:
            self._temporary.cleanup()
            self._temporary = None

    def _folder(self) -> Path:
        if self.data is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="perdure-")
            self.data = Path(self._temporary.name)
        self.data.mkdir(parents=True, exist_ok=True)
        return self.data

    def _pid_file(self) -> Path:
        return self._folder() / "server.pid"

    def _claim_folder(self, log: IO[bytes]) -> None:
        """Lock the log; the server inherits it, so the lock lives exactly as long."""
        if sys.platform == "win32":
            return
        try:
            fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            known = self._pid_file()
            pid = known.read_text("utf-8") if known.is_file() else "?"
            raise Unavailable(
                f"a dev server (pid {pid}) uses the folder {str(self.data)!r} already; end it "
                f"(kill {pid}), or choose another folder: --data DIR"
            ) from error

    def _claim_ports(self) -> None:
        self.port = self._claim(self.port, "--port")
        if self.ui_port is not None:
            self.ui_port = self._claim(self.ui_port, "--ui-port")

    def _claim(self, port: int, option: str) -> int:
        if port == 0:
            return free_port()
        if is_taken(port):
            raise PortTaken(
                f"port {port} is taken by another program; end that one, or choose another "
                f"port: {option} N"
            )
        return port

    def _arguments(self) -> list[str]:
        arguments = ["server", "start-dev", "--ip", HOST, "--port", str(self.port)]
        if self.ui_port is None:
            arguments.append("--headless")
        else:
            arguments += ["--ui-ip", HOST, "--ui-port", str(self.ui_port)]
        arguments += ["--log-level", "warn"]
        if not self.in_memory:
            arguments += ["--db-filename", str(self.file)]
        if self.attributes:
            for name in KEYWORD_ATTRIBUTES:
                arguments += ["--search-attribute", f"{name}=Keyword"]
            for name in INT_ATTRIBUTES:
                arguments += ["--search-attribute", f"{name}=Int"]
        return [*arguments, *self.extra]

    def _spawn(self, command: list[str], log: IO[bytes]) -> subprocess.Popen[bytes]:
        # A session of its own: Ctrl-C in a terminal must reach the worker before its server.
        return subprocess.Popen(  # noqa: S603 - the program was found by find_binary
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    async def _answers(self) -> bool | None:
        process = self._process
        if process is not None and process.poll() is not None:
            self._process = None
            raise ServerUnavailable(
                f"Temporal's dev server ended at once (exit {process.returncode}).\n"
                f"{self._last_words()}"
            )
        if not is_taken(self.port):
            return None
        try:
            async with asyncio.timeout(3):
                client = await self.client()
                await client.workflow_service.describe_namespace(
                    DescribeNamespaceRequest(namespace="default")
                )
        except (RuntimeError, RPCError, OSError, TimeoutError):
            return None
        return True

    def _last_words(self) -> str:
        tail = self.log.read_text("utf-8", "replace")[-_LOG_TAIL:].strip()
        return f"The end of {self.log}:\n{tail}" if tail else f"Its log is empty: {self.log}"


@asynccontextmanager
async def time_skipping(
    *,
    plugins: Sequence[temporalio.client.Plugin] = (),
    runtime: Runtime | None = None,
) -> AsyncGenerator[WorkflowEnvironment]:
    """Run Temporal's time-skipping test server: timers fire at once while a result is awaited.

    It has no search attributes and no list of runs. `plugins` are for its client.

    Raises:
        MissingExtra: The `temporal-test-server` program is not installed.
    """
    environment = await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=str(find_binary("temporal-test-server")),
        plugins=list(plugins),
        runtime=runtime,
    )
    async with environment:
        yield environment
