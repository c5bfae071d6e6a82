"""Get one answer of a model, and find what is wrong with it. Activity side."""

import json
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from typing import cast

from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    InvalidToolCall,
    ToolCall,
    message_chunk_to_message,
)
from langchain_core.messages.tool import ToolCallChunk, invalid_tool_call, tool_call
from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.runnables.base import RunnableBindingBase

from perdure.activity import schemas
from perdure.core import replies
from perdure.core.replies import Fault

_STRICT_PROVIDERS = frozenset({"anthropic", "openai"})
_CUT = frozenset({"max_tokens", "length", "max_output_tokens", "model_context_window_exceeded"})
_REFUSED = frozenset({"refusal", "content_filter"})
_EMPTY_STREAM = "No generation chunks were returned"


def _paid(message: AIMessage) -> AIMessage:
    """Leave out what LangChain's cache writes as usage: a cost of zero, and no tokens."""
    usage = message.usage_metadata
    if usage is None or "input_tokens" in usage:
        return message
    return message.model_copy(update={"usage_metadata": None})


async def collect(
    model: Runnable[LanguageModelInput, AIMessage],
    messages: Sequence[BaseMessage],
    config: RunnableConfig | None = None,
    *,
    tell: Callable[[AIMessageChunk], None] | None = None,
) -> AIMessage:
    """Ask a model once; stream if it is set to `streaming`, also beneath bindings.

    `tell` gets each chunk as it comes; then every model that can stream does so.

    LangChain mends the arguments of a tool call that was cut: half an amount becomes an
    amount. Streamed arguments are therefore parsed again here, and a call whose arguments
    are no complete JSON object moves to `invalid_tool_calls`.

    Raises:
        ConnectionError: The stream ended before its first chunk.
        Exception: Whatever the provider's client raises.
    """
    if tell is None and not _streams(model):
        return _paid(await model.ainvoke(list(messages), config))
    chunks: list[AIMessageChunk] = []
    stream = cast(
        "AsyncGenerator[AIMessage, None]",
        model.astream(list(messages), config),
    )
    try:
        async with aclosing(stream):
            async for chunk in stream:
                if not isinstance(chunk, AIMessageChunk):
                    return _paid(chunk)
                chunks.append(chunk)
                if tell is not None:
                    tell(chunk)
    except ValueError as error:
        if str(error) != _EMPTY_STREAM:
            raise
        raise ConnectionError("the stream ended before its first chunk") from error
    if not chunks:
        raise ConnectionError("the stream ended before its first chunk")
    return _join(chunks)


def check(message: AIMessage, kwargs: Mapping[str, object]) -> tuple[Fault, ...]:
    """Find the faults of an answer; `kwargs` are what the call was bound with.

    Nothing is run for an answer with faults: a broken tool call must not reach its tool. A
    refusal is an answer like any other.
    """
    stop = _stop_reason(message)
    if stop is None and _owes_stop_reason(message):
        return (replies.no_stop_reason(),)
    faults = (*_broken_calls(message, stop), *_bad_calls(message, kwargs, stop))
    if faults or message.tool_calls or _refused(message, stop):
        return faults
    return tuple(_missing(message, kwargs))


def _streams(model: object) -> bool:
    while isinstance(model, RunnableBindingBase):
        model = cast("object", model.bound)
    return bool(getattr(model, "streaming", False))


def _join(chunks: Sequence[AIMessageChunk]) -> AIMessage:
    total = chunks[0] + list(chunks[1:])
    good: list[ToolCall] = []
    bad: list[InvalidToolCall] = []
    for chunk in total.tool_call_chunks:
        args = _arguments(chunk)
        if args is None:
            bad.append(
                invalid_tool_call(
                    name=chunk["name"],
                    args=chunk["args"],
                    id=chunk["id"],
                    error="The arguments are not a complete JSON object.",
                )
            )
        else:
            good.append(tool_call(name=chunk["name"] or "", args=args, id=chunk["id"]))
    message = cast("AIMessage", message_chunk_to_message(total))
    return message.model_copy(update={"tool_calls": good, "invalid_tool_calls": bad})


