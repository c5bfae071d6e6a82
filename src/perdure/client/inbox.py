"""Open questions across runs, and decisions on them. Caller side."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

import temporalio.client
from temporalio.client import (
    WorkflowExecution,
    WorkflowExecutionStatus,
    WorkflowQueryFailedError,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from perdure.client.failures import refusal
from perdure.client.faults import as_perdure, not_found
from perdure.client.index import AGENT, ours
from perdure.client.records import CLOSED, Inbox, Unasked, Waiting, waitings_of
from perdure.core.approvals import Decision, digest_of
from perdure.core.jsons import Json, JsonObject, Raw, as_object, shorten
from perdure.core.names import (
    AGENT_MEMO,
    DECIDE_UPDATE,
    QUESTIONS_MEMO,
    QUESTIONS_QUERY,
    STARTED_MEMO,
    STATUS_ATTRIBUTE,
)
from perdure.core.payloads import in_order
from perdure.errors import NothingWaiting, PerdureError, Unavailable

ASK_WITHIN = timedelta(seconds=3)
"""How long one run may take to tell what it waits for."""
_AT_ONCE = 16
_NOT_READY = (
    RPCStatusCode.DEADLINE_EXCEEDED,
    RPCStatusCode.FAILED_PRECONDITION,
    RPCStatusCode.CANCELLED,
    RPCStatusCode.UNAVAILABLE,
)


class NoWorker(Exception):
    """No worker answered for a run."""


async def ask_run(
    client: temporalio.client.Client,
    run_id: str,
    query: str,
    *args: Json,
    within: timedelta = ASK_WITHIN,
) -> Raw:
    """Send a query to a run.

    Raises:
        NoWorker: Nobody answered within the time, or the run does not know the query.
    """
    handle = client.get_workflow_handle(run_id)
    sent = [in_order(one) for one in args]
    try:
        async with asyncio.timeout(within.total_seconds() + 1):
            return await handle.query(query, args=sent, rpc_timeout=within)
    except WorkflowQueryFailedError as error:
        raise NoWorker(f"the run does not answer {query!r}: {shorten(str(error), 120)}") from error
    except RPCError as error:
        if error.status not in _NOT_READY:
            raise
        raise NoWorker(f"no worker answers for it ({shorten(error.message, 120)})") from error
    except TimeoutError as error:
        raise NoWorker(f"no worker answered within {within.total_seconds():g} s") from error


async def agent_of(execution: WorkflowExecution) -> str:
    """Read the agent's name from the memo."""
    try:
        memo = await execution.memo_value(AGENT_MEMO, "")
    except PerdureError:  # encrypted for somebody else; a list shows the others all the same
        found = execution.typed_search_attributes.get(AGENT)
        return str(found or "(encrypted)")
    return str(memo or execution.workflow_type)


async def started_of(execution: WorkflowExecution) -> datetime:
    """Tell when a run began: its first execution, if it went on in new ones."""
    told = await execution.memo_value(STARTED_MEMO, None)
    try:
        return datetime.fromisoformat(str(told)) if told else execution.start_time
    except ValueError:
        return execution.start_time


async def noted_questions(execution: WorkflowExecution) -> tuple[Waiting, ...]:
    """Read the open questions that an indexed run has noted in its memo; needs no worker."""
    try:
        memo = await execution.memo_value(QUESTIONS_MEMO, None)
    except PerdureError:  # as in `agent_of`
        return ()
    return waitings_of(memo, run_id=execution.id, agent=await agent_of(execution))


async def questions_of(
    client: temporalio.client.Client, execution: WorkflowExecution
) -> tuple[tuple[Waiting, ...], str]:
    """Read the open questions of one running execution, and why they may be incomplete."""
    agent = await agent_of(execution)
    try:
        raw = await ask_run(client, execution.id, QUESTIONS_QUERY)
    except NoWorker as reason:
        return await noted_questions(execution), str(reason)
    return waitings_of(raw, run_id=execution.id, agent=agent), ""


