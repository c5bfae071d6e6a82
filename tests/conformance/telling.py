"""Tell values with their types, so that two sides can be compared and a difference read."""

import math
import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

from langchain_core.documents import Document
from langchain_core.messages import BaseMessage
from langchain_core.messages.base import TextAccessor
from pydantic import BaseModel

_DRAWN = re.compile(
    r"^(run-|lc_run-*|call_)?-?[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
)
_DRAWN_BLOCK = re.compile(r"^lc_[0-9a-f]{8}-[0-9a-f-]{27}$")
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


def tell(value: Any, *, ordered: bool = True) -> Any:  # noqa: PLR0911 - one per kind
    """Write a value as JSON that names every type which JSON does not have."""
    kind = type(value)
    if value is None or kind in (bool, str, int):
        return value
    if isinstance(value, TextAccessor):
        return str(value)  # the text of a message, which may also be called
    if kind is float:
        return {"float": repr(value)} if not math.isfinite(value) else value
    if isinstance(value, BaseMessage):
        return _message(value, ordered=ordered)
    if isinstance(value, (list, tuple, set, frozenset)) or kind.__name__ == "deque":
        return _group(value, ordered=ordered)
    if isinstance(value, Mapping):
        return _mapping(value, ordered=ordered)
    return _object(value, ordered=ordered)


def _group(value: Any, *, ordered: bool) -> Any:
    items = [tell(item, ordered=ordered) for item in value]
    if isinstance(value, (set, frozenset)) or (not ordered and type(value) is list):
        items.sort(key=repr)
    if type(value) is list:
        return items
    return {f"<{type(value).__name__}>": items}


def _mapping(value: Any, *, ordered: bool) -> Any:
    if all(isinstance(key, str) for key in value):
        told: Any = {key: tell(item, ordered=ordered) for key, item in value.items()}
    else:
        told = {
            "<pairs>": [
                [tell(k, ordered=ordered), tell(v, ordered=ordered)] for k, v in value.items()
            ]
        }
    if type(value) is dict:
        return told
    factory = getattr(value, "default_factory", None)
    return {f"<{type(value).__name__}>": told, "factory": getattr(factory, "__name__", None)}


def _object(value: Any, *, ordered: bool) -> Any:  # noqa: PLR0911 - one per kind
    name = type(value).__qualname__
    if isinstance(value, Enum):
        return {f"<{name}>": value.name}
    if isinstance(value, Document):
        parts = {"page_content": value.page_content, "metadata": value.metadata, "id": value.id}
        return {"<Document>": tell(parts, ordered=ordered)}
    if isinstance(value, BaseModel):
        inner = {key: getattr(value, key) for key in type(value).model_fields}
        return {f"<{name}>": tell(inner, ordered=ordered)}
    if isinstance(value, BaseException):
        return {f"<{name}>": str(value)}
    if is_dataclass(value) and not isinstance(value, type):
        inner = {f.name: getattr(value, f.name) for f in fields(value)}
        return {f"<{name}>": tell(inner, ordered=ordered)}
    if type(value).__module__ == "numpy":
        dtype: Any = getattr(value, "dtype", None)
        return {f"<numpy {name} {dtype}>": tell(value.tolist(), ordered=ordered)}
    if isinstance(value, str):
        return {f"<{name}>": str(value)}
    return {f"<{name}>": _ADDRESS.sub("", repr(value))}


def _message(message: BaseMessage, *, ordered: bool) -> Any:
    """Tell a message; an id that was drawn by chance is told as such."""
    told: dict[str, Any] = {}
    for key in (
        "content", "name", "id", "tool_calls", "invalid_tool_calls", "tool_call_id", "artifact",
        "status", "additional_kwargs", "usage_metadata",
    ):  # fmt: skip
        item = getattr(message, key, None)
        if item not in (None, [], {}):
            told[key] = tell(item, ordered=ordered)
    if isinstance(told.get("id"), str) and _DRAWN.match(told["id"]):
        told["id"] = "<drawn>"
    for block in told["content"] if isinstance(told.get("content"), list) else ():
        if isinstance(block, dict) and _DRAWN_BLOCK.match(str(block.get("id"))):
            block["id"] = "<drawn>"
    return {f"<{type(message).__name__}>": told}


def loosen(told: Any) -> Any:
    """Take tuples for lists: LangGraph's own saver in memory does not tell them apart."""
    if isinstance(told, list):
        return [loosen(item) for item in told]
    if isinstance(told, dict):
        if set(told) == {"<tuple>"}:
            return [loosen(item) for item in told["<tuple>"]]
        return {key: loosen(item) for key, item in told.items()}
    return told
