"""Run the quick tools that a reply calls at once, in the model's own activity: the fused turn.

The reply is kept in a heartbeat first, so that a worker which takes over does not pay for it again.
A result that is not there in time, is large, or needs something of the graph is left out: the
graph's own call makes it then. Activity side.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from inspect import signature
from types import UnionType
from typing import Annotated, Union, cast, get_args, get_origin, get_type_hints

from langchain_core.messages import AIMessage, ToolCall
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool, InjectedToolCallId
from temporalio import activity

from perdure.activity.effects import KEY
from perdure.activity.heartbeat import Pulse
from perdure.core.declared import Declaration, Table
from perdure.core.jsons import Json, JsonObject, Raw
from perdure.core.options import QUICK_RESULT, QUICK_TIMEOUT
from perdure.core.ports import Codec
from perdure.core.wire import PAYLOAD_LIMIT, ModelReply

_LEFT = 2 * QUICK_TIMEOUT
"""Tools are not begun with less than this left of the call's own time limit."""


@dataclass(frozen=True, kw_only=True)
class Fuser:
    """Finishes a reply with the results of the tools that it calls."""

    declared: Table
    codec: Codec

    def resume(self, call: Mapping[str, Json]) -> ModelReply | None:
        """Return the reply that an earlier attempt of this call kept, if there is one."""
        details = activity.info().heartbeat_details
        kept = details[0] if call.get("fuse") is not None and details else None
        if not isinstance(kept, Mapping):
            return None
        return ModelReply.from_json(cast("Mapping[str, Raw]", kept))

    async def finish(
        self, fuse: Sequence[str] | None, reply: ModelReply, pulse: Pulse
    ) -> ModelReply:
        """Call the reply's tools, all at once, if all of them may be; returns it with results.

        `fuse` names those that may not; None says that no tool may.
        """
        wanted = [] if fuse is None else self._look(fuse, reply)
        left = _time_left()
        room = PAYLOAD_LIMIT - self.codec.size(reply.to_json()) if wanted else 0
        if room <= 0 or (left is not None and left < _LEFT):
            return reply
        held = dict(reply.fused)
        asked: JsonObject = {"asked": reply.asked or activity.info().attempt}
        pulse.keep({**reply.to_json(), **asked})
        todo = [
            asyncio.create_task(self._one(one, tool))
            for one, tool in wanted
            if one["id"] not in held
        ]
        try:
            for coming in asyncio.as_completed(todo):
                call_id, result = await coming
                size = 0 if result is None else self.codec.size(result)
                if result is None or size > min(QUICK_RESULT, room):
                    continue
                room -= size
                held[call_id] = result
                reply = replace(reply, fused=dict(held))
                pulse.keep({**reply.to_json(), **asked})
        finally:
            for task in todo:
                task.cancel()
        return reply

    def _look(self, fuse: Sequence[str], reply: ModelReply) -> list[tuple[ToolCall, BaseTool]]:
        """Find the tools to call; a reply is never lost by what an app's own classes raise."""
        try:
            return self._wanted(fuse, reply)
        except Exception:  # noqa: BLE001 - the app's own tool, in any way
            activity.logger.warning("the tools of a reply are left to the graph", exc_info=True)
            return []

    async def alone(self, entry: Declaration, args: Raw, call_id: str | None) -> Json:
        """Call one quick tool; None if it needs its graph, failed, or returned much."""
        tool = _fusable(entry)
        if tool is None or call_id is None or not isinstance(args, dict):
            return None
        named = ToolCall(name=tool.name, args=cast("dict[str, Raw]", args), id=call_id)
        _, result = await self._one(named, tool)
        if result is None or self.codec.size(result) > QUICK_RESULT:
            return None
        return result["value"]

    def _wanted(self, fuse: Sequence[str], reply: ModelReply) -> list[tuple[ToolCall, BaseTool]]:
        message = None if reply.faults else self.codec.decode(reply.message)
        if not isinstance(message, AIMessage) or message.invalid_tool_calls or "*" in fuse:
            return []
        found: list[tuple[ToolCall, BaseTool]] = []
        seen: set[str | None] = {None, ""}
        for call in message.tool_calls:
            tool = _fusable(self.declared.find("tool", call["name"]))
            if tool is None or call["name"] in fuse or call["id"] in seen:
                return []
            seen.add(call["id"])
            found.append((call, tool))
        return found

    async def _one(self, call: ToolCall, tool: BaseTool) -> tuple[str, JsonObject | None]:
        """Call one tool; whatever goes wrong, its own call will tell."""
        call_id = str(call["id"])
        around = Apart()
        began = datetime.now(UTC)
        token = KEY.set(None)
        try:
            async with asyncio.timeout(QUICK_TIMEOUT.total_seconds()):
                config = RunnableConfig(configurable=around)
                result = await tool.ainvoke({**call, "type": "tool_call"}, config)
            if around.asked:
                return call_id, None
            value: Json = self.codec.encode(result, what=f"the result of tool {tool.name!r}")
        except Exception:  # noqa: BLE001 - the same call is made again, and its failure judged
            return call_id, None
        finally:
            KEY.reset(token)
        spent = datetime.now(UTC) - began
        return call_id, {"value": value, "ms": round(spent.total_seconds() * 1000)}


