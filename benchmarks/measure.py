"""Run one measurement of one peer in this process and print it as one line of JSON.

`python -m benchmarks` starts it with the interpreter of the peer's own environment.
"""

import time

ENTERED = time.time()

import argparse
import asyncio
import gc
import importlib
import json
import os
import resource
import sys
import traceback
from typing import Any

from benchmarks.workload import Counters

MARK = "RESULT "
PARKED_AT_ONCE = 8
IDLE_S = 5.0


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def rss_kib() -> float:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1024


def server_cpu(roots: list[int]) -> float:
    """Return the CPU seconds of these processes and their descendants that live."""
    ticks = os.sysconf("SC_CLK_TCK")
    parents: dict[int, int] = {}
    used: dict[int, float] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat") as file:
                    rest = file.read().rsplit(")", 1)[1].split()
            except OSError:
                continue
            parents[int(name)] = int(rest[1])
            used[int(name)] = sum(map(int, rest[11:15])) / ticks  # with ended children
    wanted = set(roots)
    while more := {pid for pid, parent in parents.items() if parent in wanted} - wanted:
        wanted |= more
    return sum(used.get(pid, 0.0) for pid in wanted)


class Meter:
    """CPU of this process and of the server, and the time, since it was made."""

    def __init__(self, pids: list[int]) -> None:
        self._pids = pids
        self._cpu, self._server = cpu(), server_cpu(pids)
        self._began = time.perf_counter()

    def read(self, turns: int) -> dict[str, float]:
        wall = time.perf_counter() - self._began
        return {
            "wall_s": wall,
            "wall_ms_per_turn": 1000 * wall / turns,
            "worker_cpu_ms_per_turn": 1000 * (cpu() - self._cpu) / turns,
            "server_cpu_ms_per_turn": 1000 * (server_cpu(self._pids) - self._server) / turns,
        }


async def cold(peer: Any, given: argparse.Namespace, name: str) -> dict[str, Any]:
    imported, imported_cpu, imported_rss = given.imported
    token = await peer.run_one(name, 1, given.payload, given.timeout)
    ended, used = time.time(), cpu()
    found = await peer.finished(token)
    return {
        "import_s": imported - ENTERED,
        "import_cpu_s": imported_cpu,
        "cold_start_s": ended - given.began,
        "cold_start_cpu_s": used,
        "first_call_s": (Counters.first_done or ended) - given.began,
        "modules": len(sys.modules),
        "rss_import_mib": imported_rss / 1024,
        "correct": found.messages == 4 and (Counters.model, Counters.tool) == (2, 1),
    }


async def single(peer: Any, given: argparse.Namespace, name: str) -> dict[str, Any]:
    turns = given.turns
    await peer.run_one(f"{name}-warm", 2, given.payload, 60)
    Counters.reset()
    meter = Meter(given.server)
    token = await peer.run_one(name, turns, given.payload, given.timeout)
    figures: dict[str, Any] = meter.read(turns)
    model, tool = Counters.model, Counters.tool
    used = cpu()
    found = await peer.finished(token)
    figures |= {
        "read_result_cpu_ms": 1000 * (cpu() - used),
        "events": found.events,
        "bytes": found.stored,
        "model_calls": model,
        "tool_calls": tool,
        "messages": found.messages,
        "correct": (found.messages, model, tool) == (2 * turns + 2, turns + 1, turns),
    }
    replays = [await peer.replay(token) for _ in range(given.replays)]
    faults = [one.failure for one in replays if one.failure]
    if faults:
        return figures | {"replay_failure": faults[0], "correct": False}
    return figures | {
        "replay_s": min(one.wall_s for one in replays),
        "replay_cpu_s": min(one.cpu_s for one in replays),
    }


async def many(peer: Any, given: argparse.Namespace, name: str) -> dict[str, Any]:
    await peer.run_one(f"{name}-warm", 2, given.payload, 60)
    Counters.reset()
    agents, turns = given.agents, given.turns
    meter = Meter(given.server)
    runs = (peer.run_one(f"{name}-{n}", turns, given.payload, given.timeout) for n in range(agents))
    tokens = await asyncio.gather(*runs, return_exceptions=True)
    figures: dict[str, Any] = meter.read(agents * turns)
    failed = [token for token in tokens if isinstance(token, BaseException)]
    if failed:
        raise failed[0]
    bodies = (Counters.model, Counters.tool) == (agents * (turns + 1), agents * turns)
    found = [await peer.finished(token) for token in tokens]
    return figures | {
        "agents": agents,
        "agents_per_s": agents / figures["wall_s"],
        "rss_mib": rss_kib() / 1024,
        "correct": bodies and all(one.messages == 2 * turns + 2 for one in found),
    }


async def park(peer: Any, given: argparse.Namespace, name: str) -> dict[str, Any]:
    for n in range(3):
        await peer.release_one(await peer.park_one(f"{name}-warm{n}", given.payload))
    gc.collect()
    gate = asyncio.Semaphore(PARKED_AT_ONCE)
    before, meter_cpu = rss_kib(), cpu()

    async def wait(n: int) -> Any:
        async with gate:
            return await peer.park_one(f"{name}-{n}", given.payload)

    async def release(token: Any) -> int:
        async with gate:
            return await peer.release_one(token)

    tokens = await asyncio.gather(*(wait(n) for n in range(given.agents)))
    gc.collect()
    waiting, parked_cpu = rss_kib(), cpu()
    await asyncio.sleep(IDLE_S)
    idle = cpu() - parked_cpu
    ended = await asyncio.gather(*(release(token) for token in tokens))
    return {
        "agents": given.agents,
        "rss_before_mib": before / 1024,
        "rss_waiting_mib": waiting / 1024,
        "kib_per_waiting_run": (waiting - before) / given.agents,
        "park_cpu_ms": 1000 * (parked_cpu - meter_cpu) / given.agents,
        "idle_cpu_percent": 100 * idle / IDLE_S,
        "correct": all(messages == 4 for messages in ended),
    }


SUITES = {"single": single, "many": many, "park": park, "cold": cold}


async def measured(given: argparse.Namespace) -> dict[str, Any]:
    module = importlib.import_module(f"benchmarks.peers.{given.peer}")
    given.imported = time.time(), cpu(), rss_kib()
    peer = module.PEER(**dict(option.split("=", 1) for option in given.option))
    name = f"{given.suite}-{given.peer}-{time.time_ns()}"
    async with peer.running(given.url):
        figures = await SUITES[given.suite](peer, given, name)
    return figures | {"versions": peer.versions()}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("peer")
    parser.add_argument("suite", choices=SUITES)
    parser.add_argument("--url", default="")
    parser.add_argument("--option", nargs="*", default=[])
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--payload", type=int, default=1024)
    parser.add_argument("--agents", type=int, default=50)
    parser.add_argument("--timeout", type=float, default=120)
    parser.add_argument("--replays", type=int, default=3)
    parser.add_argument("--server", nargs="*", type=int, default=[])
    parser.add_argument("--began", type=float, default=ENTERED)
    return parser.parse_args()


def main() -> None:
    try:
        found = asyncio.run(measured(arguments()))
    except Exception as error:  # noqa: BLE001 - the report carries it
        traceback.print_exc()
        missing = type(error).__name__ in ("NotAvailable", "ModuleNotFoundError")
        words = str(error) if missing else f"{type(error).__name__}: {error}"
        found = {"unavailable" if missing else "failure": words[:1500]}
    print(MARK + json.dumps(found), flush=True)
    sys.stderr.flush()
    os._exit(0)  # threads of a peer may outlive it


if __name__ == "__main__":
    main()
