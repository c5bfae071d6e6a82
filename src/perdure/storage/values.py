"""Write LangChain and LangGraph values as JSON by a closed table of tags.

A tagged value is an object with the key `$`. Decoding makes only what stands in the table,
or a type that the app registered; a class path in a payload is never followed.
"""

import base64
import builtins
import json
import math
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import cache
from pathlib import PurePath
from typing import cast
from uuid import UUID

import orjson
from langchain_core.documents import Document
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    ChatMessage,
    ChatMessageChunk,
    FunctionMessage,
    FunctionMessageChunk,
    HumanMessage,
    HumanMessageChunk,
    RemoveMessage,
    SystemMessage,
    SystemMessageChunk,
    ToolMessage,
    ToolMessageChunk,
)
from langchain_core.prompt_values import ChatPromptValue, StringPromptValue
from langgraph.store.base import Item, SearchItem
from langgraph.types import Command, Interrupt, Overwrite, Send
from pydantic import BaseModel, RootModel

from perdure.core.jsons import Json, JsonObject, Raw, shorten
from perdure.core.pieces import Held
from perdure.core.ports import Memo
from perdure.core.wire import PAYLOAD_LIMIT
from perdure.errors import Unserializable
from perdure.storage.kinds import TAG, has_wide_dict, read_kind, write_kind

__all__ = ["MESSAGES", "TAG", "ValueCodec", "type_name"]

MESSAGES: Mapping[str, type[BaseMessage]] = {
    "human": HumanMessage,
    "ai": AIMessage,
    "AIMessageChunk": AIMessageChunk,
    "system": SystemMessage,
    "tool": ToolMessage,
    "function": FunctionMessage,
    "chat": ChatMessage,
    "remove": RemoveMessage,
    "HumanMessageChunk": HumanMessageChunk,
    "SystemMessageChunk": SystemMessageChunk,
    "ToolMessageChunk": ToolMessageChunk,
    "FunctionMessageChunk": FunctionMessageChunk,
    "ChatMessageChunk": ChatMessageChunk,
}


_MEMO: ContextVar[Memo | None] = ContextVar("perdure_memo", default=None)


