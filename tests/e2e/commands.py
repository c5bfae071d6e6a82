"""Run `perdure ...` as people do, in a process of its own, and look for what it leaves behind."""

import asyncio
import json
import os
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from e2e.scene import clean_environment

LONGEST = 100.0
_MARK = "PERDURE_E2E_MARK"


@dataclass(frozen=True, kw_only=True)
class Finished:
    """What a command did."""

    code: int
    out: str
    err: str
    mark: str
    """A variable's value that its processes have, and all that they started."""

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document on standard output."""
        return json.loads(self.out)

    def processes(self) -> list[int]:
        """Return the processes of this command that still run."""
        return processes_with(self.mark)


@dataclass(frozen=True, kw_only=True)
class Running:
    """A command under way."""

    process: asyncio.subprocess.Process
    mark: str

    async def finish(self) -> Finished:
        """Wait for its end; kill it with all it has started if it takes too long."""
        try:
            async with asyncio.timeout(LONGEST):
                out, err = await self.process.communicate()
        except BaseException:
            for pid in processes_with(self.mark):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            await self.process.wait()
            raise
        code = await self.process.wait()
        return Finished(code=code, out=out.decode(), err=err.decode(), mark=self.mark)


async def begin(*arguments: str, cwd: Path) -> Running:
    """Start a command without a terminal."""
    mark = uuid4().hex
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "perdure", *arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=cwd,
        env={**clean_environment(), _MARK: mark},
        start_new_session=True,
    )
    return Running(process=process, mark=mark)


async def perdure(*arguments: str, cwd: Path) -> Finished:
    """Run a command to its end."""
    running = await begin(*arguments, cwd=cwd)
    return await running.finish()


def processes_with(mark: str) -> list[int]:
    """Return the ids of the processes whose environment holds the mark. Linux only."""
    wanted = f"{_MARK}={mark}".encode()
    found: list[int] = []
    for file in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if wanted in file.read_bytes().split(b"\0"):
                found.append(int(file.parent.name))
    return found
