"""Tell models and tools apart that nobody declared by hand, and name them. No I/O.

A fingerprint is for this process only: it counts secrets and live objects, and is never
written anywhere. A label is for names: plain settings only, never a secret.
"""

import json
from collections.abc import Mapping
from hashlib import blake2b
from typing import cast

from langchain_core.language_models import BaseChatModel
from langchain_core.tools import BaseTool
from pydantic import BaseModel, SecretStr

from perdure.core.jsons import Json, Raw

_PLAIN = (str, int, float, bool, bytes, type(None))
_ASIDE = frozenset({
    "name", "cache", "verbose", "callbacks", "tags", "metadata", "custom_get_token_ids",
    "rate_limiter", "profile",
})  # fmt: skip
"""Fields of LangChain's base classes that leave the request as it is."""
_ACCOUNT = ("organization", "project", "proxy")
_SHORT = 4


def fingerprint(model: BaseChatModel) -> object:
    """Return what is equal for a model and its unchanged copies, and for those only."""
    values = {n: getattr(model, n) for n in type(model).model_fields if n not in _ASIDE}
    return (_place(type(model)), *((n, _mark(v)) for n, v in values.items() if not _made(model, n)))


def _made(model: BaseChatModel, name: str) -> bool:
    """Tell whether a field holds a client, which a class makes of its other fields."""
    field = type(model).model_fields[name]
    return bool(field.exclude) and "client" in name and not name.startswith("http_")


def _mark(value: object) -> object:
    if isinstance(value, SecretStr):
        return ("secret", value.get_secret_value())
    if isinstance(value, _PLAIN):
        return (type(value).__name__, value)
    if isinstance(value, Mapping):
        held = cast("Mapping[Raw, Raw]", value)
        return tuple((repr(key), _mark(one)) for key, one in held.items())
    if isinstance(value, list | tuple):
        return tuple(_mark(one) for one in cast("list[Raw]", value))
    if isinstance(value, BaseModel):
        held_here: Raw = value.__dict__
        return (_place(type(value)), _mark(held_here))
    return (_place(type(value)), id(value))


def label_of(model: BaseChatModel) -> str:
    """Name a model by its class and what it calls its model."""
    told = getattr(model, "model_name", None) or getattr(model, "model", None)
    kind = type(model).__name__
    return f"{kind}:{told}" if isinstance(told, str) else kind


def digest_of(model: BaseChatModel) -> str:
    """Shorten the plain settings of a model; secrets do not count, nor what is usual.

    Addresses and accounts come from the environment, which differs from worker to worker.
    """
    plain = {
        name: value
        for name, field in type(model).model_fields.items()
        if name not in _ASIDE
        and is_json(value := getattr(model, name))
        and value not in (field.default, None, {}, [])
        and not _is_place(name, value)
    }
    return blake2b(json.dumps(plain, sort_keys=True).encode(), digest_size=_SHORT).hexdigest()


def _is_place(name: str, value: Json) -> bool:
    address = isinstance(value, str) and "://" in value
    return address or any(word in name for word in _ACCOUNT)


def is_json(value: Raw) -> bool:
    """Tell whether a value is JSON through and through."""
    if isinstance(value, list):
        return all(is_json(one) for one in cast("list[Raw]", value))
    if isinstance(value, dict):
        held = cast("dict[Raw, Raw]", value)
        return all(isinstance(key, str) and is_json(one) for key, one in held.items())
    return isinstance(value, str | int | float | bool | type(None))


def likeness_of_tool(tool: BaseTool) -> object:
    """Return what is equal for a tool and its copies: name and function, or all its fields.

    Two functions of one place may close over different things, so the very function counts.
    """
    call = function_of(tool)
    if call is not None:
        return (tool.name, id(call))
    return (_place(type(tool)), *((n, _mark(getattr(tool, n))) for n in type(tool).model_fields))


def function_of(tool: BaseTool) -> Raw:
    """Return the function that a tool was made of, or None."""
    return getattr(tool, "coroutine", None) or getattr(tool, "func", None)


def place_of(tool: BaseTool) -> str:
    """Say where a tool is written: module and qualified name."""
    call = function_of(tool)
    module, name = getattr(call, "__module__", None), getattr(call, "__qualname__", None)
    return f"{module}.{name}" if module and name else _place(type(tool))


def _place(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def plain_settings(model: BaseChatModel, names: frozenset[str]) -> dict[str, Json]:
    """Return the settings of these names that are JSON."""
    return {
        name: value
        for name in type(model).model_fields
        if name in names and is_json(value := getattr(model, name))
    }
