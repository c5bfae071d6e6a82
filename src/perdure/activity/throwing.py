"""Write an exception so that the graph may see it as it was raised. Activity side."""

from collections.abc import Mapping
from typing import cast

from pydantic import ValidationError

from perdure.activity.evidence import scrub
from perdure.core.exceptions import Thrown, class_path
from perdure.core.jsons import Json, JsonObject, Raw, shorten
from perdure.core.ports import Codec
from perdure.errors import PerdureError

_LARGEST = 16_384
"""Bytes of one exception; beyond, its attributes and then its long texts are left out."""
_LONGEST_TEXT = 2000
_SECRET = ("header", "api_key", "apikey", "token", "secret", "password", "credential", "cookie")


def write_exception(error: Exception, codec: Codec) -> JsonObject | None:
    """Write an exception's class, arguments and attributes, without anything secret.

    What has no JSON form is left out (an attribute) or becomes its text (an argument). None if
    the exception's own code gets in the way.
    """
    try:
        thrown = _thrown(error, codec)
        if codec.size(thrown.to_json()) > _LARGEST:
            thrown = Thrown(classes=thrown.classes, args=(shorten(scrub(str(error)), 600),))
        return thrown.to_json()
    except Exception:  # noqa: BLE001 - the failure itself is told all the same
        return None


def _thrown(error: Exception, codec: Codec) -> Thrown:
    kinds = [k for k in type(error).__mro__ if issubclass(k, Exception)]
    if len(kinds) > 1:
        kinds.remove(Exception)
    classes = tuple(class_path(kind) for kind in kinds)
    if isinstance(error, ValidationError):
        faults = tuple(_fault(one, codec) for one in error.errors(include_url=False))
        return Thrown(classes=classes, args=(error.title,), faults=faults)
    # An OSError keeps its file's name beside its arguments.
    made_of = error.__reduce__()[1] if type(error).__reduce__ is OSError.__reduce__ else error.args
    notes = cast("list[Raw]", getattr(error, "__notes__", []))
    return Thrown(
        classes=classes,
        args=tuple(_argument(arg, codec) for arg in cast("tuple[Raw, ...]", made_of)),
        attributes=_attributes(error, codec),
        notes=tuple(scrub(n) for n in notes if isinstance(n, str) and not n.startswith("During ")),
    )


def _argument(value: Raw, codec: Codec) -> Json:
    if isinstance(value, str):
        return _clean(value)
    try:
        return _clean(codec.encode(value, what="an argument of an exception"))
    except PerdureError:
        return scrub(shorten(str(value), 300))


def _attributes(error: Exception, codec: Codec) -> dict[str, Json]:
    kept: dict[str, Json] = {}
    for name, value in vars(error).items():
        if name == "__notes__" or any(word in name.lower() for word in _SECRET):
            continue
        try:
            kept[name] = _clean(codec.encode(value, what="an attribute of an exception"))
        except PerdureError:
            continue  # a response, a client: it cannot travel
    return kept


def _fault(one: Mapping[str, Raw], codec: Codec) -> JsonObject:
    context: dict[str, Json] = {}
    for name, value in cast("Mapping[str, Raw]", one.get("ctx") or {}).items():
        context[name] = _argument(str(value) if isinstance(value, Exception) else value, codec)
    return {
        "type": one["type"],
        "loc": [part if isinstance(part, int) else str(part) for part in one["loc"]],
        "msg": scrub(one["msg"]),
        "input": _argument(one.get("input"), codec),
        "context": context,
    }


def _clean(value: Json) -> Json:
    """Mask secrets in every text, and cut the longest."""
    if isinstance(value, str):
        return scrub(value) if len(value) <= _LONGEST_TEXT else scrub(value[:_LONGEST_TEXT]) + "…"
    if isinstance(value, list):
        return [_clean(item) for item in value]
    if isinstance(value, dict):
        return {key: _clean(item) for key, item in value.items()}
    return value