async def all_questions(client: temporalio.client.Client, *, indexed: bool) -> Inbox:
    """Collect the open questions of all running agents.

    An indexed run tells them in its memo, without a worker; others are asked one by one.
    """
    query = f"{ours(indexed=indexed)} AND ExecutionStatus = 'Running'"
    if indexed:
        query += f" AND ({STATUS_ATTRIBUTE} = 'waiting' OR {STATUS_ATTRIBUTE} IS NULL)"
    found = [execution async for execution in client.list_workflows(query)]
    gate = asyncio.Semaphore(_AT_ONCE)

    async def read(execution: WorkflowExecution) -> Inbox:
        agent = await agent_of(execution)
        known = await noted_questions(execution)
        if known and all(question.complete for question in known):
            return Inbox(questions=known)
        async with gate:
            questions, reason = await questions_of(client, execution)
        if reason and not questions:
            return Inbox(unasked=(Unasked(run_id=execution.id, agent=agent, reason=reason),))
        return Inbox(questions=questions)

    parts = await asyncio.gather(*(read(execution) for execution in found))
    questions = sorted((q for part in parts for q in part.questions), key=lambda q: q.asked_at)
    return Inbox(
        questions=tuple(questions), unasked=tuple(u for part in parts for u in part.unasked)
    )


async def send_decision(
    client: temporalio.client.Client,
    run_id: str,
    decision: Decision,
    *,
    asked: Waiting | None,
    within: timedelta,
    target: str,
) -> JsonObject:
    """Send a decision as an update; returns what the run recorded.

    The update's id follows from question and decision, so the same click twice is one decision.

    Raises:
        Refused: One of its kinds; the run goes on waiting.
        Unavailable: No worker took it within the time.
    """
    if asked is not None and decision.question is None:
        decision = replace(decision, question=asked.id)
    sent = replace(decision, at=None).to_json()
    mark: JsonObject = {"decision": sent, "asked_at": asked.asked_at if asked else None}
    update_id = f"decide-{digest_of(mark if decision.question is None else {'decision': sent})}"
    ack = await _decide(client, run_id, sent, update_id, within=within, target=target)
    if asked is not None and ack.get("asked_at") not in (None, asked.asked_at):
        # The run asks again under the same id; the answer came from the earlier question.
        again = f"decide-{digest_of(mark)}"
        return await _decide(client, run_id, sent, again, within=within, target=target)
    return ack


async def _decide(
    client: temporalio.client.Client,
    run_id: str,
    sent: JsonObject,
    update_id: str,
    *,
    within: timedelta,
    target: str,
) -> JsonObject:
    silent = Unavailable(
        f"no worker took the decision for {run_id!r} within {within.total_seconds():g} s. The run "
        "still waits: start a worker (`perdure worker APP`) and give the same command again, "
        "which is safe"
    )
    raw = await send_update(
        client, run_id, DECIDE_UPDATE, sent, update_id, within=within, target=target, silent=silent
    )
    return as_object(raw, what="the run's answer to a decision")


async def send_update(
    client: temporalio.client.Client,
    run_id: str,
    update: str,
    sent: JsonObject,
    update_id: str,
    *,
    within: timedelta,
    target: str,
    silent: Unavailable,
) -> Raw:
    """Send an update to a run; returns its answer. `silent` is raised when nobody takes it.

    Raises:
        PerdureError: The run refused it, in the run's own words.
    """
    handle = client.get_workflow_handle(run_id)
    try:
        async with asyncio.timeout(within.total_seconds()):
            return await handle.execute_update(update, in_order(sent), id=update_id)
    except WorkflowUpdateFailedError as error:
        cause = error.cause
        if isinstance(cause, ApplicationError):
            raise refusal(cause.type, cause.message) from error
        raise refusal(None, str(cause)) from error
    except (TimeoutError, WorkflowUpdateRPCTimeoutOrCancelledError) as error:
        raise silent from error
    except RPCError as error:
        if error.status == RPCStatusCode.NOT_FOUND:
            raise await _ended(client, run_id, error) from error
        raise as_perdure(error, target=target, run_id=run_id) from error


async def _ended(client: temporalio.client.Client, run_id: str, error: RPCError) -> PerdureError:
    try:
        execution = await client.get_workflow_handle(run_id).describe()
    except RPCError:
        return not_found(run_id)
    status = CLOSED.get(execution.status or WorkflowExecutionStatus.RUNNING)
    if status is None:
        return Unavailable(f"run {run_id!r} could not be reached: {error.message}")
    when = execution.close_time.isoformat(timespec="seconds") if execution.close_time else "?"
    return NothingWaiting(f"run {run_id!r} has ended ({status} at {when}); it waits for nobody")
