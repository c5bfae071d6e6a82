"""An exception as JSON: what is needed to make it again in another process."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

from perdure.core.jsons import Json, JsonObject, Raw

UNREADABLE = "pydantic_core._pydantic_core:ValidationError"


@dataclass(frozen=True, kw_only=True)
class Thrown:
    """One exception that a tool or a model raised for good."""

    classes: tuple[str, ...]
    """Its class and that one's bases, nearest first, as `module:qualname`."""
    args: tuple[Json, ...] = ()
    attributes: Mapping[str, Json] = field(default_factory=dict[str, Json])
    notes: tuple[str, ...] = ()
    faults: tuple[JsonObject, ...] = ()
    """The single errors of a pydantic ValidationError."""

    def to_json(self) -> JsonObject:
        """Write the exception as JSON."""
        data: JsonObject = {"classes": list(self.classes), "args": list(self.args)}
        if self.attributes:
            data["attributes"] = dict(self.attributes)
        if self.notes:
            data["notes"] = list(self.notes)
        if self.faults:
            data["faults"] = list(self.faults)
        return data

    @classmethod
    def from_json(cls, raw: Raw) -> "Thrown | None":
        """Read an exception; None if the other side did not write one."""
        if not isinstance(raw, Mapping):
            return None
        data = cast("Mapping[str, Raw]", raw)
        classes = data.get("classes")
        if not isinstance(classes, list) or not classes:
            return None
        return cls(
            classes=tuple(str(name) for name in cast("list[Raw]", classes)),
            args=tuple(data.get("args") or ()),
            attributes=dict(data.get("attributes") or {}),
            notes=tuple(data.get("notes") or ()),
            faults=tuple(data.get("faults") or ()),
        )


def class_path(kind: type) -> str:
    """Name a class as `module:qualname`."""
    return f"{kind.__module__}:{kind.__qualname__}"
