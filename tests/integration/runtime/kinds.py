"""Run one agent on plain LangGraph and durably, and compare what it says."""

from collections.abc import Callable, Sequence
from typing import Any

from langchain.agents import create_agent
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.tools import BaseTool

import perdure
from integration.runtime.fakes import Scripted, calls, lines
from integration.runtime.harness import HELLO, Lab

Tool = BaseTool | Callable[..., Any]


def shape(messages: Sequence[BaseMessage]) -> list[Any]:
    """Describe messages without the ids that every run draws anew."""
    return [
        (m.type, m.content, m.artifact, m.status, m.name, m.tool_call_id)
        if isinstance(m, ToolMessage)
        else (m.type, m.content)
        for m in messages
    ]


def plain(tool: Tool, *turns: AIMessage | str, **options: Any) -> Any:
    """Make the agent as one writes it for LangGraph."""
    return create_agent(Scripted(say=lines(*turns)), [tool], **options)


def durable(tool: Tool, *turns: AIMessage | str, where: Any = None, **options: Any) -> Any:
    """Make the same agent of a declared model and tool."""
    model = perdure.model(Scripted(say=lines(*turns)), name="m")
    return create_agent(model, [perdure.tool(tool, where=where)], **options)


async def both(
    lab: Lab,
    tool: Tool,
    args: dict[str, Any],
    *,
    where: Any = None,
    input: dict[str, Any] | None = None,
    context: Any = None,
    types: Sequence[type] = (),
    **options: Any,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Let a model call a tool once; return the result of plain LangGraph, and the durable one."""
    name = tool.name if isinstance(tool, BaseTool) else tool.__name__
    turns = (calls(name, args), "done")
    given = {**HELLO, **(input or {})}
    expected = await plain(tool, *turns, **options).ainvoke(given, context=context)
    agents = perdure.Agents(types=types)
    agents.add("graph", durable(tool, *turns, where=where, **options))
    more = {} if context is None else {"context": agents.codec.encode(context, what="context")}
    async with lab.worker(agents) as runs:
        run = await runs.start("graph", given, **more)
        output = await run.result()
    return expected, output
