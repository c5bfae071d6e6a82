"""Find the blobs that the runs of a server still refer to. Needs no worker and no key."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from google.protobuf.message import Message
from temporalio.client import Client, WorkflowExecution, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from perdure.client.payloads import payloads_in
from perdure.core.names import BLOB_NAME

T = TypeVar("T")
_AT_ONCE = 8


@dataclass
class Reach:
    """The names of blobs that something on a server refers to."""

    names: set[str] = field(default_factory=set[str])
    runs: int = 0
    """Executions that were read, each part of a continued run for itself."""

    def note(self, message: Message) -> None:
        """Take in what a message refers to."""
        self.names.update(blob_names(message))


def blob_names(message: Message) -> Iterator[str]:
    """Name the blobs that the payloads of a message refer to, wherever they stand in it."""
    for payload in payloads_in(message):
        name = payload.metadata.get(BLOB_NAME)
        if name is not None:
            yield name.decode("utf-8", "replace")


async def find_reach(clients: Iterable[Client], *, without: Iterable[str] = ()) -> Reach:
    """Read the histories of all runs that the servers keep, open and closed, and the schedules.

    `without` are executions to leave out: `run id/execution`.

    Raises:
        RPCError: A server did not answer; what was found so far is not all.
    """
    reach = Reach()
    left_out = frozenset(without)
    for client in clients:

        async def read(execution: WorkflowExecution, client: Client = client) -> None:
            if f"{execution.id}/{execution.run_id}" not in left_out:
                await _run(client, execution, reach)

        await _schedules(client, reach)
        await in_batches(client.list_workflows(), read)
    return reach


async def find_reach_of(client: Client, executions: Iterable[WorkflowExecution]) -> Reach:
    """Read the histories of some executions.

    Raises:
        RPCError: The server did not answer.
    """
    reach = Reach()
    for execution in executions:
        await _run(client, execution, reach)
    return reach


async def in_batches(items: AsyncIterator[T], work: Callable[[T], Awaitable[None]]) -> None:
    """Work on items, a few at the same time; the first error ends it."""
    batch: list[T] = []
    async for item in items:
        batch.append(item)
        if len(batch) == _AT_ONCE:
            await asyncio.gather(*map(work, batch))
            batch = []
    await asyncio.gather(*map(work, batch))


async def _run(client: Client, execution: WorkflowExecution, reach: Reach) -> None:
    handle = client.get_workflow_handle(execution.id, run_id=execution.run_id)
    reach.runs += 1
    reach.note(execution.raw_info)
    try:
        if execution.status in (None, WorkflowExecutionStatus.RUNNING):
            # Heartbeats and the last failure of a call under way are in no history.
            reach.note((await handle.describe()).raw_description)
        async for event in handle.fetch_history_events():
            reach.note(event)
    except RPCError as error:
        if error.status != RPCStatusCode.NOT_FOUND:
            raise
        # It was deleted after it was listed.


async def _schedules(client: Client, reach: Reach) -> None:
    try:
        async for listed in await client.list_schedules():
            await _schedule(client, listed.id, reach)
    except RPCError as error:
        if error.status != RPCStatusCode.UNIMPLEMENTED:
            raise
        # A server without schedules.


async def _schedule(client: Client, schedule: str, reach: Reach) -> None:
    try:
        described = await client.get_schedule_handle(schedule).describe()
    except RPCError as error:
        if error.status != RPCStatusCode.NOT_FOUND:
            raise
        return  # deleted after it was listed
    reach.note(described.raw_description)
