"""Tell whether two declarations of one name are the same thing.

An app that is loaded again makes new objects, so these are compared by class and by what
plain values they hold; clients, sessions and callbacks do not count.
"""

from types import CellType

from pydantic import BaseModel, SecretStr

from perdure.core.jsons import Raw

_PLAIN = (str, int, float, bool, SecretStr, type(None))


def identity_of(inner: BaseModel) -> object:
    """Identify a model or a tool by its class and its settings."""
    settings = tuple(
        (name, repr(value))
        for name in sorted(type(inner).model_fields)
        if isinstance(value := getattr(inner, name), _PLAIN)
    )
    return (f"{type(inner).__module__}.{type(inner).__qualname__}", settings)


def identity_of_call(call: Raw) -> object:
    """Identify a function by its place and the plain values it closes over."""
    cells = getattr(call, "__closure__", None) or ()
    owner = type(getattr(call, "__self__", None)).__qualname__
    place = (getattr(call, "__module__", ""), getattr(call, "__qualname__", repr(call)))
    return (place, owner, tuple(_held(cell) for cell in cells))


def _held(cell: CellType) -> str:
    try:
        value: Raw = cell.cell_contents
    except ValueError:  # not filled yet
        return ""
    return repr(value) if isinstance(value, _PLAIN) else type(value).__qualname__
