"""Read the fields of a JSON object, and say what is wrong with one. Pure."""

from collections.abc import Mapping
from typing import cast

from perdure.core.jsons import Json, JsonObject, Raw, as_object, shorten
from perdure.errors import BadInput


def word(data: Mapping[str, Json], name: str) -> str | None:
    """Return a text, or None.

    Raises:
        BadInput: It is something else.
    """
    value = data.get(name)
    if value is None or (isinstance(value, str) and value):
        return value
    raise BadInput(f"{name}={shorten(repr(value))}: must be text")


def depth(data: Mapping[str, Json]) -> int:
    """Return how deep a run is nested.

    Raises:
        BadInput: It is something else.
    """
    value = data.get("nested", 0)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise BadInput(f"nested={shorten(repr(value))}: must be a whole number, 0 or more")
    return value


def words(
    data: Mapping[str, Json], name: str, *, known: tuple[str, ...] | None = None
) -> tuple[str, ...]:
    """Return a list of texts, each one that is known.

    Raises:
        BadInput: It is something else.
    """
    value = data.get(name) or []
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise BadInput(f"{name}={shorten(repr(value))}: must be a list of texts")
    given = tuple(cast("list[str]", value))
    if known is not None and (strange := [one for one in given if one not in known]):
        raise BadInput(f"{name}={strange[0]!r}: choose of {', '.join(known)}")
    return given


def choice(data: Mapping[str, Json], name: str, known: tuple[Raw, ...]) -> Raw:
    """Return one of several values; the first if none is given.

    Raises:
        BadInput: It is something else.
    """
    value = data.get(name, known[0])
    if value not in known:
        raise BadInput(f"{name}={shorten(repr(value))}: choose of {', '.join(known)}")
    return value


def part(data: Mapping[str, Json], name: str, *, within: str = "") -> JsonObject:
    """Return an object; empty if it is not there.

    Raises:
        BadInput: It is something else.
    """
    raw = data.get(name)
    return {} if raw is None else as_object(raw, what=f"{within}{name}")


def need(data: Mapping[str, Json], name: str, *, what: str) -> Json:
    """Return what must be there.

    Raises:
        BadInput: It is something else.
    """
    if name not in data:
        raise BadInput(f"{what} lacks {name!r}")
    return data[name]