def _arguments(chunk: ToolCallChunk) -> dict[str, object] | None:
    """Parse raw arguments; no text at all is a call without arguments."""
    raw = chunk["args"]
    if not raw or not raw.strip():
        return {}
    try:
        args = cast("object", json.loads(raw, strict=False))
    except ValueError:
        return None
    return cast("dict[str, object]", args) if isinstance(args, dict) else None


def _metadata(message: AIMessage) -> Mapping[str, object]:
    return cast("Mapping[str, object]", message.response_metadata)


def _stop_reason(message: AIMessage) -> str | None:
    """Return why the model stopped, in the provider's word; None if it does not say."""
    metadata = _metadata(message)
    details = metadata.get("incomplete_details")
    if isinstance(details, Mapping):
        return str(cast("Mapping[str, object]", details).get("reason"))
    for key in ("stop_reason", "finish_reason", "status"):
        value = metadata.get(key)
        if isinstance(value, str) and value:
            return value
    return None


def _owes_stop_reason(message: AIMessage) -> bool:
    """Tell whether a missing stop reason means that the answer broke off.

    Many models never name one, so only those must that are known to, or that name it empty.
    """
    metadata = _metadata(message)
    named = "stop_reason" in metadata or "finish_reason" in metadata
    return named or metadata.get("model_provider") in _STRICT_PROVIDERS


def _refused(message: AIMessage, stop: str | None) -> bool:
    extra = cast("Mapping[str, object]", message.additional_kwargs)
    blocks = cast("list[object]", message.content) if isinstance(message.content, list) else []
    return (
        stop in _REFUSED
        or bool(extra.get("refusal"))
        or any(
            isinstance(block, dict) and cast("dict[str, object]", block).get("type") == "refusal"
            for block in blocks
        )
    )


def _broken_calls(message: AIMessage, stop: str | None) -> Iterator[Fault]:
    for call in message.invalid_tool_calls:
        name, call_id = call.get("name") or "", call.get("id")
        if stop in _CUT:
            yield replies.cut_arguments(name, tool_call_id=call_id)
        else:
            yield replies.broken_arguments(name, tool_call_id=call_id, raw=call.get("args"))


def _bad_calls(
    message: AIMessage, kwargs: Mapping[str, object], stop: str | None
) -> Iterator[Fault]:
    cut = stop in _CUT and not message.invalid_tool_calls
    offer = schemas.offer(kwargs)
    for position, call in enumerate(message.tool_calls, start=1):
        name, call_id = call["name"], call.get("id")
        if cut and position == len(message.tool_calls):
            yield replies.cut_arguments(name, tool_call_id=call_id)
        elif offer is None:
            continue
        elif name not in offer.schemas:
            if offer.complete:
                known = sorted(offer.schemas)
                yield replies.unknown_tool(name, tool_call_id=call_id, known=known)
        elif (schema := offer.schemas[name]) is not None:
            found = schemas.problems(call["args"], schema=schema)
            if found:
                yield replies.bad_arguments(name, tool_call_id=call_id, problems=found)


def _missing(message: AIMessage, kwargs: Mapping[str, object]) -> Iterator[Fault]:
    """Find what a text answer owes: a tool call, or JSON of a schema."""
    if demand := schemas.demand(kwargs):
        yield replies.no_tool_call(demand.tool)
        return
    shape = schemas.shape(kwargs)
    if shape is None:
        return
    try:
        value = cast("object", json.loads(str(message.text)))
    except ValueError as error:
        yield replies.unparsable((f"it is not JSON ({error})",))
        return
    found = schemas.problems(value, schema=shape.schema) if shape.schema else ()
    if found:
        yield replies.unparsable(found)
