"""A real PostgreSQL server in a folder of its own."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest


def find_programs() -> Path | None:
    """Find the folder of initdb and pg_ctl."""
    found = shutil.which("initdb")
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return Path(found).parent if found else next(iter(places), None)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass(kw_only=True)
class Postgres:
    programs: Path
    folder: Path
    user: str | None
    port: int

    @property
    def url(self) -> str:
        return f"postgresql://perdure@127.0.0.1:{self.port}/postgres"

    def make(self) -> None:
        self._call("initdb", "-U", "perdure", "-A", "trust", "-N")

    def start(self) -> None:
        settings = f"-p {self.port} -k {self.folder} -c fsync=off"
        self._call("pg_ctl", "-w", "-l", str(self.folder / "log"), "-o", settings, "start")

    def stop(self) -> None:
        self._call("pg_ctl", "-w", "-m", "immediate", "stop")

    def _call(self, name: str, *arguments: str) -> None:
        subprocess.run(
            [self.programs / name, "-D", self.folder / "data", *arguments],
            check=True, user=self.user, cwd=self.folder, stdout=subprocess.DEVNULL,
        )  # fmt: skip


@contextmanager
def running_postgres() -> Generator[Postgres]:
    """Start a server; PostgreSQL does not run as root."""
    programs = find_programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed (initdb, pg_ctl)")
    # Not in pytest's own folder: that is root's alone.
    folder = Path(tempfile.mkdtemp(prefix="perdure-postgres-"))
    user = "nobody" if os.geteuid() == 0 else None
    if user:
        shutil.chown(folder, user)
    server = Postgres(programs=programs, folder=folder, user=user, port=free_port())
    server.make()
    server.start()
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)
