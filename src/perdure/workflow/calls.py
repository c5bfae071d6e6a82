"""One model call, one tool call: an activity with every time limit set. Workflow side."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import NoReturn, cast

from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
)
from langchain_core.tools import BaseTool
from langgraph.config import get_stream_writer
from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    is_cancelled_exception,
)
from temporalio.workflow import ActivityCancellationType

from perdure.core.approvals import digest_of
from perdure.core.declared import Declaration
from perdure.core.effects import effect_key
from perdure.core.jsons import Json, JsonObject, Raw
from perdure.core.names import MODEL_ACTIVITY, TOOL_ACTIVITY
from perdure.core.options import MODEL_OPTIONS, TOOL_OPTIONS, CallOptions, Retry
from perdure.core.replies import FOR_THE_GRAPH
from perdure.core.scenes import RUNTIME, SCRATCHPAD, Outcome, Scene
from perdure.core.summaries import model_summary, tool_summary
from perdure.core.toolservers import ServerTool
from perdure.errors import (
    CallFailed,
    EffectUnknown,
    ModelFailed,
    ModelMistake,
    PerdureError,
    ToolFailed,
)
from perdure.workflow.ahead import lead_model, lead_tool
from perdure.workflow.current import Run
from perdure.workflow.explaining import explain, is_unknown, kind_of
from perdure.workflow.fusing import apart, may_fuse
from perdure.workflow.injection import injected_into, separate
from perdure.workflow.interrupting import answered, configurable
from perdure.workflow.journal import asked_of
from perdure.workflow.outlet import live_of
from perdure.workflow.packing import (
    pack_model_call,
    pack_tool_call,
    sent,
    unpack_chunks,
    unpack_model_reply,
    with_parsed,
)
from perdure.workflow.quick import Missed, pause, try_quick
from perdure.workflow.raising import original
from perdure.workflow.repairing import tell

PARTS, WIDE_PARTS = ("messages", "args", "scene"), ("options", "config")
"""What of a call is written by reference."""


async def call_model(
    run: Run,
    declared: Declaration,
    messages: Sequence[BaseMessage],
    options: Mapping[str, Raw],
    *,
    chunks: list[AIMessageChunk] | None = None,
) -> AIMessage:
    """Ask a model, and tell it what is wrong until its answer can be used.

    `chunks` is filled with the parts in which the provider sent the answer.

    Raises:
        ModelFailed: The call failed for good; the text has the provider's words.
        ModelMistake: The answer still cannot be used after all repairs.
    """
    name = declared.name
    limits = run.start.model_override(name).apply(declared.override.apply(MODEL_OPTIONS))
    turn = run.next_turn()
    live = live_of(f"model-{turn}") if "messages" in run.start.stream else None
    conversation = list(messages)
    faults: tuple[JsonObject, ...] = ()
    for repair in range(limits.repairs + 1):
        packed = pack_model_call(
            run.codec,
            model=name,
            messages=conversation,
            options=options,
            call=limits,
            live=replace(live, repair=repair) if live is not None else None,
            chunks=chunks is not None,
            fuse=_fuse(run, name),
        )
        try:
            raw, fresh = await run.journal.call(
                f"model {name}",
                partial(asked_of, run.codec, conversation),
                partial(
                    _ask_model,
                    run,
                    name,
                    packed,
                    limits,
                    summary=model_summary(name, turn, repair),
                    repair=repair,
                ),
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            failed = kind_of(error, ModelFailed)
            raise_as_raised(run, failed(explain(f"model {name!r}", error, limits)), error)
        message, reply = unpack_model_reply(run.codec, raw)
        if fresh:
            run.add_usage(reply.usage)
        run.tool_lists.called.update(reply.servers)
        run.fused.note(run.codec, message, reply)
        run.quick.note(((c["id"] or "", c["name"]) for c in message.tool_calls), reply.quick)
        faults = reply.faults
        left = limits.repairs == 0 and all(f.get("kind") in FOR_THE_GRAPH for f in faults)
        if not faults or left:
            if live is not None and message.id:
                run.outlet.calls[message.id] = live.call
            if chunks is not None:
                chunks += unpack_chunks(run.codec, reply)
            return with_parsed(message, options)
        conversation = [*conversation, *tell(message, faults)]
    told = "; ".join(str(fault.get("text")) for fault in faults)
    raise ModelMistake(
        f"model {name!r} gave {limits.repairs + 1} answers that cannot be used. The last: {told}"
    )


async def _ask_model(
    run: Run, name: str, packed: JsonObject, limits: CallOptions, *, summary: str, repair: int
) -> Raw:
    """Make one request, or take what running ahead brought; a repair is asked for by itself."""
    brought = await lead_model(run, name, packed) if repair == 0 else None
    if brought is not None:
        return brought
    what = f"the call of model {name!r}"
    return await _execute(run, MODEL_ACTIVITY, packed, limits, what=what, summary=summary)


def _fuse(run: Run, model: str) -> tuple[str, ...] | None:
    """Say which quick tools of a reply wait for the graph; None if all do."""
    table = run.host.declared
    if not any(entry.override.quick for entry in table.all()):
        return None
    run.fused.look(getattr(run.drive, "graph", None))
    if not may_fuse(run.start, run.fused, model=model, on=run.host.fuse):
        return None
    return apart(run.start, run.fused, run.quick.slow)


async def call_tool(
    run: Run,
    declared: Declaration,
    args: Raw,
    *,
    call_id: str | None,
    position: int,
    tool: BaseTool | None = None,
) -> Raw:
    """Run a tool as an activity and return what it returned.

    What it asks a person by `interrupt()` is asked in the node, and the call made again with
    the answers. What it streamed goes to the node's stream writer.

    Raises:
        ToolFailed: The tool failed for good; inside a graph also of the class that it raised.
        EffectUnknown: An effect that may not be repeated was cut off in the middle.
    """
    codec, subject = run.codec, f"tool {declared.name!r}"
    plain, scene = separate(codec, args, tool, what=subject)
    same = call_id or digest_of(codec.encode(plain, what=f"arguments of {subject}"))
    turn = run.pauses.enter((declared.name, same))
    held = run.pauses.find(turn)
    key = None
    if declared.effect:
        key = _key(position, call_id) if held is None or held.key is None else held.key

    summary = tool_summary(declared.name, _shown(plain, tool))

    async def call(answers: list[Json]) -> Outcome:
        told = scene if scene is None else replace(scene, answers=tuple(answers))
        return await _call_once(
            run, declared, plain, told, call_id=call_id, key=key, summary=summary
        )

    try:
        outcome = await answered(run.pauses, turn, codec, call, key=key, what=subject)
    finally:
        if turn is not None:
            run.pauses.leave(turn)
    return codec.decode(outcome.value)


async def _call_once(
    run: Run,
    declared: Declaration,
    args: Raw,
    scene: Scene | None,
    *,
    call_id: str | None,
    key: str | None,
    summary: str,
) -> Outcome:
    name = declared.name
    limits = run.start.tool_override(name).apply(declared.override.apply(TOOL_OPTIONS))
    once = declared.effect and not declared.idempotent
    wanted = "custom" in run.start.stream and scene is not None
    live = run.outlet.live_tool(configurable()) if wanted else None
    packed = pack_tool_call(
        run.codec,
        tool=name,
        args=args,
        call_id=call_id,
        key=key,
        scene=scene,
        live=live,
        server=declared.terms if isinstance(declared.terms, ServerTool) else None,
    )
    if declared.effect and (done := run.ledger.take(name, packed["args"])) is not None:
        return Outcome(value=Outcome.from_json(done.result).value)
    if (ready := _ready(run, declared, packed, call_id)) is not None:
        return ready
    try:
        raw, fresh = await run.journal.call(
            f"tool {name}",
            partial(_asked_of_tool, run, args, scene, call_id),
            partial(
                _run_tool,
                run,
                declared,
                packed,
                limits,
                call_id=call_id,
                once=once,
                summary=summary,
            ),
        )
    except ActivityError as error:
        text = explain(f"tool {name!r}", error, limits)
        if once and is_unknown(error):
            raise EffectUnknown(
                f"{text}. It may have happened (key {key!r}); look before trying again"
            ) from error
        if is_cancelled_exception(error):
            raise
        raise_as_raised(run, kind_of(error, ToolFailed)(text), error)
    outcome = Outcome.from_json(raw)
    if not fresh:
        return outcome
    if key is not None and outcome.question is None:
        run.ledger.add(tool=name, args=packed["args"], key=key, result=raw, at=run.saver.newest)
    for chunk in outcome.chunks if RUNTIME in configurable() else ():
        part = run.codec.decode(chunk)
        if live is not None:
            run.outlet.note_written(part, live)
        get_stream_writer()(part)
    return outcome


def _asked_of_tool(run: Run, args: Raw, scene: Scene | None, call_id: str | None) -> Json:
    """Say what a tool was asked; where it was asked is not part of it."""
    answers = [] if scene is None else list(scene.answers)
    return [run.codec.encode(args, what="arguments"), call_id, answers]


def _ready(
    run: Run, declared: Declaration, packed: JsonObject, call_id: str | None
) -> Outcome | None:
    """Return a result that came with the model's reply, or that running ahead brought."""
    brought = lead_tool(run, declared, packed)
    if brought is not None:
        return Outcome(value=brought)
    ready = None if declared.effect else run.fused.take(call_id, declared.name, packed)
    return None if ready is None else Outcome(value=ready.value)


