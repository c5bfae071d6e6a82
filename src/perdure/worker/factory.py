"""Make a worker for an app's agents, and run it until somebody says stop."""

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import timedelta

import temporalio.client
from temporalio.service import RPCError
from temporalio.worker import Worker

from perdure.client.poll import until
from perdure.client.queues import pollers
from perdure.core.names import TASK_QUEUE
from perdure.core.ports import Notify
from perdure.worker.agents import Agents
from perdure.worker.plugin import Plugin
from perdure.worker.scan import Guard

GRACE = timedelta(seconds=15)
"""How long calls that run when a worker stops may take to finish."""
READY_WITHIN = timedelta(seconds=10)
log = logging.getLogger("perdure.worker")


def make_worker(
    client: temporalio.client.Client,
    agents: Agents,
    *,
    task_queue: str = TASK_QUEUE,
    guard: Guard = "error",
    notify: Notify | None = None,
    identity: str | None = None,
    grace: timedelta = GRACE,
    max_concurrent_activities: int | None = None,
) -> Worker:
    """Make a worker that runs the agents; every graph is built now, to fail early.

    Raises:
        NotAGraph: An agent is no graph.
        ImpureNode: A node reads the clock or chance, and `guard` is "error".
        Incompatible: An installed library lacks what Perdure relies on.
    """
    return Worker(
        client,
        task_queue=task_queue,
        plugins=[Plugin(agents, guard=guard, notify=notify)],
        identity=identity or worker_identity(),
        graceful_shutdown_timeout=grace,
        max_concurrent_activities=max_concurrent_activities,
    )


async def run_worker(
    client: temporalio.client.Client,
    agents: Agents,
    *,
    task_queue: str = TASK_QUEUE,
    guard: Guard = "error",
    identity: str | None = None,
    grace: timedelta = GRACE,
    ready: Callable[[str], None] | None = None,
    stop: asyncio.Event | None = None,
) -> None:
    """Run a worker until SIGTERM, SIGINT or `stop`; then finish the calls that run.

    `ready` is called with the worker's identity when the server lists it, or after ten seconds.
    """
    stopped = stop or asyncio.Event()
    name = identity or worker_identity()
    worker = make_worker(
        client, agents, task_queue=task_queue, guard=guard, identity=name, grace=grace
    )
    with _stop_signals(stopped):
        async with worker:
            if not await wait_polling(client, task_queue=task_queue, identity=name):
                log.warning("the server does not list this worker yet; it polls all the same")
            if ready is not None:
                ready(name)
            await stopped.wait()


def worker_identity() -> str:
    """Name this process as Temporal's SDK does, so that logs and histories agree."""
    return f"{os.getpid()}@{socket.gethostname()}"


async def wait_polling(
    client: temporalio.client.Client,
    *,
    task_queue: str,
    identity: str,
    within: timedelta = READY_WITHIN,
) -> bool:
    """Wait until the server lists the worker for workflows and for activities.

    False if it does not within the time. That is no failure: a server spreads a task queue over
    partitions and lists the pollers of one of them only.
    """

    async def seen() -> bool | None:
        try:
            return True if identity in await pollers(client, task_queue) else None
        except RPCError:
            return None

    return bool(await until(seen, within=within))


def stop_signals() -> list[signal.Signals]:
    """List the signals that ask a program to stop; a closed terminal (SIGHUP) unless ignored."""
    numbers = [signal.SIGTERM, signal.SIGINT]
    hangup = getattr(signal, "SIGHUP", None)
    if hangup is not None and signal.getsignal(hangup) is not signal.SIG_IGN:
        numbers.append(hangup)
    return numbers


@contextmanager
def _stop_signals(stopped: asyncio.Event) -> Generator[None]:
    """Set the event at the first stop signal; the second one ends the process."""
    loop = asyncio.get_running_loop()
    numbers = stop_signals()

    def first() -> None:
        stopped.set()
        for number in numbers:
            loop.remove_signal_handler(number)

    held: list[signal.Signals] = []
    for number in numbers:
        try:
            loop.add_signal_handler(number, first)
            held.append(number)
        except (NotImplementedError, RuntimeError, ValueError):
            break  # not the main thread, or not on this system: `stop` still works
    try:
        yield
    finally:
        for number in held:
            loop.remove_signal_handler(number)
