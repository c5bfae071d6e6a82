"""A worker in a process of its own, to be killed in the middle of its work."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Self, cast

from perdure.client.poll import until
from perdure.core.jsons import Json
from perdure.core.names import TASK_QUEUE
from perdure.errors import AppFailed, Unavailable

READY_WITHIN = timedelta(seconds=60)
STOP_WITHIN = 20.0
_LOG_TAIL = 3000


@dataclass
class WorkerProcess(AbstractAsyncContextManager["WorkerProcess"]):
    """`perdure worker APP` as a process. Runs in a test or a benchmark."""

    app: str
    address: str = field(kw_only=True)
    namespace: str = field(default="default", kw_only=True)
    task_queue: str = field(default=TASK_QUEUE, kw_only=True)
    env: Mapping[str, str] = field(default_factory=dict[str, str], kw_only=True)
    """Variables on top of those of this process."""
    cwd: Path | None = field(default=None, kw_only=True)
    arguments: Sequence[str] = field(default=(), kw_only=True)
    """More options for `perdure worker`."""
    log: Path | None = field(default=None, kw_only=True)
    """Where its output goes; by default a temporary file that goes with the context."""
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False, repr=False)
    _temporary: Path | None = field(default=None, init=False, repr=False)

    @property
    def pid(self) -> int | None:
        """The process id, while it runs."""
        return self._process.pid if self._process is not None else None

    @property
    def returncode(self) -> int | None:
        """The exit code, once it has ended by itself."""
        return None if self._process is None else self._process.poll()

    def output(self) -> str:
        """Return what the worker has written so far."""
        return "" if self.log is None else self.log.read_text("utf-8", "replace")

    def start(self) -> Self:
        """Start the process, without waiting for it to be ready."""
        if self.log is None:
            handle, name = tempfile.mkstemp(prefix="perdure-worker-", suffix=".log")
            os.close(handle)
            self.log = self._temporary = Path(name)
        command = [
            *(sys.executable, "-m", "perdure", "worker", self.app, "--json"),
            *("--address", self.address, "--namespace", self.namespace),
            *("--task-queue", self.task_queue),
            *self.arguments,
        ]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self.env},
                cwd=self.cwd,
                start_new_session=True,
            )
        return self

    async def wait_ready(self, *, within: timedelta = READY_WITHIN) -> Self:
        """Wait until the worker takes work from the server.

        Raises:
            AppFailed: The process ended; the text has its last words.
            Unavailable: It is not ready in time.
        """
        if not await until(self._is_ready, within=within):
            raise Unavailable(
                f"the worker of {self.app!r} was not ready within {within.total_seconds():g} s.\n"
                f"{self.output()[-_LOG_TAIL:]}"
            )
        return self

    async def _is_ready(self) -> bool | None:
        code = self.returncode
        if code is not None:
            raise AppFailed(
                f"the worker of {self.app!r} ended (exit {code}).\n{self.output()[-_LOG_TAIL:]}"
            )
        return True if any(_says_ready(line) for line in self.output().splitlines()) else None

    def kill(self) -> None:
        """End the worker as a power cut would (SIGKILL), with all it has started."""
        self._signal(signal.SIGKILL)
        self._gone()

    def stop(self) -> None:
        """Let the worker finish what it does, and see to it that it ends."""
        self._signal(signal.SIGTERM)
        if self._process is not None:
            try:
                self._process.wait(STOP_WITHIN)
            except subprocess.TimeoutExpired:
                self._signal(signal.SIGKILL)
        self._gone()

    async def __aenter__(self) -> Self:
        return await self.start().wait_ready()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        if self._temporary is not None:
            self._temporary.unlink(missing_ok=True)
            self.log = self._temporary = None

    def _signal(self, number: signal.Signals) -> None:
        process = self._process
        if process is not None and process.poll() is None:
            os.killpg(process.pid, number)

    def _gone(self) -> None:
        if self._process is not None:
            self._process.wait()
            self._process = None


def _says_ready(line: str) -> bool:
    try:
        data = cast("Json", json.loads(line))
    except ValueError:
        return False
    return isinstance(data, dict) and data.get("ready") is True