def _time_left() -> timedelta | None:
    info = activity.info()
    limit = info.start_to_close_timeout
    return None if limit is None else limit - (datetime.now(UTC) - info.started_time)


class NeedsGraph(RuntimeError):
    """A tool looked for something that only its call in the graph has."""


@dataclass(eq=False)
class Apart(dict[str, Raw]):
    """The `configurable` of a tool that runs apart from its graph: it notes who looks into it."""

    asked: list[str] = field(default_factory=list[str])

    def copy(self) -> "Apart":
        """Copy, as LangChain does for each step; what is asked of the copy is noted here."""
        return Apart(self.asked)

    def __bool__(self) -> bool:
        return True

    def __getitem__(self, key: str) -> Raw:
        self.asked.append(key)
        raise NeedsGraph(key)

    def __contains__(self, key: object) -> bool:
        self.asked.append(str(key))
        raise NeedsGraph(str(key))

    def get(self, key: str, default: Raw = None) -> Raw:
        """Return nothing; LangChain itself looks for two of the keys."""
        if key in ("model", "checkpoint_ns"):
            return default
        return self[key]


def _fusable(entry: Declaration | None) -> BaseTool | None:
    """Return a tool that may run beside its graph: quick, asked of nobody, with plain arguments."""
    if entry is None or not entry.override.quick or entry.max_result is not None:
        return None
    if entry.effect or entry.approve is not None:
        return None
    tool = cast("BaseTool", entry.build())
    return tool if is_alone(tool) else None


def is_alone(tool: BaseTool) -> bool:
    """Tell whether a tool takes nothing from its graph but the model's own arguments."""
    schema = tool.args_schema
    if schema is not None and not isinstance(schema, dict):
        fields = cast("Mapping[str, Raw]", getattr(schema, "model_fields", {}))
        shown = tool.args
        for name, one in fields.items():
            if name not in shown and not any(_is_call_id(m) for m in one.metadata):
                return False
    bodies = [getattr(tool, name, None) for name in ("coroutine", "func")]
    if not any(bodies):
        bodies = [type(tool)._run, type(tool)._arun]  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
    return not any(_takes_scene(body) for body in bodies if body is not None)


def _is_call_id(mark: Raw) -> bool:
    return mark is InjectedToolCallId or isinstance(mark, InjectedToolCallId)


def _takes_scene(body: Raw) -> bool:
    try:
        hints = get_type_hints(body)
        names = signature(body).parameters
    except (NameError, TypeError, ValueError):
        return True  # what cannot be read is left to the graph
    return any(_is_scene(hints.get(name)) for name in names)


def _is_scene(hint: Raw) -> bool:
    parts = get_args(hint) if get_origin(hint) in (Union, UnionType, Annotated) else (hint,)
    return any(part is RunnableConfig for part in parts)
