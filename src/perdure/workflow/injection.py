"""Separate what LangGraph injects into a tool's arguments, for the way to the activity.

Only values travel: state, context, the plain parts of the config. The store, the stream writer
and callbacks are objects of this process; the activity has its own.
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import cast

from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool
from langgraph.config import get_config
from langgraph.prebuilt import ToolRuntime
from langgraph.store.base import BaseStore

from perdure.core.jsons import Json, JsonObject, Raw
from perdure.core.ports import Codec
from perdure.core.scenes import RUNTIME, Scene, part_config
from perdure.errors import Unserializable
from perdure.workflow.reading import read_from

_HIDDEN = ("__pregel_", "checkpoint_map", "checkpoint_id")


def separate(
    codec: Codec, args: Raw, tool: BaseTool | None, *, what: str
) -> tuple[Raw, Scene | None]:
    """Return the plain arguments, and what surrounds the call; None outside a graph.

    Raises:
        Unserializable: The state or the context has no JSON form.
    """
    config = _config()
    runtime = (config.get("configurable") or {}).get(RUNTIME)
    plain: dict[str, Raw] = {}
    stores: list[str] = []
    asked: tuple[str, ToolRuntime[Raw, Raw]] | None = None
    if isinstance(args, dict):
        for name, value in cast("dict[str, Raw]", args).items():
            if isinstance(value, ToolRuntime):
                asked = (name, cast("ToolRuntime[Raw, Raw]", value))
            elif isinstance(value, BaseStore):
                stores.append(name)
            else:
                plain[name] = value
        args = plain
    if runtime is None and asked is None and not stores:
        return args, None
    parts: dict[str, Raw] = {"stores": tuple(stores)}
    told = _config_parts(codec, config)
    if told is not None:
        parts["config"], parts["spot"] = part_config(told)
    source = runtime if asked is None else asked[1]
    parts["memory"] = bool(stores) or getattr(source, "store", None) is not None
    context = getattr(source, "context", None)
    if context is not None:
        parts["context"] = codec.encode(context, what=f"the context of {what}")
    wanted = read_from(tool, asked[0]) if asked is not None else frozenset({"execution_info"})
    if asked is not None:
        parts["runtime"] = asked[0]
        parts |= _state(codec, asked[1], wanted, what)
    if "execution_info" in wanted and asked is not None:
        parts["execution"] = _execution(codec, asked[1])
    return args, Scene(**parts)


def injected_into(tool: BaseTool) -> frozenset[str]:
    """Return the arguments that LangGraph fills in: fields of the schema that no model sees."""
    schema = tool.args_schema
    if schema is None or isinstance(schema, dict):
        return frozenset()
    known = cast("Mapping[str, Raw]", getattr(schema, "model_fields", {}))
    shown = tool.args
    return frozenset(name for name in known if name not in shown)


def arguments_of(tool: BaseTool) -> Mapping[str, Raw]:
    """Return the arguments that a model sees; a JSON schema without any may say nothing of them."""
    schema = tool.args_schema
    if isinstance(schema, dict):
        return cast("Mapping[str, Raw]", schema.get("properties") or {})
    return tool.args


def _state(
    codec: Codec, runtime: ToolRuntime[Raw, Raw], wanted: frozenset[str], what: str
) -> dict[str, Raw]:
    parts: dict[str, Raw] = {}
    if "tools" in wanted:
        parts["tools"] = tuple(tool.name for tool in runtime.tools)
    if "state" not in wanted:
        return parts
    state = runtime.state
    if not isinstance(state, dict):
        parts["state"] = codec.encode(state, what=f"the state for {what}")
        return parts
    values = cast("dict[str, Raw]", state)
    sent: dict[str, Json] = {}
    unsent: list[str] = []
    for name, value in values.items():
        try:
            sent[name] = codec.encode(value, what=f"the state for {what}")
        except Unserializable:
            unsent.append(name)  # the tool is told if it reads this one
    # The keys of a state are names, but one could be the codec's own mark.
    parts["state"] = sent if "$" not in sent else codec.encode(values, what=f"the state for {what}")
    parts["unsent"] = tuple(unsent)
    return parts


def _execution(codec: Codec, runtime: ToolRuntime[Raw, Raw]) -> Json:
    info = runtime.execution_info
    if info is None:
        return None
    values = {f.name: getattr(info, f.name) for f in fields(info)}
    known = {name: value for name, value in values.items() if value is not None}
    return codec.encode(known, what="the execution info")


def _config() -> RunnableConfig:
    try:
        return get_config()
    except RuntimeError:
        return RunnableConfig()


def _config_parts(codec: Codec, config: RunnableConfig) -> JsonObject | None:
    told = _plain(codec, cast("Mapping[str, Raw]", config.get("configurable") or {}))
    metadata = _plain(codec, cast("Mapping[str, Raw]", config.get("metadata") or {}))
    parts: JsonObject = {}
    if told:
        parts["configurable"] = told
    if config.get("tags"):
        parts["tags"] = list(cast("list[Json]", config.get("tags")))
    if metadata:
        parts["metadata"] = metadata
    return parts or None


def _plain(codec: Codec, values: Mapping[str, Raw]) -> JsonObject:
    """Keep what can travel: clients and callbacks in a config belong to one process."""
    kept: JsonObject = {}
    for name, value in values.items():
        if name.startswith(_HIDDEN) or value is None:
            continue
        try:
            kept[name] = codec.encode(value, what=f"config[{name!r}]")
        except Unserializable:
            continue
    return kept
