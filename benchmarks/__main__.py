"""Measure what runs cost: `python -m benchmarks --peers perdure raw-delta --json rows.json`.

Each measurement is a process of its own; the peers take turns, in a shuffled order, so that the
noise of a shared machine falls on all of them. See benchmarks/README.md.
"""

import argparse
import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.catalogue import OWN, SUBJECTS, Subject
from benchmarks.environments import ROOT, interpreter
from benchmarks.growth import growth_row
from benchmarks.measure import MARK
from benchmarks.peers.base import NotAvailable
from benchmarks.servers import HOST, Server, postgres
from perdure.testing import DevServer

GROWTH_TURNS = (50, 100, 200, 400)
FEWEST_POINTS = 3
Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One measurement that is to be made."""

    suite: str
    peer: str
    turns: int
    payload: int
    agents: int = 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    add = parser.add_argument
    add("--peers", nargs="+", choices=[*SUBJECTS, "all"], default=list(OWN), metavar="NAME")
    add("--suites", nargs="+", choices=list(report.TITLES), default=["single"])
    add("--turns", nargs="+", type=int, default=[100])
    add("--payload", nargs="+", type=int, default=[1024], help="bytes of a tool's result")
    add("--repeat", type=int, default=3, help="measurements of each cell; rows are medians")
    add("--agents", type=int, default=50, help="runs at once in the suite many")
    add("--agent-turns", type=int, default=10, help="their turns")
    add("--waiting", type=int, default=200, help="runs that wait in the suite park")
    add("--growth-turns", nargs="+", type=int, default=list(GROWTH_TURNS))
    add("--timeout", type=float, default=300, help="seconds that one run may take")
    add("--json", type=Path, help="file for the rows")
    add("--markdown", type=Path, help="file for the tables")
    given = parser.parse_args()
    if "all" in given.peers:
        given.peers = list(SUBJECTS)
    return given


def plan(given: argparse.Namespace) -> Iterator[Cell]:
    """Yield the measurements in order; the peers are shuffled within each round."""
    for number in range(given.repeat):
        for suite in given.suites:
            if suite == "growth" and number:
                continue  # sizes are exact
            for turns, payload, agents in _grid(suite, given):
                peers = list(given.peers)
                random.Random(f"{number}/{suite}").shuffle(peers)
                for peer in peers:
                    yield Cell(suite=suite, peer=peer, turns=turns, payload=payload, agents=agents)


def _grid(suite: str, given: argparse.Namespace) -> Iterator[tuple[int, int, int]]:
    for payload in given.payload:
        if suite == "many":
            yield given.agent_turns, payload, given.agents
        elif suite == "park":
            yield 1, payload, given.waiting
        elif suite == "cold":
            yield 1, payload, 0
        else:
            for turns in given.growth_turns if suite == "growth" else given.turns:
                yield turns, payload, 0


class Bench:
    """The servers that run and the environments that are there."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._servers: dict[str, Server | str] = {}

    async def prepare(self, subjects: list[Subject], stack: AsyncExitStack) -> None:
        stores = {subject.store for subject in subjects}
        if "temporal" in stores:
            server = await stack.enter_async_context(DevServer())
            self._servers["temporal"] = Server(port=server.port, pid=server.pid or 0)
        if "postgresql" in stores:
            try:
                self._servers["postgresql"] = stack.enter_context(postgres())
            except NotAvailable as error:
                self._servers["postgresql"] = str(error)

    async def measure(self, cell: Cell) -> Row:
        subject = SUBJECTS[cell.peer]
        try:
            command = [interpreter(subject.requirements), "-m", "benchmarks.measure"]
        except NotAvailable as error:
            return {"unavailable": str(error)}
        command += [subject.module, "single" if cell.suite == "growth" else cell.suite]
        command += ["--option", *subject.options, "--timeout", str(self._timeout)]
        command += ["--turns", str(cell.turns), "--payload", str(cell.payload)]
        command += ["--agents", str(cell.agents)]
        if cell.suite == "growth":
            command += ["--replays", "0"]
        server = self._servers.get(subject.store)
        if isinstance(server, str):
            return {"unavailable": server}
        if server is not None:
            url = subject.url.format(port=server.port) or f"{HOST}:{server.port}"
            command += ["--url", url, "--server", str(server.pid)]
        return await _run(command, limit=2 * self._timeout + 240)


