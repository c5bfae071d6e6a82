"""Hooks of every style: classes and decorators, sync and async, jumps, state of their own."""

from collections.abc import Awaitable, Callable
from typing import Any, NotRequired

from langchain.agents import AgentState, create_agent
from langchain.agents.middleware import (
    AgentMiddleware,
    ExtendedModelResponse,
    ModelRequest,
    ModelResponse,
    after_agent,
    after_model,
    before_agent,
    before_model,
    dynamic_prompt,
    hook_config,
    wrap_model_call,
    wrap_tool_call,
)
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langgraph.runtime import Runtime
from langgraph.types import Command, interrupt

from conformance.case import Kit, Plan, case
from conformance.kits import calls

HELLO = {"messages": [{"role": "user", "content": "hello"}]}


def dig(q: str) -> str:
    """Dig for something."""
    return f"dug {q}"


def fill(q: str) -> str:
    """Fill a hole."""
    return f"filled {q}"


DIG = calls("dig", {"q": "x"})
FULL = {"model": 2, "tool": 1}


def agent(kit: Kit, *middleware: Any, **more: Any) -> Plan:
    """Make an agent that digs once, with these middlewares."""
    graph = create_agent(kit.model(DIG, "done"), [kit.tool(dig)], middleware=middleware, **more)
    return Plan(graph=graph, input=HELLO, activities=FULL)


class Logged(AgentState[Any]):
    """A state with a log."""

    log: NotRequired[str]


class SyncHooks(AgentMiddleware[Logged, Any, Any]):
    """Write down each hook, in sync code."""

    state_schema = Logged

    def _add(self, state: Any, word: str) -> dict[str, Any]:
        return {"log": f"{state.get('log', '')} {word}".strip()}

    def before_agent(self, state: Any, runtime: Any) -> dict[str, Any]:
        return self._add(state, "before_agent")

    def before_model(self, state: Any, runtime: Any) -> dict[str, Any]:
        return self._add(state, f"before_model({len(state['messages'])})")

    def after_model(self, state: Any, runtime: Any) -> dict[str, Any]:
        return self._add(state, "after_model")

    def after_agent(self, state: Any, runtime: Any) -> dict[str, Any]:
        return self._add(state, "after_agent")


class AsyncHooks(SyncHooks):
    """The same in async code, which is preferred."""

    async def abefore_agent(self, state: Any, runtime: Any) -> dict[str, Any]:
        return self._add(state, "abefore_agent")

    async def abefore_model(self, state: Any, runtime: Any) -> dict[str, Any]:
        return self._add(state, "abefore_model")

    async def aafter_model(self, state: Any, runtime: Any) -> dict[str, Any]:
        return self._add(state, "aafter_model")

    async def aafter_agent(self, state: Any, runtime: Any) -> dict[str, Any]:
        return self._add(state, "aafter_agent")


class Wraps(AgentMiddleware[Any, Any, Any]):
    """Wrap model and tool calls, sync and async."""

    def wrap_model_call(self, request: Any, handler: Callable[[Any], Any]) -> Any:
        return handler(request)

    async def awrap_model_call(self, request: Any, handler: Callable[[Any], Awaitable[Any]]) -> Any:
        told = SystemMessage("wrapped")
        response = await handler(request.override(system_message=told))
        last = response.result[-1]
        return ModelResponse(result=[last.model_copy(update={"content": f"<{last.text}>"})])

    async def awrap_tool_call(self, request: Any, handler: Callable[[Any], Awaitable[Any]]) -> Any:
        call = {**request.tool_call, "args": {"q": f"{request.tool_call['args']['q']}!"}}
        result = await handler(request.override(tool_call=call))
        return result.model_copy(update={"content": f"[{result.text}]"})


@case(
    "mw_hooks_sync",
    area="Middleware",
    feature="Sync hooks before and after agent and model, own state",
)
def hooks_sync(kit: Kit) -> Plan:
    return agent(kit, SyncHooks())


@case("mw_hooks_async", area="Middleware", feature="Async hooks before and after agent and model")
def hooks_async(kit: Kit) -> Plan:
    return agent(kit, AsyncHooks())


@case(
    "mw_wraps_async", area="Middleware", feature="awrap_model_call and awrap_tool_call change calls"
)
def wraps_async(kit: Kit) -> Plan:
    return agent(kit, Wraps())


