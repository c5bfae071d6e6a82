"""Delete runs, and the blobs that no run refers to. Caller side."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

import temporalio.client
from temporalio.api.common.v1 import WorkflowExecution as Execution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.client import WorkflowExecution, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from perdure.client.faults import not_found, translated
from perdure.client.listing import quote
from perdure.client.reach import find_reach, find_reach_of
from perdure.core.jsons import JsonObject
from perdure.core.ports import BlobInfo, BlobStore
from perdure.errors import BadInput, BadOption, RunBusy, Unavailable

GRACE = timedelta(hours=1)
"""Blobs younger than this stay: a value is stored before the history refers to it."""
_AT_ONCE = 8


@dataclass(frozen=True, kw_only=True)
class Heap:
    """Some blobs, counted."""

    blobs: int = 0
    bytes: int = 0

    def to_json(self) -> JsonObject:
        """Return it as JSON."""
        return {"blobs": self.blobs, "bytes": self.bytes}


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """What a `gc` removed, or would remove, and what it left."""

    dry_run: bool
    runs: int
    """Executions that were read."""
    removed: Heap
    names: tuple[str, ...] = ()
    """Of what was removed, in order."""
    reached: Heap
    """Left, for a run refers to it."""
    young: Heap
    """Left, for it was put or asked for within the grace period."""
    missing: tuple[str, ...] = ()
    """What runs refer to and the store does not have."""

    def to_json(self) -> JsonObject:
        """Return it as JSON."""
        return {
            "dry_run": self.dry_run,
            "runs": self.runs,
            "removed": self.removed.to_json(),
            "names": list(self.names),
            "reached": self.reached.to_json(),
            "young": self.young.to_json(),
            "missing": list(self.missing),
        }


@dataclass(frozen=True, kw_only=True)
class Deleted:
    """A run that is being deleted, with its sub-agents."""

    run_id: str
    executions: tuple[str, ...]
    """`run id/execution`, each part of a continued run for itself."""
    blobs: frozenset[str]
    """What its histories referred to; others may do so too."""

    def to_json(self) -> JsonObject:
        """Return it as JSON."""
        return {
            "run_id": self.run_id,
            "executions": list(self.executions),
            "blobs": [*sorted(self.blobs)],
        }


class Connected(Protocol):
    """What the client is for the methods here."""

    @property
    def temporal(self) -> temporalio.client.Client:
        """Temporal's own client."""
        ...

    @property
    def target(self) -> str:
        """The server's name in error texts."""
        ...


class UpkeepCalls:
    """The part of the client that removes what is not needed any more."""

    async def gc(
        self: Connected,
        blobs: BlobStore,
        *,
        grace: timedelta = GRACE,
        dry_run: bool = False,
        namespaces: Sequence[str] = (),
        force: bool = False,
        without: Deleted | None = None,
    ) -> Sweep:
        """Remove the blobs that no run on the server refers to; needs no worker and no key.

        It lists the blobs, then reads the histories of all runs that the server keeps, in the
        client's namespace and in `namespaces`: name every one whose runs use this store. What
        was put or asked for within `grace` stays. If the server or the store fails on the way,
        nothing is removed.

        `without` is a run that was deleted, which the server may still keep for a while: its
        histories count no more, and only blobs that it referred to are removed.

        Raises:
            BadInput: The runs and the store do not belong together, as far as one can tell;
                `force` removes all the same.
            BadOption: The grace period is negative.
            ServerUnavailable: The server does not answer.
            StorageUnavailable: The store does not answer.
        """
        if grace < timedelta(0):
            raise BadOption(f"grace={grace!r}: a timedelta of 0 or more is needed")
        since = datetime.now(UTC) - grace
        held = [info async for info in blobs.list()]
        with translated(target=self.target):
            gone = () if without is None else without.executions
            reach = await find_reach(_all(self.temporal, namespaces), without=gone)
        known = {info.name for info in held}
        rest = [info for info in held if info.name not in reach.names]
        if without is not None:
            rest = [info for info in rest if info.name in without.blobs]
        elif held and not force:
            alien = 0 if reach.names & known else len(reach.names)
            _check_fit(self.target, len(held), runs=reach.runs, alien=alien)
        old = sorted((i for i in rest if i.changed < since), key=lambda info: info.name)
        removed = old if dry_run else await _remove(blobs, old, since)
        names = tuple(info.name for info in removed)
        return Sweep(
            dry_run=dry_run,
            runs=reach.runs,
            removed=_heap(removed),
            names=names,
            reached=_heap([info for info in held if info.name in reach.names]),
            young=_heap([info for info in rest if info.name not in names]),
            missing=tuple(sorted(reach.names - known)),
        )

    async def delete(self: Connected, run_id: str, *, force: bool = False) -> Deleted:
        """Order the server to delete a run and its sub-agents, with their histories.

        It does so in the background, within a minute or so. The run's blobs go with the next
        `gc` after that. With `force` a run that is under way is ended first, as by `terminate`:
        nothing is undone.

        Raises:
            RunNotFound: There is no such run.
            RunBusy: It is under way.
            Unavailable: The server does not delete runs.
        """
        with translated(target=self.target, run_id=run_id):
            found = await _executions(self.temporal, run_id)
            if not any(execution.id == run_id for execution in found):
                raise not_found(run_id)
            busy = [e for e in found if e.status == WorkflowExecutionStatus.RUNNING]
            if busy and not force:
                raise RunBusy(
                    f"run {busy[0].id!r} is under way; cancel it first (`perdure cancel "
                    f"{run_id}`), or delete it all the same with force (--force)"
                )
            reach = await find_reach_of(self.temporal, found)
            for execution in found:
                await _delete(self.temporal, execution)
        names = tuple(f"{e.id}/{e.run_id}" for e in found)
        return Deleted(run_id=run_id, executions=names, blobs=frozenset(reach.names))