async def _run_tool(
    run: Run,
    declared: Declaration,
    packed: JsonObject,
    limits: CallOptions,
    *,
    call_id: str | None,
    once: bool,
    summary: str,
) -> Raw:
    """Try a quick tool within the run's own step; what that does not bring is an activity."""
    effect, name = declared.effect, declared.name
    # A second attempt of a local activity could not tell readers to drop what the first one said.
    plain = not effect and "live" not in packed
    allowed = plain and run.start.tool_override(name).quick is not False
    if allowed and run.quick.takes(declared, limits, call_id):
        first = await try_quick(run.quick, run.codec, packed, limits, name=name, summary=summary)
        if not isinstance(first, Missed):
            return first
        await pause(first, summary)
        packed, limits = {**packed, "tried": first.tried}, first.limits
    what = f"the call of tool {name!r}"
    return await _execute(
        run, TOOL_ACTIVITY, packed, limits, what=what, summary=summary, once=once, effect=effect
    )


def _shown(args: Raw, tool: BaseTool | None) -> Mapping[str, Json]:
    """Return what the model gave: parts of the state that were injected beside it say little."""
    if not isinstance(args, dict):
        return {}
    given = cast("dict[str, Json]", args)
    hidden = () if tool is None else injected_into(tool)
    return {name: value for name, value in given.items() if name not in hidden}