@case("mw_wraps_nested", area="Middleware", feature="Three middlewares wrap each other, in order")
def wraps_nested(kit: Kit) -> Plan:
    class Inner(Wraps):
        name = "inner"

    class Outer(Wraps):
        name = "outer"

    return agent(kit, Outer(), Inner(), SyncHooks())


@case("mw_decorators", area="Middleware", feature="Hooks by decorator, sync and async")
def decorators(kit: Kit) -> Plan:
    @before_agent
    def greet(state: Any, runtime: Any) -> dict[str, Any]:
        return {"messages": [HumanMessage("greeted")]}

    @before_model
    async def nothing(state: Any, runtime: Any) -> None:
        return None

    @after_model
    def sign(state: Any, runtime: Any) -> dict[str, Any]:
        last = state["messages"][-1]
        return {"messages": [last.model_copy(update={"name": "signed"})]}

    @after_agent
    async def part(state: Any, runtime: Any) -> dict[str, Any]:
        return {"messages": [AIMessage("bye")]}

    def say(messages: list[Any]) -> AIMessage:
        is_done = any(isinstance(message, ToolMessage) for message in messages)
        return AIMessage("done") if is_done else DIG

    graph = create_agent(kit.model(say), [kit.tool(dig)], middleware=[greet, nothing, sign, part])
    return Plan(graph=graph, input=HELLO, activities=FULL)


@case(
    "mw_wrap_decorators",
    area="Middleware",
    feature="@wrap_model_call, @wrap_tool_call, @dynamic_prompt",
)
def wrap_decorators(kit: Kit) -> Plan:
    @wrap_model_call  # type: ignore[arg-type]
    async def twice(request: Any, handler: Callable[[Any], Awaitable[Any]]) -> Any:
        await handler(request)
        return await handler(request)

    @wrap_tool_call  # type: ignore[arg-type]
    async def loud(request: Any, handler: Callable[[Any], Awaitable[Any]]) -> Any:
        result = await handler(request)
        return result.model_copy(update={"content": result.text.upper()})

    @dynamic_prompt
    def prompt(request: ModelRequest[Any]) -> str:
        return f"{len(request.messages)} messages"

    plan = agent(kit, twice, loud, prompt)
    plan.activities = {"model": 4, "tool": 1}
    return plan


@case(
    "mw_tool_short_circuit", area="Middleware", feature="awrap_tool_call answers without the tool"
)
def tool_short_circuit(kit: Kit) -> Plan:
    @wrap_tool_call  # type: ignore[arg-type]
    async def answer(request: Any, handler: Any) -> Any:
        return ToolMessage("from a cache", tool_call_id=request.tool_call["id"], name="dig")

    plan = agent(kit, answer)
    plan.activities = {"model": 2}
    return plan


@case("mw_tool_command", area="Middleware", feature="awrap_tool_call returns Command(update=...)")
def tool_command(kit: Kit) -> Plan:
    @wrap_tool_call(state_schema=Logged)  # type: ignore[arg-type,call-overload]
    async def answer(request: Any, handler: Callable[[Any], Awaitable[Any]]) -> Any:
        result = await handler(request)
        return Command(update={"messages": [result], "log": "by the wrap"})

    return agent(kit, answer, state_schema=Logged)


@case(
    "mw_model_short_circuit",
    area="Middleware",
    feature="awrap_model_call answers without the model",
)
def model_short_circuit(kit: Kit) -> Plan:
    @wrap_model_call  # type: ignore[arg-type]
    async def answer(request: Any, handler: Any) -> Any:
        return AIMessage("from a cache")

    plan = agent(kit, answer)
    plan.activities = {}
    return plan


@case(
    "mw_model_command", area="Middleware", feature="awrap_model_call adds a Command to its answer"
)
def model_command(kit: Kit) -> Plan:
    @wrap_model_call(state_schema=Logged)  # type: ignore[arg-type,call-overload]
    async def answer(request: Any, handler: Callable[[Any], Awaitable[Any]]) -> Any:
        response = await handler(request)
        return ExtendedModelResponse(
            model_response=response, command=Command(update={"log": "written"})
        )

    return agent(kit, answer, state_schema=Logged)


