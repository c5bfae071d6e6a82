"""One whole node, or one task, as one activity. Workflow side."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import cast

from langchain_core.runnables import RunnableConfig
from langgraph.errors import GraphInterrupt
from langgraph.runtime import Runtime
from langgraph.types import interrupt
from temporalio import workflow
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    TimeoutType,
    is_cancelled_exception,
)
from temporalio.exceptions import TimeoutError as CallTimeout

from perdure.core.jsons import Json, JsonObject, Raw, shorten
from perdure.core.names import NODE_ACTIVITY
from perdure.core.nodes import (
    FOREIGN,
    METADATA,
    NODE_OPTIONS,
    PLACE,
    NodeCall,
    NodeReply,
    NodeTerms,
)
from perdure.errors import NodeFailed, PayloadTooLarge, UsageError
from perdure.workflow.calls import retry_policy
from perdure.workflow.current import Run
from perdure.workflow.packing import sent
from perdure.workflow.raising import original

_PEEK = "perdure: an answer that is there already"
_OWN = ("checkpoint_id", "checkpoint_ns", "checkpoint_map")
_LONGEST_SUMMARY = 180
_PARTS = ("input", "context", "previous")


@dataclass(kw_only=True)
class Work:
    """One execution of a node, before it is packed."""

    label: str
    call: NodeCall
    terms: NodeTerms
    given: Raw
    """The state, or a task's arguments: a list and an object."""
    config: RunnableConfig


async def execute(run: Run, work: Work) -> Raw:
    """Run a node as an activity; ask a person in the node's place where it interrupts.

    Raises:
        NodeFailed: It failed for good and its exception cannot be made again here.
        Exception: The exception that the node raised.
    """
    packed = _pack(run, work)
    if (kept := run.results.take(key_of(packed))) is not None:
        return run.codec.decode(kept[0])
    answers = _given_answers(work.config)
    writer = _writer(work.config)
    while True:
        call = replace(packed, answers=_encode(run, answers, work) if answers else None)
        data, fresh = await _activity(run, work, call)
        reply = NodeReply.from_json(data)
        for chunk in reply.chunks if fresh else ():
            writer(run.codec.decode(chunk))
        if reply.asked is None:
            run.results.add(key_of(packed), reply.result)
            return run.codec.decode(reply.result)
        asked = cast("list[Raw]", run.codec.decode(reply.asked))
        answers.append(interrupt(asked[0]))


def key_of(call: NodeCall) -> str:
    """Identify what a node was called with, for results that outlive a run."""
    told = [call.agent, list(call.path), call.name, call.input, call.context]
    text = json.dumps(told, sort_keys=True)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _pack(run: Run, work: Work) -> NodeCall:
    config, codec, what = work.config, run.codec, f"node {work.label!r}"
    runtime = _runtime(config)
    parts = cast("Mapping[str, Raw]", config.get("configurable") or {})
    metadata = cast("Mapping[str, Raw]", config.get("metadata") or {})
    drop = FOREIGN if PLACE in metadata else frozenset({METADATA})
    plain: dict[str, Raw] = {
        "configurable": {
            k: v for k, v in parts.items() if not k.startswith("__pregel_") and k not in _OWN
        },
        "metadata": {k: v for k, v in metadata.items() if k not in drop and k != METADATA},
        "tags": list(config.get("tags") or []),
    }
    for name in ("run_name", "recursion_limit"):
        if (value := cast("Raw", config).get(name)) is not None:
            plain[name] = value
    info = cast("Raw", getattr(runtime, "execution_info", None))
    return replace(
        work.call,
        input=codec.encode(work.given, what=f"the input of {what}"),
        config=codec.encode(plain, what=f"the config of {what}"),
        context=codec.encode(getattr(runtime, "context", None), what=f"the context of {what}"),
        previous=codec.encode(getattr(runtime, "previous", None), what=f"`previous` of {what}"),
        info=codec.encode(asdict(info), what="execution info") if info is not None else None,
    )


