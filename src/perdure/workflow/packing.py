"""Pack a call for an activity, and unpack what came back.

The one module of the workflow side that knows what a call looks like on the wire.
"""

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from json import JSONDecodeError, loads
from typing import Protocol, cast

from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.utils.function_calling import convert_to_openai_function
from pydantic import BaseModel

from perdure.core.frames import Live
from perdure.core.jsons import Json, JsonObject, Raw
from perdure.core.options import CallOptions
from perdure.core.ports import Codec
from perdure.core.scenes import Scene
from perdure.core.toolservers import ServerTool
from perdure.core.wire import ModelCall, ModelReply, ToolCall
from perdure.errors import PayloadTooLarge, UsageError
from perdure.workflow.chain import Chain


class Sender(Protocol):
    """What has a chain: the run."""

    @property
    def codec(self) -> Chain:
        """What its history holds."""
        ...


_MADE_UP = "lc_"
"""How the ids begin that LangChain gives to messages without one."""


def pack_model_call(
    codec: Codec,
    *,
    model: str,
    messages: Sequence[BaseMessage],
    options: Mapping[str, Raw],
    call: CallOptions,
    live: Live | None = None,
    chunks: bool = False,
    fuse: tuple[str, ...] | None = None,
) -> JsonObject:
    """Pack one model call.

    Raises:
        Unserializable: A bound option has no JSON form.
    """
    what = f"the call of model {model!r}"
    return ModelCall(
        model=model,
        messages=codec.encode(list(messages), what=f"messages of {what}"),
        options=codec.encode(
            {k: _option(v) for k, v in options.items() if v is not None}, what=f"options of {what}"
        ),
        attempt_timeout=call.timeout.total_seconds(),
        live=live,
        chunks=chunks,
        fuse=fuse,
    ).to_json()


def unpack_model_reply(codec: Codec, raw: Raw) -> tuple[AIMessage, ModelReply]:
    """Unpack a model's reply into a real message and the facts about it."""
    reply = ModelReply.from_json(raw)
    return cast("AIMessage", codec.decode(reply.message)), reply


def unpack_chunks(codec: Codec, reply: ModelReply) -> list[AIMessageChunk]:
    """Unpack the chunks of a reply, without the ids that LangChain made up on the worker."""
    chunks = [cast("AIMessageChunk", codec.decode(chunk)) for chunk in reply.chunks]
    for chunk in chunks:
        if chunk.id is not None and chunk.id.startswith(_MADE_UP):
            chunk.id = None
    return chunks


def pack_tool_call(
    codec: Codec,
    *,
    tool: str,
    args: Raw,
    call_id: str | None,
    key: str | None,
    scene: Scene | None = None,
    live: Live | None = None,
    server: ServerTool | None = None,
) -> JsonObject:
    """Pack one tool call.

    Raises:
        Unserializable: An argument has no JSON form.
    """
    return ToolCall(
        tool=tool,
        args=codec.encode(args, what=f"arguments of tool {tool!r}"),
        call_id=call_id,
        key=key,
        scene=None if scene is None else scene.to_json(),
        live=live,
        server=server,
    ).to_json()


def fit(codec: Codec, data: Json, *, what: str) -> None:
    """Refuse a value that cannot be carried, before it hangs the run.

    Raises:
        PayloadTooLarge: The text names the value and its size.
    """
    size = codec.size(data)
    if size > codec.largest:
        raise PayloadTooLarge(
            f"{what} takes {size:,} bytes; at most {codec.largest:,} can be carried. "
            "Keep large texts outside of the state and pass a reference"
        )


@contextmanager
def sent(
    run: Sender,
    call: JsonObject,
    *,
    parts: tuple[str, ...],
    wide: tuple[str, ...] = (),
    what: str,
) -> Generator[JsonObject]:
    """Write parts of a call by reference, and answer for them until the block is left.

    Raises:
        PayloadTooLarge: What history does not hold yet is more than the server takes.
    """
    sending = run.codec.shrink(call, parts=parts, wide=wide)
    fit(run.codec, sending.data, what=what)
    run.codec.begin(sending)
    try:
        yield sending.data
    finally:
        run.codec.end(sending)


def _option(value: Raw) -> Raw:
    """Turn a class, as OpenAI's structured output binds it, into the schema it stands for."""
    if not isinstance(value, type):
        return value
    if not issubclass(value, BaseModel):
        raise UsageError(f"{value!r} is bound to a model call; bind a JSON schema instead")
    made = convert_to_openai_function(value, strict=True)
    schema = {
        "name": made["name"],
        "description": made.get("description", ""),
        "schema": made["parameters"],
        "strict": True,
    }
    return {"type": "json_schema", "json_schema": schema}


def with_parsed(message: AIMessage, options: Mapping[str, Raw]) -> AIMessage:
    """Add what OpenAI's client would have parsed, had it seen the class itself.

    LangChain's parser for structured output reads it from there. The activity has checked the
    text against the schema already.
    """
    if not isinstance(options.get("response_format"), type) or message.tool_calls:
        return message
    try:
        parsed = loads(str(message.text))
    except JSONDecodeError:
        return message  # a refusal: LangChain's parser says so
    extra = {**message.additional_kwargs, "parsed": parsed}
    return message.model_copy(update={"additional_kwargs": extra})