@case("mw_jump_end", area="Middleware", feature="before_model jumps to the end")
def jump_end(kit: Kit) -> Plan:
    @before_model(can_jump_to=["end"])
    def stop(state: Any, runtime: Any) -> dict[str, Any] | None:
        if len(state["messages"]) < 3:
            return None
        return {"jump_to": "end", "messages": [AIMessage("stopped")]}

    plan = agent(kit, stop)
    plan.activities = {"model": 1, "tool": 1}
    return plan


@case("mw_jump_model", area="Middleware", feature="after_model jumps back to the model")
def jump_model(kit: Kit) -> Plan:
    class Again(AgentMiddleware[Any, Any, Any]):
        @hook_config(can_jump_to=["model"])
        async def aafter_model(self, state: Any, runtime: Runtime[Any]) -> dict[str, Any] | None:
            if state["messages"][-1].text != "first":
                return None
            return {"jump_to": "model", "messages": [HumanMessage("no, again")]}

    graph = create_agent(kit.model("first", "second"), [], middleware=[Again()])
    return Plan(graph=graph, input=HELLO, activities={"model": 2})


@case("mw_jump_tools", area="Middleware", feature="before_model jumps to the tools")
def jump_tools(kit: Kit) -> Plan:
    @before_model(can_jump_to=["tools"])
    def straight(state: Any, runtime: Any) -> dict[str, Any] | None:
        if len(state["messages"]) > 1:
            return None
        return {"jump_to": "tools", "messages": [DIG]}

    plan = agent(kit, straight)
    plan.activities = {"model": 1, "tool": 1}
    return plan


@case("mw_hook_interrupts", area="Middleware", feature="interrupt() in a hook")
def hook_interrupts(kit: Kit) -> Plan:
    @before_model
    def ask(state: Any, runtime: Any) -> dict[str, Any] | None:
        if len(state["messages"]) > 1:
            return None
        return {"messages": [HumanMessage(f"and {interrupt('what else?')}")]}

    def say(messages: list[Any]) -> AIMessage:
        is_done = any(isinstance(message, ToolMessage) for message in messages)
        return AIMessage(messages[1].text) if is_done else DIG

    graph = create_agent(kit.model(say), [kit.tool(dig)], middleware=[ask])
    return Plan(graph=graph, input=HELLO, answers=["tea"], activities=FULL)


@case("mw_hook_calls_model", area="Middleware", feature="A hook calls a model of its own, async")
def hook_calls_model(kit: Kit) -> Plan:
    judge = kit.model("good", name="judge")

    @after_model
    async def judged(state: Any, runtime: Any) -> dict[str, Any]:
        verdict = await judge.ainvoke([HumanMessage("judge this")])
        last = state["messages"][-1]
        return {"messages": [last.model_copy(update={"name": verdict.text})]}

    plan = agent(kit, judged)
    plan.activities = {"model": 4, "tool": 1}
    return plan


@case(
    "mw_hook_calls_model_sync", area="Middleware", feature="A hook calls a model of its own, sync"
)
def hook_calls_model_sync(kit: Kit) -> Plan:
    judge = kit.model("good", name="judge")

    @before_agent
    def judged(state: Any, runtime: Any) -> dict[str, Any]:
        return {"messages": [HumanMessage(f"judged {judge.invoke([HumanMessage('this')]).text}")]}

    def say(messages: list[Any]) -> AIMessage:
        is_done = any(isinstance(message, ToolMessage) for message in messages)
        return AIMessage("done") if is_done else DIG

    graph = create_agent(kit.model(say), [kit.tool(dig)], middleware=[judged])
    return Plan(graph=graph, input=HELLO, activities={"model": 3, "tool": 1})


@case("mw_own_tools", area="Middleware", feature="A middleware that brings tools of its own")
def own_tools(kit: Kit) -> Plan:
    class Brings(AgentMiddleware[Any, Any, Any]):
        tools = (kit.tool(fill),)  # type: ignore[assignment]

    model = kit.model(DIG, calls("fill", {"q": "y"}, turn=2), "done")
    graph = create_agent(model, [kit.tool(dig)], middleware=[Brings()])
    return Plan(graph=graph, input=HELLO, activities={"model": 3, "tool": 2})
