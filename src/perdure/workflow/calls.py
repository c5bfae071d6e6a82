"""One model call, one tool call: an activity with every time limit set. Workflow side."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import cast

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    TimeoutType,
    is_cancelled_exception,
)
from temporalio.exceptions import TimeoutError as CallTimeout
from temporalio.workflow import ActivityCancellationType

from perdure.core.declared import Declaration
from perdure.core.effects import effect_key
from perdure.core.jsons import Json, JsonObject, Raw, shorten
from perdure.core.names import MODEL_ACTIVITY, TOOL_ACTIVITY
from perdure.core.options import MODEL_OPTIONS, TOOL_OPTIONS, CallOptions, Retry
from perdure.core.summaries import model_summary, tool_summary
from perdure.errors import (
    EffectUnknown,
    ModelFailed,
    ModelMistake,
    PayloadTooLarge,
    PerdureError,
    ToolFailed,
    UsageError,
)
from perdure.workflow.current import Run
from perdure.workflow.packing import (
    pack_model_call,
    pack_tool_call,
    unpack_model_reply,
    with_parsed,
)

_SHUTDOWN = "WorkerShutdown"
"""What Temporal's SDK calls an attempt that ended because its worker was stopped."""


async def call_model(
    run: Run,
    declared: Declaration,
    messages: Sequence[BaseMessage],
    options: Mapping[str, Raw],
) -> AIMessage:
    """Ask a model, and tell it what is wrong until its answer can be used.

    Raises:
        ModelFailed: The call failed for good; the text has the provider's words.
        ModelMistake: The answer still cannot be used after all repairs.
    """
    name = declared.name
    limits = run.start.model_override(name).apply(declared.override.apply(MODEL_OPTIONS))
    turn = run.next_turn()
    conversation = list(messages)
    faults: tuple[JsonObject, ...] = ()
    for repair in range(limits.repairs + 1):
        packed = pack_model_call(
            run.host.codec, model=name, messages=conversation, options=options, call=limits
        )
        try:
            raw = await _execute(
                MODEL_ACTIVITY, packed, limits, summary=model_summary(name, turn, repair)
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            failed = _kind(error, ModelFailed)
            raise failed(_explain(f"model {name!r}", error, limits)) from error
        message, reply = unpack_model_reply(run.host.codec, raw)
        run.add_usage(reply.usage)
        faults = reply.faults
        if not faults:
            return with_parsed(message, options)
        conversation = [*conversation, *_tell(message, faults)]
    told = "; ".join(str(fault.get("text")) for fault in faults)
    raise ModelMistake(
        f"model {name!r} gave {limits.repairs + 1} answers that cannot be used. The last: {told}"
    )


async def call_tool(
    run: Run, declared: Declaration, args: Raw, *, call_id: str | None, position: int
) -> Raw:
    """Run a tool as an activity and return what it returned.

    Raises:
        ToolFailed: The tool failed for good; the text has its words.
        EffectUnknown: An effect that may not be repeated was cut off in the middle.
    """
    name = declared.name
    limits = run.start.tool_override(name).apply(declared.override.apply(TOOL_OPTIONS))
    key = _key(position, call_id) if declared.effect else None
    once = declared.effect and not declared.idempotent
    packed = pack_tool_call(run.host.codec, tool=name, args=args, call_id=call_id, key=key)
    if declared.effect and (done := run.ledger.take(name, packed["args"])) is not None:
        return run.host.codec.decode(done.result)
    summary = tool_summary(name, cast("Mapping[str, Json]", args) if isinstance(args, dict) else {})
    try:
        raw = await _execute(
            TOOL_ACTIVITY, packed, limits, summary=summary, once=once, effect=declared.effect
        )
    except ActivityError as error:
        text = _explain(f"tool {name!r}", error, limits)
        if once and _is_unknown(error):
            raise EffectUnknown(
                f"{text}. It may have happened (key {key!r}); look before trying again"
            ) from error
        if is_cancelled_exception(error):
            raise
        raise _kind(error, ToolFailed)(text) from error
    if key is not None:
        run.ledger.add(tool=name, args=packed["args"], key=key, result=raw, at=run.saver.newest)
    return run.host.codec.decode(raw)


async def _execute(
    activity: str,
    packed: JsonObject,
    limits: CallOptions,
    *,
    summary: str,
    once: bool = False,
    effect: bool = False,
) -> Raw:
    wait = ActivityCancellationType.WAIT_CANCELLATION_COMPLETED
    task = asyncio.current_task()
    asked = task.cancelling() if task is not None else 0
    result: Raw = await workflow.execute_activity(
        activity,
        packed,
        start_to_close_timeout=limits.timeout,
        heartbeat_timeout=limits.heartbeat,
        retry_policy=retry_policy(limits.retry, once=once),
        # An effect is told to stop and its outcome is awaited; what only reads is left.
        cancellation_type=wait if effect else ActivityCancellationType.TRY_CANCEL,
        summary=summary,
    )
    if task is not None and task.cancelling() > asked:
        # The effect came to its end, which swallowed the cancel; nothing more may begin.
        raise asyncio.CancelledError
    return result


def retry_policy(retry: Retry, *, once: bool = False) -> RetryPolicy:
    """Write a retry policy in Temporal's terms; `once` allows one attempt only."""
    return RetryPolicy(
        initial_interval=retry.initial,
        backoff_coefficient=retry.backoff,
        maximum_interval=retry.maximum,
        maximum_attempts=1 if once else retry.attempts,
    )


def _key(position: int, call_id: str | None) -> str:
    info = workflow.info()
    return effect_key(
        workflow_id=info.workflow_id,
        first_run_id=info.first_execution_run_id,
        position=position,
        call_id=call_id,
    )


def _explain(subject: str, error: ActivityError, limits: CallOptions) -> str:
    cause = error.cause
    if isinstance(cause, ApplicationError):
        told = cause.message
        return told if told.startswith(subject) else f"{subject}: {told}"
    if isinstance(cause, CallTimeout):
        kind = cause.type
        if kind == TimeoutType.HEARTBEAT:
            return f"{subject}: its worker was not heard of for {_span(limits.heartbeat)}"
        if kind == TimeoutType.START_TO_CLOSE:
            tried = f"tried {limits.retry.attempts} times at most"
            return f"{subject}: no answer within {_span(limits.timeout)}, {tried}"
        return f"{subject}: timed out ({kind.name.lower() if kind else 'unknown'})"
    return f"{subject}: {shorten(str(cause or error), 300)}"


def _kind(error: ActivityError, otherwise: type[PerdureError]) -> type[PerdureError]:
    """Return the class that the activity named by its code: the developer's part, mostly."""
    cause = error.cause
    code = cause.type if isinstance(cause, ApplicationError) else None
    return next(
        (c for c in (*UsageError.__subclasses__(), PayloadTooLarge) if c.code == code), otherwise
    )


def _span(value: timedelta) -> str:
    return f"{value.total_seconds():g} s"


def _is_unknown(error: ActivityError) -> bool:
    cause = error.cause
    if isinstance(cause, CallTimeout) or is_cancelled_exception(error):
        return True
    if isinstance(cause, ApplicationError) and cause.type == _SHUTDOWN:
        return True
    details = cause.details if isinstance(cause, ApplicationError) else ()
    first = details[0] if details else None
    return isinstance(first, Mapping) and cast("Mapping[str, Json]", first).get("verdict") in (
        "retry",
        "unknown",
    )


def _tell(message: AIMessage, faults: Sequence[JsonObject]) -> list[BaseMessage]:
    """Say to the model what is wrong, in the form that providers demand.

    Every tool call of a message needs an answer before the next turn, the good ones too.
    """
    ids = [c["id"] for c in (*message.tool_calls, *message.invalid_tool_calls) if c["id"]]
    if not ids:
        return [message, HumanMessage("\n".join(str(f.get("text")) for f in faults))]
    said: dict[str, list[str]] = {}
    for fault in faults:
        call_id = fault.get("tool_call_id")
        said.setdefault(str(call_id) if call_id in ids else ids[0], []).append(str(fault["text"]))
    other = "Not executed, because another call of the same message was invalid. Call it again."
    answers = [
        ToolMessage("\n".join(said.get(i, [other])), tool_call_id=i, status="error") for i in ids
    ]
    return [message, *answers]