def raise_as_raised(run: Run, failed: PerdureError, error: ActivityError) -> NoReturn:
    """Raise what the activity raised if a graph is there to see it, else the failure itself.

    Raises:
        PerdureError: Always; inside a graph it is of the original's class too.
    """
    failed.__cause__ = error
    details = error.cause.details if isinstance(error.cause, ApplicationError) else ()
    if isinstance(failed, CallFailed) and len(details) > 1 and SCRATCHPAD in configurable():
        made = original(run.codec, details[1], failed)
        if made is not failed:
            raise made from failed
    raise failed from error


async def _execute(
    run: Run,
    activity: str,
    packed: JsonObject,
    limits: CallOptions,
    *,
    what: str,
    summary: str,
    once: bool = False,
    effect: bool = False,
) -> Raw:
    wait = ActivityCancellationType.WAIT_CANCELLATION_COMPLETED
    task = asyncio.current_task()
    asked = task.cancelling() if task is not None else 0
    with sent(run, packed, parts=PARTS, wide=WIDE_PARTS, what=what) as data:
        result: Raw = await workflow.execute_activity(
            activity,
            data,
            start_to_close_timeout=limits.timeout,
            heartbeat_timeout=limits.heartbeat,
            retry_policy=retry_policy(limits.retry, once=once),
            # An effect is told to stop and its outcome is awaited; what only reads is left.
            cancellation_type=wait if effect else ActivityCancellationType.TRY_CANCEL,
            summary=summary,
        )
    run.quick.answered()
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