async def _run(command: list[str], *, limit: float) -> Row:
    around = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *_python_path()])}
    process = await asyncio.create_subprocess_exec(
        *command,
        *("--began", repr(time.time())),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        env=around,
    )
    try:
        told, errors = await asyncio.wait_for(process.communicate(), limit)
    except TimeoutError:
        return {"failure": f"killed after {limit:.0f} s"}
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    lines = [line for line in told.decode().splitlines() if line.startswith(MARK)]
    if not lines:
        last = errors.decode("utf-8", "replace")[-600:]
        return {"failure": f"no result, exit {process.returncode}: {last}"}
    found: Row = json.loads(lines[-1].removeprefix(MARK))
    return found


def _python_path() -> list[str]:
    return [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]


def tell(cell: Cell, found: Row) -> None:
    """Say on standard error what was measured."""
    names = (
        "events", "bytes", "wall_ms_per_turn", "worker_cpu_ms_per_turn", "replay_cpu_s",
        "agents_per_s", "kib_per_waiting_run", "cold_start_s", "correct",
    )  # fmt: skip
    said = {
        name: round(found[name], 2) if isinstance(found[name], float) else found[name]
        for name in names
        if name in found
    }
    why = found.get("unavailable") or found.get("failure") or ""
    what = f"{cell.suite} {cell.peer} {cell.turns} x {cell.payload}"
    print(what, said, " ".join(why.split())[:300], file=sys.stderr, flush=True)


def collect(measurements: list[Row]) -> list[Row]:
    about = report.machine()
    grown = [one for one in measurements if one["suite"] == "growth"]
    rows = report.make_rows((m for m in measurements if m["suite"] != "growth"), about)
    for peer, payload in dict.fromkeys((one["peer"], one["payload"]) for one in grown):
        found = [m for m in grown if (m["peer"], m["payload"]) == (peer, payload)]
        points = [(m["turns"], m["events"], m["bytes"]) for m in found if m.get("correct")]
        if len(points) >= FEWEST_POINTS:
            row = growth_row(peer, payload, points)
            rows.append(row | {"machine": about, "versions": found[0].get("versions", {})})
        else:
            rows += report.make_rows([{**found[-1], "turns": None}], about)
    report.add_ratios(rows)
    order = [*SUBJECTS]
    return sorted(rows, key=lambda row: order.index(row["peer"]))


async def main() -> int:
    given = arguments()
    bench = Bench(given.timeout)
    measurements: list[Row] = []
    async with AsyncExitStack() as stack:
        await bench.prepare([SUBJECTS[name] for name in given.peers], stack)
        for cell in plan(given):
            found = await bench.measure(cell)
            tell(cell, found)
            place = {"suite": cell.suite, "turns": cell.turns, "payload": cell.payload}
            measurements.append({**found, **place, "peer": cell.peer})
    rows = collect(measurements)
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1) + "\n", "utf-8")
    tables = report.markdown(rows)
    if given.markdown:
        given.markdown.write_text(tables, "utf-8")
    print(tables)
    wrong = [row for row in rows if row["correct"] is False and "failure" not in row]
    own = [row for row in rows if row["peer"].startswith("perdure") and row["correct"] is False]
    return 1 if wrong or own else 0


async def until_stopped() -> int:
    """Run; a signal ends what was started, servers too."""
    loop, task = asyncio.get_running_loop(), asyncio.ensure_future(main())
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    try:
        return await task
    except asyncio.CancelledError:
        return 130


if __name__ == "__main__":
    sys.exit(asyncio.run(until_stopped()))
