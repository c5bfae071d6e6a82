"""Read the parts of a value that crossed a process border."""

from collections.abc import Mapping
from typing import cast

from perdure.core.jsons import Json, JsonObject, Raw, as_object, shorten
from perdure.errors import BadInput


def word(data: Mapping[str, Json], name: str) -> str | None:
    """Read a text that may be missing.

    Raises:
        BadInput: It is something else.
    """
    value = data.get(name)
    if value is None or (isinstance(value, str) and value):
        return value
    raise BadInput(f"{name}={shorten(repr(value))}: must be text")


def depth(data: Mapping[str, Json]) -> int:
    """Read how many agents called one another.

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
    """Read a list of texts; of `known` ones, if that is given.

    Raises:
        BadInput: It is something else.
    """
    value = data.get(name) or []
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        raise BadInput(f"{name}={shorten(repr(value))}: must be a list of texts")
    words = tuple(cast("list[str]", value))
    if known is not None and (strange := [word for word in words if word not in known]):
        raise BadInput(f"{name}={strange[0]!r}: choose of {', '.join(known)}")
    return words


def choice(data: Mapping[str, Json], name: str, known: tuple[Raw, ...]) -> Raw:
    """Read one of some known words; the first one if it is missing.

    Raises:
        BadInput: It is something else.
    """
    value = data.get(name, known[0])
    if value not in known:
        raise BadInput(f"{name}={shorten(repr(value))}: choose of {', '.join(known)}")
    return value


def part(data: Mapping[str, Json], name: str, *, within: str = "") -> JsonObject:
    """Read an object that may be missing.

    Raises:
        BadInput: It is something else.
    """
    raw = data.get(name)
    return {} if raw is None else as_object(raw, what=f"{within}{name}")


def need(data: Mapping[str, Json], name: str, *, what: str) -> Json:
    """Read what must be there.

    Raises:
        BadInput: It is something else.
    """
    if name not in data:
        raise BadInput(f"{what} lacks {name!r}")
    return data[name]