def _all(
    client: temporalio.client.Client, namespaces: Sequence[str]
) -> list[temporalio.client.Client]:
    others = [name for name in dict.fromkeys(namespaces) if name != client.namespace]
    service = client.service_client
    return [client, *(temporalio.client.Client(service, namespace=name) for name in others)]


def _check_fit(target: str, held: int, *, runs: int, alien: int) -> None:
    """Refuse where the store is probably not that of these runs: all of it would go."""
    if runs == 0:
        raise BadInput(
            f"there are no runs at {target}, so all {held} blobs would go; see that this is the "
            "server and the namespace of the store, and say so with force (--force)"
        )
    if alien:
        raise BadInput(
            f"the runs at {target} refer to {alien} blobs, and none of them is in this store, "
            f"which has {held}; see that it is the one that the workers use, and say so with force "
            "(--force)"
        )


async def _remove(blobs: BlobStore, old: list[BlobInfo], since: datetime) -> list[BlobInfo]:
    """Remove blobs, but not those that somebody asked for in the meantime."""
    removed: list[BlobInfo] = []
    for start in range(0, len(old), _AT_ONCE):
        batch = old[start : start + _AT_ONCE]
        done = await asyncio.gather(*(blobs.delete(i.name, unless_since=since) for i in batch))
        removed += [info for info, was in zip(batch, done, strict=True) if was]
    return removed


def _heap(infos: list[BlobInfo]) -> Heap:
    return Heap(blobs=len(infos), bytes=sum(info.size for info in infos))


async def _executions(client: temporalio.client.Client, run_id: str) -> list[WorkflowExecution]:
    """List all executions of a run and of its sub-agents, whose ids begin with its own."""
    query = f"WorkflowId = {quote(run_id)} OR WorkflowId STARTS_WITH {quote(run_id + ':')}"
    found = {e.run_id: e async for e in client.list_workflows(query)}
    try:
        # The list lags behind.
        newest = await client.get_workflow_handle(run_id).describe()
    except RPCError as error:
        if error.status != RPCStatusCode.NOT_FOUND:
            raise
    else:
        found[newest.run_id] = newest
    return list(found.values())


async def _delete(client: temporalio.client.Client, execution: WorkflowExecution) -> None:
    wanted = Execution(workflow_id=execution.id, run_id=execution.run_id)
    try:
        await client.workflow_service.delete_workflow_execution(
            DeleteWorkflowExecutionRequest(namespace=client.namespace, workflow_execution=wanted)
        )
    except RPCError as error:
        if error.status == RPCStatusCode.UNIMPLEMENTED:
            raise Unavailable(f"this server does not delete runs: {error.message}") from error
        if error.status != RPCStatusCode.NOT_FOUND:
            raise
        # Listed, and deleted already.