class ValueCodec:
    """The codec of a worker. `types` are the app's own classes that may be read back."""

    def __init__(self, types: Iterable[type] = ()) -> None:
        self._types = {type_name(t): t for t in types}

    def learn(self, types: Iterable[type]) -> None:
        """Take in more classes of the app; one that is known by its name already stays.

        A worker does so with the types that its graphs name, before the first run.
        """
        for kind in types:
            self._types.setdefault(type_name(kind), kind)

    def encode(self, value: object, *, what: str, memo: Memo | None = None) -> Json:
        """Write a value as JSON; see `perdure.core.ports.Codec`."""
        token = _MEMO.set(memo)
        try:
            return self._write(value, what)
        except RecursionError:
            raise Unserializable(f"{what} is nested too deeply, or contains itself") from None
        finally:
            _MEMO.reset(token)

    def decode(self, data: Json, *, memo: Memo | None = None) -> object:
        """Read a value back; see `perdure.core.ports.Codec`."""
        token = _MEMO.set(memo)
        try:
            return self._decode(data)
        except Unserializable:
            raise
        except RecursionError:
            raise Unserializable("a value that came in is nested too deeply") from None
        except Exception as error:  # the constructors of messages and of the app's own types
            text = f"{type(error).__name__}: {shorten(str(error), 300)}"
            raise Unserializable(f"a value that came in cannot be read: {text}") from error
        finally:
            _MEMO.reset(token)

    largest: int = PAYLOAD_LIMIT
    """Bytes of one value that can be carried to another process."""

    def size(self, data: Json) -> int:
        """Count the bytes of a JSON value in UTF-8."""
        try:
            return len(orjson.dumps(data))
        except TypeError:  # integers beyond 64 bits, lone surrogates, deep nesting
            return len(json.dumps(data))

    def _decode(self, data: Json) -> object:
        if isinstance(data, list):
            return [self._decode(item) for item in data]
        if not isinstance(data, dict):
            return data
        if TAG not in data:
            return {key: self._decode(item) for key, item in data.items()}
        return self._read(str(data[TAG]), data)

    def _write(self, value: object, path: str) -> Json:
        kind = type(value)
        if kind is str or value is None or kind is bool:
            return cast("Json", value)
        if kind.__module__ != "numpy":  # some of numpy's numbers are numbers of Python's too
            if isinstance(value, int | float) and not isinstance(value, Enum):
                return self._write_number(value, path)
            if isinstance(value, list | dict | tuple | set | frozenset):
                return self._write_group(cast("Raw", value), path)
        if isinstance(value, BaseMessage):
            return self._write_message(value, path)
        return self._write_other(value, path)

    def _write_group(self, value: Raw, path: str) -> Json:
        if isinstance(value, dict):
            return self._write_dict(cast("dict[object, object]", value), path)
        if self._is_named(value):
            return self._typed("object", value, value._asdict(), path)
        items = [self._write(v, f"{path}[{i}]") for i, v in enumerate(cast("list[Raw]", value))]
        if isinstance(value, list):
            return items
        if isinstance(value, tuple):
            return {TAG: "tuple", "v": items}
        items.sort(key=repr)  # a set has no order of its own
        return {TAG: "set" if isinstance(value, set) else "frozenset", "v": items}

    def _write_number(self, value: float, path: str) -> Json:
        if isinstance(value, float) and not math.isfinite(value):
            return {TAG: "float", "v": str(float(value))}  # JSON has no word for these
        if isinstance(value, int) and value.bit_length() > _LONGEST_INT:
            raise Unserializable(f"{path} is a whole number of {value.bit_length()} bits")
        return value

    def _is_named(self, value: object) -> bool:
        """Tell whether it is a NamedTuple that can be read back; others become plain tuples."""
        kind = type(value)
        named = isinstance(value, tuple) and hasattr(kind, "_fields")
        return named and self._types.get(type_name(kind)) is kind

    def _write_dict(self, value: dict[object, object], path: str) -> Json:
        if has_wide_dict(value):
            wide = write_kind(value, lambda item: self._write(item, path))
            if wide is not None:
                return wide
        if all(isinstance(key, str) for key in value) and TAG not in value:
            return {cast("str", k): self._write(v, f"{path}.{k}") for k, v in value.items()}
        pairs: list[Json] = [
            [self._write(k, path), self._write(v, f"{path}.{k}")] for k, v in value.items()
        ]
        return {TAG: "dict", "v": pairs}

    def _write_message(self, message: BaseMessage, path: str) -> Json:
        if MESSAGES.get(message.type) is None:
            raise _refuse(message, path)
        memo = _MEMO.get()
        if memo is None:
            return self._message(message, path)
        return memo.find(message) or memo.keep(message, self._message(message, path))

    def _message(self, message: BaseMessage, path: str) -> JsonObject:
        data: JsonObject = {TAG: message.type}
        for name, default in _fields(type(message)):
            item = cast("object", getattr(message, name))
            if item == default:
                continue
            data[name] = self._write(item, f"{path}.{name}")
        data.update(self._object(message.model_extra or {}, path))
        data.setdefault("content", "")
        return data

    def _write_other(self, value: object, path: str) -> Json:
        known = write_kind(value, lambda item: self._write(item, path))
        if known is None:
            known = self._write_part(value, path)
        if known is not None:
            return known
        if isinstance(value, str) and not isinstance(value, Enum):
            return cast("Json", value)  # a subclass of it carries nothing more
        return self._write_typed(value, path)

    def _write_part(self, value: object, path: str) -> JsonObject | None:
        for kind, tag, write in _SCALARS:
            if isinstance(value, kind):
                return {TAG: tag, "v": write(value)}
        for kind, names in _PARTS:
            if isinstance(value, kind):
                parts = {name: getattr(value, name) for name in names}
                return {TAG: kind.__name__, **self._object(parts, path)}
        return None

    def _write_typed(self, value: object, path: str) -> JsonObject:
        if isinstance(value, Enum):
            return self._typed("enum", value, value.value, path)
        if isinstance(value, Exception):
            return self._typed("exception", value, {"args": list(value.args)}, path)
        if isinstance(value, BaseModel):
            inner = {name: getattr(value, name) for name in type(value).model_fields}
            return self._typed("object", value, inner | (value.model_extra or {}), path)
        if is_dataclass(value) and not isinstance(value, type):
            inner = {f.name: getattr(value, f.name) for f in fields(value) if f.init}
            return self._typed("object", value, inner, path)
        raise _refuse(value, path)

    def _typed(self, tag: str, value: object, inner: object, path: str) -> JsonObject:
        return {TAG: tag, "type": type_name(type(value)), "v": self._write(inner, path)}

    def _object(self, parts: Mapping[str, Raw], path: str) -> JsonObject:
        return {k: self._write(v, f"{path}.{k}") for k, v in parts.items() if v is not None}

    def _read(self, tag: str, data: JsonObject) -> object:
        if (message := MESSAGES.get(tag)) is not None:
            return self._read_message(message, data)
        if tag in ("object", "enum", "exception"):
            return self._read_typed(data)
        if (make := _OBJECTS.get(tag)) is not None:
            return make(**self._parts(data))
        return self._read_plain(tag, data)

    def _read_message(self, kind: type[BaseMessage], data: JsonObject) -> BaseMessage:
        memo = _MEMO.get()
        if memo is not None:
            made = kind(**self._parts(data))
            memo.made(made, data)
            return made
        if not isinstance(data, Held):
            return kind(**self._parts(data))
        if data.piece.made is None:
            data.piece.made = kind(**self._parts(data))
        return copy_message(cast("BaseMessage", data.piece.made), id=data.entry[1])

    def _read_plain(self, tag: str, data: JsonObject) -> object:
        body = data.get("v")
        if (scalar := _READERS.get(tag)) is not None:
            return scalar(cast("str", body))
        if tag == "dict":
            pairs = cast("list[list[Json]]", body)
            return {cast("str", self._decode(k)): self._decode(v) for k, v in pairs}
        if (group := _GROUP_NAMES.get(tag)) is not None:
            return group([self._decode(item) for item in cast("list[Json]", body)])
        return read_kind(tag, data, self._decode)

    def _parts(self, data: JsonObject) -> dict[str, Raw]:
        return {key: self._decode(item) for key, item in data.items() if key != TAG}

    def _read_typed(self, data: JsonObject) -> object:
        name = str(data.get("type"))
        known = self._types.get(name)
        if known is None and data[TAG] == "exception":
            known = _BUILTIN_ERRORS.get(name)
        if known is None:
            raise Unserializable(
                f"a value of type {name!r} came in, which this app has not registered; "
                f"write: perdure.Agents(types=[{name.rpartition(':')[2]}])"
            )
        inner = self._decode(data.get("v"))
        if data[TAG] == "enum":
            return known(inner)
        if data[TAG] == "exception":
            return known(*cast("dict[str, Raw]", inner)["args"])
        if issubclass(known, RootModel):
            return cast("Raw", known).model_validate(cast("dict[str, Raw]", inner)["root"])
        if issubclass(known, BaseModel):
            # By field name, as it was written: an alias is for the outside.
            return known.model_validate(inner, by_alias=False, by_name=True)
        return known(**cast("dict[str, Raw]", inner))