def _encode(run: Run, answers: Sequence[Raw], work: Work) -> Json:
    return run.codec.encode(list(answers), what=f"answers to node {work.label!r}")


def _runtime(config: RunnableConfig) -> Runtime[Raw] | None:
    """Find the runtime by what it is: its key is LangGraph's own."""
    parts = cast("Mapping[str, Raw]", config.get("configurable") or {})
    found = cast("list[Raw]", [v for v in parts.values() if isinstance(v, Runtime)])
    return found[0] if found else None


def _writer(config: RunnableConfig) -> Callable[[Raw], None]:
    runtime = _runtime(config)
    return _ignore if runtime is None else runtime.stream_writer


def _ignore(_: Raw) -> None:
    """Nobody listens outside of a graph."""


def _given_answers(config: RunnableConfig) -> list[Raw]:
    """Take the answers that this node has already, so that it is not run just to ask again."""
    answers: list[Raw] = []
    if _runtime(config) is None:
        return answers
    while True:
        try:
            answers.append(interrupt(_PEEK))
        except GraphInterrupt:
            return answers


async def _activity(run: Run, work: Work, call: NodeCall) -> tuple[Raw, bool]:
    """Run the activity, or take what an earlier execution of the run got; True if it ran."""
    what = f"the input of node {work.label!r}"
    run.lead.at = run.saver.newest

    async def make() -> Raw:
        with sent(run, call.to_json(), parts=_PARTS, what=what) as data:
            return await _scheduled(work, data)

    try:
        return await run.journal.call(
            f"node {work.label}", lambda: [key_of(call), call.answers], make
        )
    except ActivityError as error:
        if is_cancelled_exception(error) or work.terms.foreign:
            raise
        raise _failed(run, work, error) from error


def _failed(run: Run, work: Work, error: ActivityError) -> Exception:
    """Return what the node raised, or what stands for it."""
    cause, subject = error.cause, f"node {work.label!r}"
    if isinstance(cause, CallTimeout):
        limits = work.terms.override.apply(NODE_OPTIONS)
        if cause.type == TimeoutType.HEARTBEAT:
            lost = f"its worker was not heard of for {limits.heartbeat.total_seconds():g} s"
            return NodeFailed(f"{subject}: {lost}")
        return NodeFailed(f"{subject}: no end within {limits.timeout.total_seconds():g} s")
    if not isinstance(cause, ApplicationError):
        return NodeFailed(f"{subject}: {shorten(str(cause or error), 300)}")
    kinds = (*UsageError.__subclasses__(), PayloadTooLarge)
    kind = next((k for k in kinds if k.code == cause.type), None)
    if kind is not None:
        return kind(cause.message)
    failed = NodeFailed(cause.message)
    thrown = cause.details[1] if len(cause.details) > 1 else None
    return original(run.codec, thrown, failed)


async def _scheduled(work: Work, data: JsonObject) -> Raw:
    terms = work.terms
    label = terms.label(*_label_arguments(work)) if terms.label is not None else None
    limits = terms.override.apply(NODE_OPTIONS)
    options: dict[str, Raw] = {
        "summary": shorten(f"node: {work.label}", _LONGEST_SUMMARY),
        "heartbeat_timeout": limits.heartbeat,
        "retry_policy": None if terms.foreign else retry_policy(limits.retry),
        **terms.options,
    }
    if label:
        options["summary"] = label
    if not any(k in options for k in ("start_to_close_timeout", "schedule_to_close_timeout")):
        options["start_to_close_timeout"] = limits.timeout
    return await workflow.execute_activity(NODE_ACTIVITY, data, **options)


def _label_arguments(work: Work) -> tuple[Raw, Raw]:
    if work.call.path:
        return (work.given,), {}
    args, kwargs = work.given
    return tuple(args), kwargs
