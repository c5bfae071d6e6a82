"""The workflow that orders the runs of one thread: one at a time. Workflow side.

It starts the runs as its children, so that the end of one and the turn of the next are events
of its own history: no client and no worker that dies can lose them.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace

from temporalio import workflow
from temporalio.common import (
    SearchAttributeKey,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import ApplicationError, TemporalError, WorkflowAlreadyStartedError
from temporalio.workflow import ParentClosePolicy

from perdure.core.jsons import Json, JsonObject, Raw, as_object, shorten
from perdure.core.names import (
    AGENT_ATTRIBUTE,
    AGENT_MEMO,
    AGENT_WORKFLOW,
    CLAIM_UPDATE,
    LINE_QUERY,
    STATUS_ATTRIBUTE,
    TENANT_ATTRIBUTE,
    THREAD_WORKFLOW,
    TURN_SIGNAL,
    WAITING_ATTRIBUTE,
)
from perdure.core.wire import RunInput, run_input
from perdure.errors import PerdureError, RunExists, ThreadBusy


@dataclass
class _Place:
    """One run in the line; the first has the thread."""

    run: str
    agent: str
    handle: Raw = None
    """The child workflow; None while it is being started."""


@workflow.defn(name=THREAD_WORKFLOW, sandboxed=False)
class ThreadWorkflow:
    """Let the runs of one thread follow each other. Ends when none is left."""

    def __init__(self) -> None:
        self._line: list[_Place] = []
        self._following: dict[str, asyncio.Task[None]] = {}
        self._claims = 0

    @workflow.run
    async def run(self, *_: Raw) -> None:
        """Wait until every run has ended; a cancel is not heard, for the runs would hang."""
        while True:
            try:
                await workflow.wait_condition(self._is_over)
            except asyncio.CancelledError:
                continue
            return

    def _is_over(self) -> bool:
        idle = not self._line and not self._following
        return bool(self._claims) and idle and workflow.all_handlers_finished()

    @workflow.query(name=LINE_QUERY)
    def line(self) -> list[str]:
        """List the runs, the one that has the thread first."""
        return [place.run for place in self._line]

    @workflow.update(name=CLAIM_UPDATE)
    async def claim(self, raw: Raw) -> JsonObject:
        """Start a run in its turn; returns how many are before it.

        Raises:
            ApplicationError: Its type is `run_exists`, or a code of a bad claim.
        """
        self._claims += 1
        request = as_object(raw, what="a claim of a thread")
        on_busy = request.get("on_busy")
        jumps = on_busy in ("interrupt", "rollback")
        try:
            start = run_input(request["start"])
            if self._line and on_busy == "refuse":
                raise _told(_busy(self._line[0], len(self._line) - 1), self._line[0])
            place = _Place(run=str(request["run_id"]), agent=start.agent)
            holder = self._line[0] if self._line else None
            self._line.insert(1 if jumps and holder else len(self._line), place)
            await self._start(place, request, start)
        except PerdureError as error:
            raise ApplicationError(str(error), type=error.code, non_retryable=True) from None
        if jumps and holder is not None:
            await self._stop(holder, rollback=on_busy == "rollback")
        before = self._line.index(place) if place in self._line else 0
        return {"run_id": place.run, "before": before}

    @claim.validator
    def check(self, raw: Raw) -> None:
        """Refuse a claim of a busy thread before it is recorded."""
        request: Mapping[str, Json] = as_object(raw, what="a claim of a thread")
        if self._line and request.get("on_busy") == "refuse":
            raise _told(_busy(self._line[0], len(self._line) - 1), self._line[0])

    async def _start(self, place: _Place, request: JsonObject, start: RunInput) -> None:
        first = self._line[0] is place
        try:
            place.handle = await workflow.start_child_workflow(
                AGENT_WORKFLOW,
                replace(start, turn=not first).to_json(),
                id=place.run,
                task_queue=str(request["task_queue"]),
                parent_close_policy=ParentClosePolicy.ABANDON,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                memo={AGENT_MEMO: start.agent},
                search_attributes=_attributes(start) if start.index else None,
                static_summary=shorten(f"agent {start.agent}", 100),
                static_details=str(request.get("details") or ""),
            )
        except WorkflowAlreadyStartedError:
            await self._leave(place)
            raise RunExists(f"a run {place.run!r} exists already; choose another id") from None
        task = asyncio.create_task(self._follow(place))
        self._following[place.run] = task
        if not first and self._line[0] is place:
            await self._grant(place)

    async def _follow(self, place: _Place) -> None:
        """Wait for the end of a run, however it ends, and let the next one go."""
        try:
            await place.handle
        except TemporalError as error:
            workflow.logger.info("run %s ended without a result: %s", place.run, error)
        await self._leave(place)
        del self._following[place.run]

    async def _leave(self, place: _Place) -> None:
        first = self._line[0] is place
        self._line.remove(place)
        if first and self._line and self._line[0].handle is not None:
            await self._grant(self._line[0])

    async def _grant(self, place: _Place) -> None:
        """Tell a run that the thread is its; one that has ended leaves by itself."""
        try:
            await place.handle.signal(TURN_SIGNAL, {"word": "go"})
        except TemporalError as error:
            workflow.logger.info("run %s has ended: %s", place.run, error)

    async def _stop(self, holder: _Place, *, rollback: bool) -> None:
        """Ask a run that has the thread to end; the word about its state comes first."""
        await workflow.wait_condition(lambda: holder.handle is not None or holder not in self._line)
        handle = workflow.get_external_workflow_handle(holder.run)
        try:
            if rollback:
                await handle.signal(TURN_SIGNAL, {"word": "rollback"})
            await handle.cancel()
        except TemporalError as error:
            workflow.logger.info("run %s has ended: %s", holder.run, error)


def _attributes(start: RunInput) -> TypedSearchAttributes:
    """Return what a run is found by before its first step."""
    pairs: list[SearchAttributePair[str] | SearchAttributePair[int]] = [
        SearchAttributePair(SearchAttributeKey.for_keyword(AGENT_ATTRIBUTE), start.agent),
        SearchAttributePair(SearchAttributeKey.for_keyword(STATUS_ATTRIBUTE), "running"),
        SearchAttributePair(SearchAttributeKey.for_int(WAITING_ATTRIBUTE), 0),
    ]
    if start.tenant is not None:
        tenant = SearchAttributeKey.for_keyword(TENANT_ATTRIBUTE)
        pairs.append(SearchAttributePair(tenant, start.tenant))
    return TypedSearchAttributes(pairs)


def _told(error: ThreadBusy, holder: _Place) -> ApplicationError:
    """Name the run, so that a client can tell whether it has ended this moment."""
    return ApplicationError(str(error), {"run_id": holder.run}, type=error.code, non_retryable=True)


def _busy(holder: _Place, queued: int) -> ThreadBusy:
    more = f", and {queued} wait for it" if queued else ""
    return ThreadBusy(
        f"run {holder.run!r} of agent {holder.agent!r} has the thread{more}; wait for it, or start "
        'with on_busy="queue", "interrupt" or "rollback"'
    )
