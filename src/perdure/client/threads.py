"""Start runs on threads: one at a time, in an order that no client can break. Caller side."""

import asyncio
import hashlib
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Literal, Protocol, TypeAlias, cast
from uuid import uuid4

import temporalio.client
from temporalio.client import (
    WithStartWorkflowOperation,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from perdure.client.faults import translated
from perdure.client.inbox import NoWorker, ask_run
from perdure.client.poll import until
from perdure.client.starting import check_size, preview
from perdure.core.jsons import JsonObject, Raw, shorten
from perdure.core.names import CLAIM_UPDATE, LINE_QUERY, THREAD_WORKFLOW
from perdure.core.payloads import in_order
from perdure.core.wire import RunInput
from perdure.errors import BadInput, BadOption, PerdureError, RunExists, ThreadBusy, Unavailable

OnBusy: TypeAlias = Literal["refuse", "queue", "interrupt", "rollback", "reject", "enqueue"]
"""The last two are LangGraph's words for the first two."""
WORDS: Mapping[str, OnBusy] = {
    "refuse": "refuse",
    "queue": "queue",
    "interrupt": "interrupt",
    "rollback": "rollback",
    "reject": "refuse",
    "enqueue": "queue",
}
CLAIM_WITHIN = timedelta(seconds=10)
LONGEST_THREAD = 200
_TRIES = 5
_PAUSE = 0.1
_CLOSING = (RPCStatusCode.NOT_FOUND, RPCStatusCode.ABORTED, RPCStatusCode.FAILED_PRECONDITION)


def check_thread(thread: str) -> str:
    """Return a thread's id that every store and a shell can carry.

    Raises:
        BadInput: It is empty, too long, or has characters that cannot be seen.
    """
    if not thread or thread != thread.strip() or len(thread) > LONGEST_THREAD:
        raise BadInput(
            f"thread={shorten(repr(thread), 60)}: 1 to {LONGEST_THREAD} characters, no space at "
            "the ends"
        )
    if any(not char.isprintable() for char in thread):
        raise BadInput(f"thread={thread!r}: leave out characters that cannot be seen")
    return thread


def check_on_busy(word: str) -> OnBusy:
    """Return Perdure's own word for what happens when the thread is busy.

    Raises:
        BadOption: There is no such word.
    """
    if word not in WORDS:
        raise BadOption(f"on_busy={word!r}: choose of {', '.join(WORDS)}")
    return WORDS[word]


def lock_id(thread: str) -> str:
    """Name the workflow that orders the runs of a thread."""
    slug = re.sub(r"[^\w.-]+", "-", thread)[:60]
    if slug != thread:
        slug = f"{slug}-{hashlib.blake2b(thread.encode(), digest_size=8).hexdigest()}"
    return f"perdure-thread-{slug}"


async def start_on_thread(
    client: temporalio.client.Client,
    data: RunInput,
    *,
    run_id: str,
    task_queue: str,
    on_busy: str,
    within: timedelta = CLAIM_WITHIN,
) -> None:
    """Start a run in its turn on its thread; a worker must be up.

    Raises:
        BadInput: The thread's name cannot be used.
        ThreadBusy: Another run has the thread and `on_busy` is "refuse".
        RunExists: A run of that id is there already.
        Unavailable: No worker took the claim within the time.
    """
    thread = check_thread(str(data.thread))
    check_size(data)
    claim: JsonObject = {
        "run_id": run_id,
        "on_busy": on_busy,
        "task_queue": task_queue,
        "start": data.to_json(),
        "details": preview(data),
    }
    try:
        async with asyncio.timeout(within.total_seconds()):
            if not await until(lambda: _taken(client, thread, claim), within=within):
                raise TimeoutError
    except (TimeoutError, WorkflowUpdateRPCTimeoutOrCancelledError) as error:
        raise Unavailable(
            f"no worker took run {run_id!r} of thread {thread!r} within "
            f"{within.total_seconds():g} s; start one (`perdure worker APP`) on task queue "
            f"{task_queue!r} and see whether the run is there before trying again"
        ) from error


async def _taken(client: temporalio.client.Client, thread: str, claim: JsonObject) -> bool | None:
    """Claim a place; None if the run that had the thread has ended, which is not noted yet."""
    try:
        await _claim(client, thread, claim)
    except WorkflowUpdateFailedError as error:
        cause = error.cause
        if not isinstance(cause, ApplicationError):
            raise Unavailable(f"thread {thread!r}: {cause}") from error
        if cause.type != ThreadBusy.code:
            raise _refusals().get(str(cause.type), Unavailable)(cause.message) from error
        if await _has_ended(client, _holder(cause)):
            return None
        raise ThreadBusy(f"thread {thread!r} is busy: {cause.message}") from error
    return True


def _holder(cause: ApplicationError) -> str | None:
    told: Raw = cause.details[0] if cause.details else None
    return str(cast("Raw", told)["run_id"]) if isinstance(told, dict) else None


async def _has_ended(client: temporalio.client.Client, run_id: str | None) -> bool:
    if run_id is None:
        return False
    try:
        return (await client.get_workflow_handle(run_id).describe()).close_time is not None
    except RPCError as error:
        if error.status == RPCStatusCode.NOT_FOUND:
            return False  # it is being started
        raise


async def _claim(client: temporalio.client.Client, thread: str, claim: JsonObject) -> None:
    update_id = f"claim-{uuid4().hex}"
    for left in range(_TRIES - 1, -1, -1):
        begin = WithStartWorkflowOperation[object, None](
            THREAD_WORKFLOW,
            id=lock_id(thread),
            task_queue=str(claim["task_queue"]),
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            static_summary=shorten(f"thread {thread}", 100),
        )
        try:
            await client.execute_update_with_start_workflow(
                CLAIM_UPDATE, in_order(claim), start_workflow_operation=begin, id=update_id
            )
        except BaseException as error:
            _hear(begin)
            # The last run on the thread ended at this moment; the next workflow takes it.
            closing = isinstance(error, RPCError) and error.status in _CLOSING
            if left == 0 or not closing:
                raise
            await asyncio.sleep(_PAUSE)
        else:
            return


def _hear(begin: WithStartWorkflowOperation[object, None]) -> None:
    """Take note that the start failed as well, or asyncio complains that nobody did."""
    task = asyncio.ensure_future(begin.workflow_handle())
    task.add_done_callback(lambda done: done.cancelled() or done.exception())


def _refusals() -> Mapping[str, type[PerdureError]]:
    return {kind.code: kind for kind in (BadInput, BadOption, RunExists)}


class Asking(Protocol):
    """A client that knows its server."""

    @property
    def temporal(self) -> temporalio.client.Client:
        """Temporal's own client."""
        ...

    @property
    def target(self) -> str:
        """The server's name in error texts."""
        ...


class ThreadCalls:
    """The part of the client that looks at threads."""

    async def runs_on(self: Asking, thread: str) -> list[str]:
        """List the runs on a thread: the one that has it, then those that wait for their turn.

        Raises:
            BadInput: That is no thread's id.
            Unavailable: No worker is up to tell.
        """
        lock = lock_id(check_thread(thread))
        handle = self.temporal.get_workflow_handle(lock)
        with translated(target=self.target, run_id=lock):
            try:
                if (await handle.describe()).close_time is not None:
                    return []
                line = cast("list[str]", await ask_run(self.temporal, lock, LINE_QUERY))
            except RPCError as error:
                if error.status == RPCStatusCode.NOT_FOUND:
                    return []
                raise
            except NoWorker as reason:
                raise Unavailable(f"thread {thread!r}: {reason}") from reason
            return [run for run in line if not await _has_ended(self.temporal, run)]