def copy_message(message: BaseMessage, *, id: str | None) -> BaseMessage:
    """Copy a message, with another id; who gets the copy may change it."""
    made = type(message).__new__(type(message))
    parts = vars(message).copy()
    for name, value in parts.items():
        if type(value) in _GROUPS:
            parts[name] = _thaw(value)
    parts["id"] = id
    _set(made, "__dict__", parts)
    _set(made, "__pydantic_fields_set__", message.model_fields_set.copy())
    extra = message.__pydantic_extra__
    _set(made, "__pydantic_extra__", None if extra is None else _thaw(extra))
    _set(made, "__pydantic_private__", None)
    return made


def _thaw(value: Raw) -> Raw:
    if type(value) is dict:
        parts = cast("dict[Raw, Raw]", value).copy()
        for key, item in parts.items():
            if type(item) in _GROUPS:
                parts[key] = _thaw(item)
        return parts
    return [_thaw(i) if type(i) in _GROUPS else i for i in cast("list[Raw]", value)]


_GROUPS = frozenset({dict, list})
_set = object.__setattr__


@cache
def _fields(kind: type[BaseMessage]) -> tuple[tuple[str, object], ...]:
    """List the fields of a class of messages with their defaults; asking pydantic is slow."""
    return tuple(
        (name, info.get_default(call_default_factory=True))
        for name, info in kind.model_fields.items()
        if name != "type"
    )


