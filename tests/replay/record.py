"""Record the history of a run, to be replayed by every later version.

From the folder `tests`:

    python -m replay.record NAME...

NAME is one of `SCENES`. A history that exists is never written again.
"""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import perdure
from integration.runtime.harness import Lab, Runs, Started
from perdure.testing.servers import time_skipping
from replay.app import make_agents

HISTORIES = Path(__file__).parent / "histories"
MACHINE = ("identity", "stackTrace", "workerVersion")
APPROVE = {"type": "approve", "by": "ann"}


async def create_agent(runs: Runs) -> Started:
    run = await runs.start("counter")
    await run.result()
    return run


async def ask_approved(runs: Runs) -> Started:
    run = await runs.start("asker")
    await run.question()
    await run.decide(APPROVE)
    await run.result()
    return run


async def ask_expired(runs: Runs) -> Started:
    run = await runs.start("asker")
    await run.result(skip=True)
    return run


async def tool_edited(runs: Runs) -> Started:
    run = await runs.start("payer")
    first, second = await run.questions(2)
    await run.decide({"type": "edit", "args": {"amount": 7}, "question": second["id"]})
    await run.decide({"type": "reject", "by": "ann", "question": first["id"]})
    await run.result()
    return run


async def failed_node(runs: Runs) -> Started:
    run = await runs.start("failer")
    await run.failure()
    return run


async def hand_written(runs: Runs) -> Started:
    run = await runs.start_raw("counter", workflow="Errand")
    await run.question()
    await run.decide(APPROVE)
    await run.result()
    return run


SCENES: dict[str, Callable[[Runs], Awaitable[Started]]] = {
    scene.__name__: scene
    for scene in (create_agent, ask_approved, ask_expired, tool_edited, failed_node, hand_written)
}


def without_machine(data: Any) -> Any:
    """Leave out what only tells about the machine: its name, and paths in stack traces."""
    if isinstance(data, list):
        return [without_machine(item) for item in data]
    if isinstance(data, dict):
        known = {key: value for key, value in data.items() if key not in MACHINE}
        return {key: without_machine(value) for key, value in known.items()}
    return data


async def record(name: str) -> Path:
    """Play a scene and store its history."""
    folder = HISTORIES / ".".join(perdure.__version__.split(".")[:2])
    file = folder / f"{name}.json"
    if file.exists():
        raise SystemExit(f"{file} is recorded already; add a scene of another name instead")
    async with time_skipping() as environment:
        lab = Lab(client=environment.client, environment=environment, cache=100)
        async with lab.worker(make_agents()) as runs:
            run = await SCENES[name](runs)
            history = await run.handle.fetch_history()
    folder.mkdir(parents=True, exist_ok=True)
    file.write_text(
        json.dumps(without_machine(json.loads(history.to_json())), indent=1) + "\n", "utf-8"
    )
    return file


if __name__ == "__main__":
    for wanted in sys.argv[1:]:
        sys.stdout.write(f"{asyncio.run(record(wanted))}\n")
