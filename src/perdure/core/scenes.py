"""What surrounds a call in its graph, and what comes back of it, as far as both can travel."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from perdure.core.ids import lengthen_place, shorten_place
from perdure.core.jsons import Json, JsonObject, Raw, as_object

RUNTIME = "__pregel_runtime"
SCRATCHPAD = "__pregel_scratchpad"
SEND = "__pregel_send"
NAMESPACE = "checkpoint_ns"
"""Where LangGraph keeps its own parts in `configurable`. `activity.interrupting.check` and
`workflow.privates.check` make sure that it still does."""
_TAG, _OUTCOME = "$", "outcome"
"""No value of the codec has this tag, so an outcome cannot be taken for a plain result."""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What a tool or a node may look at besides its arguments. All values are encoded."""

    config: Json = None
    """The plain parts of the config: configurable, tags, metadata."""
    spot: Json = None
    """The namespace and the step of the call. Where the config has null, one of them belongs:
    the rest is then the same for every call, and is sent once."""
    context: Json = None
    state: Json = None
    """The graph's state; only for a tool that asks for its runtime."""
    unsent: tuple[str, ...] = ()
    """Fields of the state that have no JSON form."""
    execution: Json = None
    tools: tuple[str, ...] = ()
    """Names of the tools beside this one."""
    runtime: str | None = None
    """The argument that takes the tool's runtime."""
    memory: bool = False
    """Whether the graph has a store; the activity then opens the worker's own."""
    stores: tuple[str, ...] = ()
    """The arguments that take the store."""
    answers: tuple[Json, ...] = ()
    """What people answered so far to `interrupt()` in this call."""

    def to_json(self) -> JsonObject:
        """Write the scene as JSON; what equals its default is left out."""
        data: JsonObject = {}
        for name, field in type(self).__dataclass_fields__.items():
            value: Raw = getattr(self, name)
            if value != field.default:
                data[name] = (
                    list(cast("tuple[Json, ...]", value)) if isinstance(value, tuple) else value
                )
        return data

    @classmethod
    def from_json(cls, raw: Raw) -> "Scene":
        """Read a scene.

        Raises:
            BadInput: It is no object.
        """
        data = as_object(raw, what="the scene of a call")
        known: dict[str, Raw] = {
            name: tuple(cast("list[Json]", value)) if field.default == () else value
            for name, field in cls.__dataclass_fields__.items()
            if (value := data.get(name)) is not None
        }
        return cls(**known)


STEP = "langgraph_step"


def part_config(config: JsonObject) -> tuple[JsonObject, Json]:
    """Part a config from what changes with every call: its namespace and its step."""
    told = cast("JsonObject", config.get("configurable") or {})
    metadata = cast("JsonObject", config.get("metadata") or {})
    place, step = told.get(NAMESPACE), metadata.get(STEP)
    short = shorten_place(place) if isinstance(place, str) else None
    if short is None or not isinstance(step, int):
        return config, None
    parts = dict(config)
    parts["configurable"] = {k: None if v == place else v for k, v in told.items()}
    parts["metadata"] = {k: None if k == STEP or v == place else v for k, v in metadata.items()}
    return parts, [short, step]


def join_config(config: Json, spot: Json) -> Json:
    """Put back what `part_config` took out."""
    if not isinstance(config, dict) or not isinstance(spot, list):
        return config
    short, step = spot
    place = lengthen_place(str(short))
    whole = dict(config)
    for name in ("configurable", "metadata"):
        if isinstance(held := whole.get(name), dict):
            whole[name] = {
                k: (step if k == STEP else place) if v is None else v for k, v in held.items()
            }
    return whole


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a call brought back: its result, or a question; and what it streamed."""

    value: Json = None
    chunks: tuple[Json, ...] = ()
    """What it wrote to LangGraph's stream writer, encoded."""
    question: JsonObject | None = None
    """Set if it stopped at `interrupt()`: its `value`, encoded, and its `schema`."""
    call: JsonObject | None = None
    """What was called, for those who read the history: a quick attempt's input is not in it."""
    large: int | None = None
    """Set if the result of a quick attempt is left out: the bytes that it takes."""

    def to_json(self) -> Json:
        """Write the outcome as JSON; a bare result is written as it is."""
        if not self.chunks and self.question is None and self.call is None:
            return self.value
        data: JsonObject = {_TAG: _OUTCOME, "value": self.value}
        if self.chunks or self.call is None:
            data["chunks"] = list(self.chunks)
        if self.call is not None:
            data["call"] = self.call
        if self.large is not None:
            data["large"] = self.large
        if self.question is not None:
            data["question"] = self.question
        return data

    @classmethod
    def from_json(cls, raw: Raw) -> "Outcome":
        """Read an outcome, or a bare result."""
        if not isinstance(raw, Mapping):
            return cls(value=raw)
        data = cast("Mapping[str, Json]", raw)
        if data.get(_TAG) != _OUTCOME:
            return cls(value=dict(data))
        question, call, large = data.get("question"), data.get("call"), data.get("large")
        return cls(
            value=data.get("value"),
            chunks=tuple(cast("list[Json]", data.get("chunks") or [])),
            question=None if question is None else as_object(question, what="a question"),
            call=None if call is None else as_object(call, what="a call"),
            large=large if isinstance(large, int) else None,
        )
