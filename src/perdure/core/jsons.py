"""JSON as a type, and the few checks that every border needs."""

from collections.abc import Mapping
from typing import Any, TypeAlias, Union, cast

from perdure.errors import BadInput

Json: TypeAlias = Union[bool, int, float, str, list["Json"], dict[str, "Json"], None]  # noqa: UP007
JsonObject: TypeAlias = dict[str, Json]
Raw: TypeAlias = Any
"""A value as another process sent it: nothing is known about it yet."""


def as_object(value: Raw, *, what: str) -> JsonObject:
    """Return `value` if it is a JSON object.

    Raises:
        BadInput: It is something else; the text names `what`.
    """
    if isinstance(value, Mapping):
        return dict(cast("Mapping[str, Json]", value))
    raise BadInput(f"{what} must be a JSON object, got {shorten(repr(value))}")


def plain(value: Raw) -> Json:
    """Show any value as JSON, for a person to read; what has no JSON form becomes its text."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in cast("Mapping[Raw, Raw]", value).items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in cast("list[Raw]", value)]
    return str(value)


def shorten(text: str, limit: int = 120) -> str:
    """Cut `text` to `limit` characters, on one line, with an ellipsis for what is gone."""
    flat = " ".join(text.split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"
