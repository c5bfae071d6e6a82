"""Copy messages, so that who gets one may change it."""

from typing import cast

from langchain_core.messages import BaseMessage

from perdure.core.jsons import Raw


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


def is_plain(value: Raw) -> bool:
    """Tell whether a copy shares nothing with a value that can be changed."""
    if type(value) is dict:
        return all(is_plain(item) for item in cast("dict[Raw, Raw]", value).values())
    if type(value) is list:
        return all(is_plain(item) for item in cast("list[Raw]", value))
    return value is None or isinstance(value, str | int | float)
