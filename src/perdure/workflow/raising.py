"""Raise in the graph what a tool or a model raised in its activity. Workflow side.

A class is never looked up by import: it must be loaded already and be an exception, and no
`__init__` of the app runs. What cannot be made again stays a `ToolFailed` or `ModelFailed`.
"""

import builtins
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from typing import cast

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from perdure.core.exceptions import UNREADABLE, Thrown, class_path
from perdure.core.jsons import JsonObject, Raw
from perdure.core.ports import Codec
from perdure.errors import CallFailed

_MADE = "perdure_made"
_NEUTRAL = "langchain_core.exceptions:"


def original(codec: Codec, thrown: Raw, failed: CallFailed) -> Exception:
    """Return what was raised, or `failed` if that cannot be made again.

    It is an instance of the class that was raised, and of the class of `failed` as well, so
    that both `except ValueError` and `except ToolFailed` see it.
    """
    read = Thrown.from_json(thrown)
    kind = None if read is None else _find_first(read.classes)
    if read is None or kind is None:
        return failed
    try:
        made = _make(codec, read, kind, type(failed))
        str(made)
    except Exception:  # noqa: BLE001 - the app's own class may refuse, in any way
        return failed
    failed.original = made
    return made


def told(error: BaseException) -> BaseException:
    """Return the failure that an exception stands for, to end a run with; else itself."""
    cause = error.__cause__
    return cause if isinstance(cause, CallFailed) and cause.original is error else error


def _find_first(classes: Sequence[str]) -> type[Exception] | None:
    """Return the class, or the nearest base that says something."""
    neutral = [name for name in classes[1:] if name.startswith(_NEUTRAL)]
    names = [classes[0], *neutral, *classes[1:]]
    return next((kind for name in names if (kind := _find(name)) is not None), None)


def _find(path: str) -> type[Exception] | None:
    module, _, name = path.partition(":")
    if module == "builtins":
        found: Raw = vars(builtins).get(name)
    else:
        found = cast("Raw", sys.modules.get(module))
        for part in name.split("."):
            found = cast("Raw", None if found is None else vars(found).get(part))
    if isinstance(found, type) and issubclass(found, Exception):
        return found
    local = [kind for kind in _all(Exception) if class_path(kind) == path]
    return local[-1] if local else None


def _all(kind: type[Exception]) -> Iterator[type[Exception]]:
    for one in kind.__subclasses__():
        if _MADE not in vars(one):
            yield one
            yield from _all(one)


def _make(
    codec: Codec, thrown: Thrown, kind: type[Exception], failure: type[CallFailed]
) -> Exception:
    if thrown.classes[0] == UNREADABLE:
        return _unreadable(codec, thrown)
    both = _both(kind, failure)
    args = tuple(cast("Raw", codec.decode(arg)) for arg in thrown.args)
    root = next(one for one in both.__mro__ if one.__module__ == "builtins")
    made: Exception = cast("Raw", root).__new__(both, *args)
    cast("Raw", root).__init__(made, *args)
    for name, value in thrown.attributes.items():
        made.__dict__[name] = codec.decode(value)
    for note in thrown.notes:
        made.add_note(note)
    return made


@cache
def _both(kind: type[Exception], failure: type[CallFailed]) -> type[Exception]:
    body = {
        "__module__": kind.__module__,
        "__qualname__": kind.__qualname__,
        "__doc__": kind.__doc__,
        _MADE: True,
    }
    try:
        return cast("Raw", type(kind))(kind.__name__, (kind, failure), body)
    except TypeError:  # a class that takes no other beside it
        return kind


def _unreadable(codec: Codec, thrown: Thrown) -> ValidationError:
    """Make pydantic's error again; its own errors keep their type, the app's their words."""
    faults = [_fault(codec, one) for one in thrown.faults]
    title = str(codec.decode(thrown.args[0]))
    made = ValidationError.from_exception_data(title, faults)
    made.args = ()  # as pydantic leaves it
    return made


def _fault(codec: Codec, fault: JsonObject) -> InitErrorDetails:
    context = cast("dict[str, Raw]", codec.decode(fault["context"]))
    if "error" in context:
        context["error"] = ValueError(context["error"])
    place = tuple(cast("list[str | int]", fault["loc"]))
    given: Raw = codec.decode(fault["input"])
    words = str(fault["msg"])
    known = InitErrorDetails(type=str(fault["type"]), loc=place, input=given, ctx=context)
    try:
        made = ValidationError.from_exception_data("", [known]).errors()[0]["msg"]
    except (KeyError, TypeError, ValueError):
        made = None
    if made == words:
        return known
    custom = PydanticCustomError(cast("Raw", str(fault["type"])), cast("Raw", words))
    return InitErrorDetails(type=custom, loc=place, input=given)