def type_name(kind: type) -> str:
    """Name a class as `module:qualname`."""
    return f"{kind.__module__}:{kind.__qualname__}"


def _refuse(value: object, path: str) -> Unserializable:
    return Unserializable(
        f"{path} is a {type_name(type(value))} ({shorten(repr(value), 60)}), which cannot be "
        "written as JSON; return text, numbers, lists, dicts, messages, dataclasses or pydantic "
        "models instead"
    )


def _unseconds(text: str) -> timedelta:
    days, seconds, micros = (int(part) for part in text.split(","))
    return timedelta(days=days, seconds=seconds, microseconds=micros)


def _span(value: timedelta) -> str:
    return f"{value.days},{value.seconds},{value.microseconds}"


_SCALARS: tuple[tuple[type, str, Callable[[Raw], str]], ...] = (
    (bytes, "bytes", lambda v: base64.b64encode(v).decode("ascii")),
    (datetime, "datetime", datetime.isoformat),
    (date, "date", date.isoformat),
    (time, "time", time.isoformat),
    (timedelta, "timedelta", _span),
    (UUID, "uuid", str),
    (Decimal, "decimal", str),
    (complex, "complex", str),
    (PurePath, "path", lambda v: v.as_posix()),  # the app's own kinds of path
)
_READERS: Mapping[str, Callable[[str], object]] = {
    "bytes": lambda text: base64.b64decode(text, validate=True),
    "date": date.fromisoformat,
    "time": time.fromisoformat,
    "timedelta": _unseconds,
    "uuid": UUID,
    "decimal": Decimal,
    "complex": complex,
    "float": float,
}
_LONGEST_INT = 8192
"""Bits. Python refuses to read or write decimal numbers much longer than this."""
_PARTS: tuple[tuple[type, tuple[str, ...]], ...] = (
    (Command, ("graph", "update", "resume", "goto")),
    (Send, ("node", "arg")),
    (Interrupt, ("value", "id")),
    (Document, ("id", "metadata", "page_content")),
    (Overwrite, ("value",)),
    (SearchItem, ("namespace", "key", "value", "created_at", "updated_at", "score")),
    (Item, ("value", "key", "namespace", "created_at", "updated_at")),
    (StringPromptValue, ("text",)),
    (ChatPromptValue, ("messages",)),
)
_GROUP_NAMES: Mapping[str, Callable[[list[object]], object]] = {
    "tuple": tuple,
    "set": set,
    "frozenset": frozenset,
}
_OBJECTS: Mapping[str, Callable[..., object]] = {kind.__name__: kind for kind, _ in _PARTS}
_BUILTIN_ERRORS: Mapping[str, type] = {
    type_name(kind): kind
    for kind in vars(builtins).values()
    if isinstance(kind, type) and issubclass(kind, Exception)
}
