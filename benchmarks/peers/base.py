"""What a measurement needs from a peer, and the half of it that all Temporal peers share."""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any


class Stuck(Exception):
    """The run did not finish: carries what the peer said about it."""


class NotAvailable(Exception):
    """What is to be measured is not there: a feature, a package or a program."""


@dataclass(frozen=True, kw_only=True)
class Finished:
    """What a finished run left behind."""

    messages: int
    """Of the final conversation: must be 2N+2."""
    events: int
    """Events of the history; rows where there is no history."""
    stored: int
    """Bytes of the history, or in the store."""


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """How long it took to rebuild a finished run's state from what is stored."""

    wall_s: float
    cpu_s: float
    failure: str | None = None


class Peer:
    """One subject."""

    packages: tuple[str, ...] = ()
    """Whose versions belong into the report."""

    def __init__(self, **options: str) -> None:
        self.options = options

    def versions(self) -> dict[str, str]:
        return {name: version(name) for name in self.packages}

    def running(self, url: str) -> contextlib.AbstractAsyncContextManager[None]:
        """Run what carries out the agents."""
        raise NotImplementedError

    async def run_one(self, run_id: str, turns: int, payload: int, timeout: float) -> Any:
        """Start a run and wait for its end; return a token for `finished`."""
        raise NotImplementedError

    async def finished(self, token: Any) -> Finished:
        raise NotImplementedError

    async def park_one(self, run_id: str, payload: int) -> Any:
        """Run one model call, then wait for a person. Returns when the agent is waiting."""
        raise NotAvailable("no agent of this peer waits for a person")

    async def release_one(self, token: Any) -> int:
        """Say yes; return the number of messages of the finished conversation."""
        raise NotImplementedError

    async def replay(self, token: Any) -> Replayed:
        """Rebuild the state of a finished run from what is stored."""
        raise NotImplementedError


class TemporalPeer(Peer):
    """Common to every peer that runs on a Temporal server."""

    queue = "benchmark"

    def client_options(self) -> dict[str, Any]:
        return {}

    def worker_options(self) -> dict[str, Any]:
        raise NotImplementedError

    def replayer_options(self) -> dict[str, Any]:
        given = self.worker_options()
        kept = ("workflows", "workflow_runner", "plugins", "interceptors")
        return {name: given[name] for name in kept if name in given}

    def make_worker(self) -> Any:
        from temporalio.worker import Worker

        return Worker(self.client, task_queue=self.queue, **self.worker_options())

    async def connect(self, url: str) -> Any:
        from temporalio.client import Client

        return await Client.connect(url, **self.client_options())

    @contextlib.asynccontextmanager
    async def running(self, url: str) -> AsyncIterator[None]:
        self.queue = f"bench-{os.getpid()}"  # its name is in most events
        self.client = await self.connect(url)
        async with self.make_worker():
            yield

    async def start(self, run_id: str, turns: int, payload: int, *, approval: bool = False) -> Any:
        raise NotImplementedError

    def count_messages(self, result: Any) -> int:
        return int(result)

    async def run_one(self, run_id: str, turns: int, payload: int, timeout: float) -> Any:
        handle = await self.start(run_id, turns, payload)
        waiting = asyncio.ensure_future(handle.result())
        deadline = time.monotonic() + timeout
        while not waiting.done():
            left = deadline - time.monotonic()
            await asyncio.wait([waiting], timeout=min(10.0, max(0.1, left)))
            if not waiting.done() and (left <= 0 or await self.hopeless(handle)):
                waiting.cancel()
                why = await self.why(handle)
                with contextlib.suppress(Exception):
                    await handle.terminate("benchmark: stuck")
                raise Stuck(f"given up: {why}")
        try:
            result = waiting.result()
        except Exception as error:
            words = " <- ".join(f"{type(one).__name__}: {one}" for one in causes(error))
            raise Stuck(f"{words[:600]}; {await self.why(handle)}") from error
        return handle, self.count_messages(result)

    async def until(self, handle: Any, query: Any, good: Callable[[Any], bool]) -> None:
        """Poll a query; a loaded worker may be late, so one that timed out is asked again."""
        from temporalio.service import RPCError

        while True:
            with contextlib.suppress(RPCError):
                if good(await handle.query(query)):
                    return
            await asyncio.sleep(0.25)

    async def hopeless(self, handle: Any) -> bool:
        """Tell whether one task failed four times with an error of its own."""
        raw = (await handle.describe()).raw_description
        if any(pending.attempt >= 4 for pending in raw.pending_activities):
            return True
        if raw.pending_workflow_task.attempt < 4:
            return False
        why = await self.why(handle)
        # TMPRL1101 (no progress for two seconds) may only mean a loaded machine.
        return "WORKFLOW_TASK_FAILED" in why and "TMPRL1101" not in why

    async def why(self, handle: Any) -> str:
        """Say where the history stands, and the last failures written in it."""
        described = await handle.describe()
        raw = described.raw_description
        info = raw.workflow_execution_info
        status = described.status.name if described.status else None
        said = [
            f"status={status} events={info.history_length} bytes={info.history_size_bytes}",
            *(
                f"activity {one.activity_type.name} attempt={one.attempt} "
                f"last_failure={one.last_failure.message[:200]!r}"
                for one in raw.pending_activities
            ),
        ]
        if raw.pending_workflow_task.attempt:
            said.append(f"workflow task attempt={raw.pending_workflow_task.attempt}")
        last: dict[str, str] = {}
        async for event in handle.fetch_history_events():
            last |= failure_of(event)
        return "; ".join([*said, *(f"{kind} {text}" for kind, text in last.items())])

    async def finished(self, token: Any) -> Finished:
        handle, messages = token
        info = (await handle.describe()).raw_description.workflow_execution_info
        return Finished(
            messages=messages, events=info.history_length, stored=info.history_size_bytes
        )

    async def replay(self, token: Any) -> Replayed:
        from temporalio.worker import Replayer

        handle, _ = token
        history = await handle.fetch_history()
        replayer = Replayer(**self.replayer_options())
        cpu, wall = time.process_time(), time.perf_counter()
        result = await replayer.replay_workflow(history, raise_on_replay_failure=False)
        fault = result.replay_failure
        return Replayed(
            wall_s=time.perf_counter() - wall,
            cpu_s=time.process_time() - cpu,
            failure=f"{type(fault).__name__}: {fault}"[:500] if fault else None,
        )


def causes(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    while error is not None:
        found.append(error)
        error = error.__cause__
    return found


def failure_of(event: Any) -> dict[str, str]:
    """Return what an event says about a failure, by its kind."""
    terminated = "workflow_execution_terminated_event_attributes"
    for name in (
        "workflow_task_failed_event_attributes",
        "activity_task_failed_event_attributes",
        "workflow_execution_failed_event_attributes",
        terminated,
    ):
        if event.HasField(name):
            found = getattr(event, name)
            text = found.reason if name == terminated else found.failure.message
            kind = name.removesuffix("_event_attributes").upper()
            return {kind: f"event {event.event_id}: {text[:400]}"}
    return {}
