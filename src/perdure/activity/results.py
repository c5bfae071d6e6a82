"""What a tool may give back: look at it before it is carried. Activity side."""

import inspect
import re
from typing import cast

from langchain_core.messages import ToolMessage
from langchain_core.tools import BaseTool

from perdure.core.jsons import Raw
from perdure.core.ports import Codec
from perdure.errors import PayloadTooLarge, Unserializable

_SHOWN = re.compile(r"<(async_)?generator object \S+ at 0x[0-9a-fA-F]+>")
"""How LangChain writes a generator for the model to read."""


def check_kind(tool: BaseTool) -> None:
    """Refuse a tool whose function is a generator: nobody would ever run its body.

    Raises:
        Unserializable: It is one; the text says what to return instead.
    """
    for part in ("func", "coroutine", "_run", "_arun"):
        function = getattr(tool, part, None)
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise _no_generator(tool.name)


def check_result(tool: BaseTool, result: Raw) -> None:
    """Refuse a generator: what it would yield is not there.

    Raises:
        Unserializable: It is one; the text says what to return instead.
    """
    shown = cast("Raw", result.content) if isinstance(result, ToolMessage) else None
    written = isinstance(shown, str) and _SHOWN.fullmatch(shown) is not None
    if written or inspect.isgenerator(result) or inspect.isasyncgen(result):
        raise _no_generator(tool.name)


def narrow(result: Raw, most: int | None, *, tool: str, call_id: str | None, codec: Codec) -> Raw:
    """Return a result, or what the model is told when it is larger than its tool allows.

    Raises:
        PayloadTooLarge: It is, and no model called.
    """
    if most is None:
        return result
    said = cast("Raw", result.content) if isinstance(result, ToolMessage) else result
    what = f"the result of tool {tool!r}"
    encoded = said if isinstance(said, str) else codec.encode(said, what=what)
    size = len(encoded.encode("utf-8", "surrogatepass")) if isinstance(encoded, str) else (
        codec.size(encoded)
    )  # fmt: skip
    if size <= most:
        return result
    text = f"{what} is too large ({size:,} bytes; at most {most:,})"
    if call_id is None:
        raise PayloadTooLarge(f"{text}; ask it for less, or raise its max_result")
    return ToolMessage(
        f"The call was carried out, but {text}. Narrow it: ask for less at a time.",
        tool_call_id=call_id,
        name=tool,
        status="error",
    )


def _no_generator(tool: str) -> Unserializable:
    return Unserializable(
        f"tool {tool!r} returns a generator, which cannot be carried to another process; "
        "return a list, or a text put together from the parts"
    )
