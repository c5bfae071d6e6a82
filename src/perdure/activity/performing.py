"""Call one tool as LangGraph would, with what surrounds it in the graph. Activity side."""

from collections.abc import Awaitable, Callable
from typing import cast

from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool
from langgraph.errors import GraphInterrupt
from langgraph.store.base import BaseStore

from perdure.activity.injection import Surroundings
from perdure.activity.interrupting import question_of
from perdure.activity.live import Listeners, Speaker
from perdure.activity.results import check_kind, check_result, narrow
from perdure.activity.shells import SHELLS
from perdure.core.declared import Table
from perdure.core.frames import StreamSink
from perdure.core.jsons import Raw
from perdure.core.ports import Codec
from perdure.core.scenes import Outcome, Scene
from perdure.core.wire import ToolCall

Memory = Callable[[], Awaitable[object]]
"""Open the worker's long-term memory, or return the open one."""


async def perform(
    tool: BaseTool,
    call: ToolCall,
    *,
    codec: Codec,
    table: Table,
    memory: Memory | None,
    sink: StreamSink | None = None,
) -> Outcome:
    """Call a tool; returns its result, or the question at which it stopped.

    Raises:
        Unserializable: An argument cannot be read; the result, a streamed chunk or the question
            has no JSON form.
        PayloadTooLarge: The result is larger than the tool allows, and no model called.
        Exception: Whatever the tool raises.
    """
    args = codec.decode(call.args)
    subject = f"tool {call.tool!r}"
    entry = table.find("tool", call.tool)
    most = None if entry is None else entry.max_result
    check_kind(tool)
    if call.scene is None:
        result = await _invoke(tool, args, call.call_id, None)
        check_result(tool, result)
        result = narrow(result, most, tool=call.tool, call_id=call.call_id, codec=codec)
        return Outcome(value=codec.encode(result, what=f"the result of {subject}"))
    scene = Scene.from_json(call.scene)
    store = cast("BaseStore", await memory()) if memory is not None and scene.memory else None
    speaker = None
    if call.live is not None and sink is not None:
        speaker = Speaker(sink=sink, codec=codec, live=call.live, mode="custom")
    around = Surroundings(codec=codec, scene=scene, store=store, speaker=speaker)
    config = around.config()
    filled = around.fill(args, config, call_id=call.call_id, table=table)
    try:
        async with Listeners(speaker=speaker, keep=False), SHELLS.lent(tool, filled):
            result = await _invoke(tool, filled, call.call_id, config)
    except GraphInterrupt as stopped:
        question = question_of(stopped, codec, what=subject)
        return Outcome(question=question, chunks=around.chunks(what=subject))
    check_result(tool, result)
    result = narrow(result, most, tool=call.tool, call_id=call.call_id, codec=codec)
    value = codec.encode(result, what=f"the result of {subject}")
    return Outcome(value=value, chunks=around.chunks(what=subject))


async def _invoke(
    tool: BaseTool, args: Raw, call_id: str | None, config: RunnableConfig | None
) -> Raw:
    """Call a tool as LangGraph does; returns what the function returned, or a ToolMessage.

    Without a tool call's id a tool with an artifact would lose it, so the pair is asked for.
    """
    if call_id is not None:
        call = {"name": tool.name, "args": args, "id": call_id, "type": "tool_call"}
        return await tool.ainvoke(call, config)
    if tool.response_format == "content_and_artifact":
        tool = tool.model_copy(update={"response_format": "content"})
    return await tool.ainvoke(args, config)
