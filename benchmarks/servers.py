"""The servers that the peers need: each on a free port of this machine, stopped by its process."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers.base import NotAvailable

HOST = "127.0.0.1"
DATABASES = ("saver", "dbos")


@dataclass(frozen=True, kw_only=True)
class Server:
    """A server that runs."""

    port: int
    pid: int


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def find_postgres() -> Path:
    """Find the folder of initdb and pg_ctl.

    Raises:
        NotAvailable: PostgreSQL is not installed.
    """
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda one: one.parent.name)
    if not folders:
        raise NotAvailable("PostgreSQL is not installed (initdb, pg_ctl)")
    return folders[-1]


@contextmanager
def postgres() -> Iterator[Server]:
    """Run a cluster that ends with the benchmark; root runs it as the user postgres."""
    programs, port = find_postgres(), free_port()
    with tempfile.TemporaryDirectory(prefix="perdure-bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        before: list[str] = []
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres")
            before = ["runuser", "-u", "postgres", "--"]

        def call(program: str, *arguments: str) -> None:
            subprocess.run(
                [*before, str(programs / program), *arguments],
                check=True,
                cwd=folder,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )

        data = str(folder / "data")
        call("initdb", "-D", data, "-A", "trust", "-U", "benchmark")
        settings = (
            f"-p {port} -c listen_addresses={HOST} -c unix_socket_directories={folder} "
            "-c max_connections=200"
        )
        call("pg_ctl", "-D", data, "-w", "-l", f"{folder}/log", "-o", settings, "start")
        try:
            for database in DATABASES:
                call("createdb", "-h", HOST, "-p", str(port), "-U", "benchmark", database)
            pid = int((folder / "data/postmaster.pid").read_text().split()[0])
            yield Server(port=port, pid=pid)
        finally:
            call("pg_ctl", "-D", data, "-m", "fast", "-w", "stop")
