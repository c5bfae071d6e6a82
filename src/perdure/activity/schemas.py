"""Read which tools and which JSON a model call asks for, and validate against it. Activity side."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol, TypeAlias, cast

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from referencing import Registry

from perdure.core.jsons import Json, shorten

Schema: TypeAlias = dict[str, Json]

_MOST_PROBLEMS = 3
_PLAIN_CHOICES = frozenset({"auto", "none"})
_ANY_CHOICES = frozenset({"any", "required"})


@dataclass(frozen=True, kw_only=True)
class Offer:
    """The tools that a call offers to the model."""

    schemas: Mapping[str, Schema | None]
    """By name; None where only the provider knows the schema."""
    complete: bool
    """False if some tool has no name here, so that other names may be right too."""


@dataclass(frozen=True, kw_only=True)
class Demand:
    """What the call demands of the answer: a tool call."""

    tool: str | None
    """The one tool; None stands for any."""


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What the call demands of the answer: JSON."""

    schema: Schema | None
    """None stands for any JSON."""


class _Problem(Protocol):
    json_path: str
    message: str


class _Validator(Protocol):
    def iter_errors(self, instance: object) -> Iterable[_Problem]: ...


def offer(kwargs: Mapping[str, object]) -> Offer | None:
    """Read `tools` in any of the wire formats; None if the call binds none.

    Known are Anthropic's, OpenAI's for chat completions and for responses, Bedrock's and
    Gemini's, and tools that the provider brings itself.
    """
    tools = kwargs.get("tools")
    if not isinstance(tools, list) or not tools:
        return None
    found = [pair for tool in cast("list[object]", tools) for pair in _named(_object(tool))]
    return Offer(
        schemas={name: schema for name, schema in found if name},
        complete=all(name for name, _ in found),
    )


def demand(kwargs: Mapping[str, object]) -> Demand | None:
    """Read `tool_choice`; None if the model is free to answer in text."""
    choice = kwargs.get("tool_choice")
    if isinstance(choice, bool):
        return Demand(tool=None) if choice else None
    if isinstance(choice, str):
        if choice in _PLAIN_CHOICES or not choice:
            return None
        return Demand(tool=None if choice in _ANY_CHOICES else choice)
    data = _object(choice)
    if name := _text(data, "name") or _text(_object(data.get("function")), "name"):
        return Demand(tool=name)
    kinds = {_text(data, "type"), _text(data, "mode")}
    return Demand(tool=None) if kinds & _ANY_CHOICES else None


def shape(kwargs: Mapping[str, object]) -> Shape | None:
    """Read which JSON the answer must be, as OpenAI and Anthropic say it; None if any text."""
    config = _object(kwargs.get("output_config"))
    for candidate in (
        kwargs.get("response_format"),
        config.get("format"),
        kwargs.get("output_format"),
    ):
        data = _object(candidate)
        kind = _text(data, "type")
        if kind == "json_object":
            return Shape(schema=None)
        if kind == "json_schema":
            nested = _object(data.get("json_schema")) or data
            return Shape(schema=_object(nested.get("schema")) or None)
    return None


def problems(value: object, *, schema: Schema) -> tuple[str, ...]:
    """Name the first three places where a value does not fit a JSON schema.

    A schema that is broken itself, or refers to one that is not at hand, fits everything:
    that is nothing the model could mend. Nothing is loaded from the network.
    """
    validator = _validator(json.dumps(schema, sort_keys=True, default=str))
    if validator is None:
        return ()
    try:
        errors = sorted(validator.iter_errors(value), key=lambda problem: problem.json_path)
    except Exception:  # noqa: BLE001 - an unresolvable reference has no public error class
        return ()
    return tuple(_line(problem) for problem in errors[:_MOST_PROBLEMS])


@lru_cache(maxsize=256)
def _validator(schema: str) -> _Validator | None:
    parsed = cast("Schema", json.loads(schema))
    try:
        Draft202012Validator.check_schema(parsed)
    except SchemaError:
        return None
    return cast("_Validator", Draft202012Validator(parsed, registry=Registry()))


def _line(problem: _Problem) -> str:
    where = problem.json_path.removeprefix("$").removeprefix(".")
    return f"{where}: {shorten(problem.message)}" if where else shorten(problem.message)


def _named(tool: Mapping[str, object]) -> Iterator[tuple[str | None, Schema | None]]:
    """Walk the tools that one entry of `tools` declares."""
    declared = tool.get("function_declarations") or tool.get("functionDeclarations")
    if isinstance(declared, list):
        for one in cast("list[object]", declared):
            yield _text(_object(one), "name"), None
        return
    function = _object(tool.get("function")) or _object(tool.get("toolSpec")) or tool
    for key in ("input_schema", "parameters", "inputSchema"):
        schema = _object(function.get(key))
        if schema:
            yield _text(function, "name"), _object(schema.get("json")) or schema
            return
    yield _text(function, "name"), None


def _object(value: object) -> Schema:
    return cast("Schema", value) if isinstance(value, dict) else {}


def _text(data: Mapping[str, object], key: str) -> str | None:
    value = data.get(key)
    return value if isinstance(value, str) and value else None
