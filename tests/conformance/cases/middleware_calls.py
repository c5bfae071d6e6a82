"""The middleware of LangChain that looks after model and tool calls."""

from datetime import timedelta
from typing import Any

from langchain.agents import create_agent
from langchain.agents.middleware import (
    ClearToolUsesEdit,
    ContextEditingMiddleware,
    HumanInTheLoopMiddleware,
    LLMToolEmulator,
    LLMToolSelectorMiddleware,
    ModelCallLimitMiddleware,
    ModelFallbackMiddleware,
    ModelRetryMiddleware,
    PIIMiddleware,
    ProviderToolSearchMiddleware,
    SummarizationMiddleware,
    TodoListMiddleware,
    ToolCallLimitMiddleware,
    ToolErrorMiddleware,
    ToolRetryMiddleware,
)
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

import perdure
from conformance.case import Choose, Kit, Plan, case
from conformance.kits import calls

ONCE = perdure.Retry(
    attempts=1, initial=timedelta(milliseconds=10), maximum=timedelta(milliseconds=10)
)
SECRET = {"messages": [{"role": "user", "content": "mail ann@example.org, card 4111111111111111"}]}
HELLO = {"messages": [{"role": "user", "content": "hello"}]}


def find(q: str) -> str:
    """Find something."""
    return f"found {q}"


def stumble(q: str) -> str:
    """Fail always."""
    raise ValueError(f"no {q}")


def trip(q: str) -> str:
    """Fail always, with a lookup's error."""
    raise KeyError(q)


def mail(to: str, text: str) -> str:
    """Send a mail."""
    return f"sent {text!r} to {to}"


FIND = calls("find", {"q": "x"})
DOWN = ConnectionError("down")


def failing(kit: Kit, name: str = "m") -> Any:
    """Make a model that fails at each call, tried once by Temporal."""
    return kit.model(DOWN, "never", name=name, retry=ONCE)


# Human in the loop


def asked(kit: Kit, *answers: Any, **terms: Any) -> Plan:
    model = kit.model(FIND, "done")
    middleware = HumanInTheLoopMiddleware(interrupt_on={"find": terms or True})  # type: ignore[dict-item]
    graph = create_agent(model, [kit.tool(find)], middleware=[middleware])
    return Plan(graph=graph, input=HELLO, answers=list(answers))


@case("mw_hitl_approve", area="Middleware", feature="HumanInTheLoopMiddleware: approve")
def hitl_approve(kit: Kit) -> Plan:
    plan = asked(kit, Choose(type="approve"))
    plan.activities = {"model": 2, "tool": 1}
    return plan


@case("mw_hitl_edit", area="Middleware", feature="HumanInTheLoopMiddleware: edit")
def hitl_edit(kit: Kit) -> Plan:
    plan = asked(kit, Choose(type="edit", args={"q": "y"}, name="find"))
    plan.activities = {"model": 2, "tool": 1}
    return plan


@case("mw_hitl_reject", area="Middleware", feature="HumanInTheLoopMiddleware: reject")
def hitl_reject(kit: Kit) -> Plan:
    plan = asked(kit, Choose(type="reject", message="not this"))
    plan.activities = {"model": 2}
    return plan


@case("mw_hitl_respond", area="Middleware", feature="HumanInTheLoopMiddleware: respond")
def hitl_respond(kit: Kit) -> Plan:
    answer = Choose(type="respond", message="I know it")
    plan = asked(kit, answer, allowed_decisions=["approve", "respond"])
    plan.activities = {"model": 2}
    return plan


@case(
    "mw_hitl_two", area="Middleware", feature="HumanInTheLoopMiddleware: two calls in one question"
)
def hitl_two(kit: Kit) -> Plan:
    model = kit.model(calls("find", {"q": "x"}, {"q": "y"}), "done")
    middleware = HumanInTheLoopMiddleware(interrupt_on={"find": True})
    graph = create_agent(model, [kit.tool(find)], middleware=[middleware])
    return Plan(
        graph=graph,
        input=HELLO,
        answers=[[Choose(type="approve"), Choose(type="reject", message="no")]],
        activities={"model": 2, "tool": 1},
    )


# Retries, limits, fallback


@case("mw_model_retry", area="Middleware", feature="ModelRetryMiddleware gives up with a message")
def model_retry(kit: Kit) -> Plan:
    retry = ModelRetryMiddleware(
        max_retries=2, initial_delay=0.01, on_failure=lambda error: "gave up"
    )
    graph = create_agent(failing(kit), [], middleware=[retry])
    return Plan(graph=graph, input=HELLO, activities={"model": 3})


@case("mw_model_retry_text", area="Middleware", feature="ModelRetryMiddleware tells the exception")
def model_retry_text(kit: Kit) -> Plan:
    retry = ModelRetryMiddleware(max_retries=1, initial_delay=0.01, jitter=True)
    graph = create_agent(failing(kit), [], middleware=[retry])
    return Plan(graph=graph, input=HELLO, activities={"model": 2})


@case("mw_model_retry_on", area="Middleware", feature="ModelRetryMiddleware(retry_on=...) by type")
def model_retry_on(kit: Kit) -> Plan:
    retry = ModelRetryMiddleware(
        max_retries=2,
        initial_delay=0.01,
        retry_on=(ConnectionError,),
        on_failure=lambda _: "gave up",
    )
    graph = create_agent(failing(kit), [], middleware=[retry])
    return Plan(graph=graph, input=HELLO, activities={"model": 3})


@case("mw_model_fallback", area="Middleware", feature="ModelFallbackMiddleware")
def model_fallback(kit: Kit) -> Plan:
    fallback = ModelFallbackMiddleware(failing(kit, "second"), kit.model("third", name="third"))
    graph = create_agent(failing(kit), [], middleware=[fallback])
    return Plan(graph=graph, input=HELLO, activities={"model": 3})


@case("mw_tool_retry", area="Middleware", feature="ToolRetryMiddleware gives up with a message")
def tool_retry(kit: Kit) -> Plan:
    retry = ToolRetryMiddleware(max_retries=2, initial_delay=0.01, on_failure=lambda _: "gave up")
    model = kit.model(calls("stumble", {"q": "x"}), "done")
    graph = create_agent(model, [kit.tool(stumble, retry=ONCE)], middleware=[retry])
    return Plan(graph=graph, input=HELLO, activities={"model": 2, "tool": 3})


@case("mw_tool_retry_on", area="Middleware", feature="ToolRetryMiddleware(retry_on=...) by type")
def tool_retry_on(kit: Kit) -> Plan:
    retry = ToolRetryMiddleware(max_retries=2, initial_delay=0.01, retry_on=(ValueError,))
    model = kit.model(calls("stumble", {"q": "x"}), "done")
    graph = create_agent(model, [kit.tool(stumble, retry=ONCE)], middleware=[retry])
    return Plan(graph=graph, input=HELLO, activities={"model": 2, "tool": 3})


@case("mw_tool_error", area="Middleware", feature="ToolErrorMiddleware sees the tool's exception")
def tool_error(kit: Kit) -> Plan:
    def told(error: Exception, request: Any) -> str | None:
        return f"{request.tool_call['name']}: {type(error).__name__} {error}"

    model = kit.model(calls("trip", {"q": "x"}), "done")
    tool = kit.tool(trip, retry=ONCE)
    graph = create_agent(model, [tool], middleware=[ToolErrorMiddleware(told)])
    return Plan(graph=graph, input=HELLO, activities={"model": 2, "tool": 1})


@case("mw_model_limit_end", area="Middleware", feature="ModelCallLimitMiddleware ends the agent")
def model_limit_end(kit: Kit) -> Plan:
    limit = ModelCallLimitMiddleware(run_limit=1)
    graph = create_agent(kit.model(FIND, "done"), [kit.tool(find)], middleware=[limit])
    return Plan(graph=graph, input=HELLO, activities={"model": 1, "tool": 1})


@case("mw_model_limit_error", area="Middleware", feature="ModelCallLimitMiddleware raises")
def model_limit_error(kit: Kit) -> Plan:
    limit = ModelCallLimitMiddleware(thread_limit=1, exit_behavior="error")
    graph = create_agent(kit.model(FIND, "done"), [kit.tool(find)], middleware=[limit])
    return Plan(graph=graph, input=HELLO, activities={"model": 1, "tool": 1})


def limited(kit: Kit, **options: Any) -> Plan:
    model = kit.model(FIND, calls("find", {"q": "y"}, turn=2), "done")
    limit = ToolCallLimitMiddleware(**options)
    graph = create_agent(model, [kit.tool(find)], middleware=[limit])
    return Plan(graph=graph, input=HELLO)


@case(
    "mw_tool_limit_continue", area="Middleware", feature="ToolCallLimitMiddleware tells the model"
)
def tool_limit_continue(kit: Kit) -> Plan:
    plan = limited(kit, run_limit=1)
    plan.activities = {"model": 3, "tool": 1}
    return plan


@case("mw_tool_limit_end", area="Middleware", feature="ToolCallLimitMiddleware ends the agent")
def tool_limit_end(kit: Kit) -> Plan:
    plan = limited(kit, tool_name="find", run_limit=1, exit_behavior="end")
    plan.activities = {"model": 2, "tool": 1}
    return plan


@case("mw_tool_limit_error", area="Middleware", feature="ToolCallLimitMiddleware raises")
def tool_limit_error(kit: Kit) -> Plan:
    plan = limited(kit, thread_limit=1, exit_behavior="error")
    plan.activities = {"model": 2, "tool": 1}
    return plan


# What the model sees


def summarizing(messages: list[Any]) -> AIMessage:
    """Search until a summary is there, then answer."""
    if "primary_objective" in messages[0].text:
        return AIMessage("SUMMARY")
    has_summary = any("SUMMARY" in m.text for m in messages if isinstance(m, HumanMessage))
    if has_summary and isinstance(messages[-1], ToolMessage):
        return AIMessage("done")
    return calls("find", {"q": f"q{len(messages)}"}, turn=len(messages))


@case("mw_summarization", area="Middleware", feature="SummarizationMiddleware by message count")
def summarization(kit: Kit) -> Plan:
    middleware = SummarizationMiddleware(
        kit.model(summarizing, name="s"), trigger=("messages", 4), keep=("messages", 2)
    )
    graph = create_agent(kit.model(summarizing), [kit.tool(find)], middleware=[middleware])
    return Plan(graph=graph, input=HELLO, activities={"model": 4, "tool": 2})


@case("mw_summarization_tokens", area="Middleware", feature="SummarizationMiddleware by tokens")
def summarization_tokens(kit: Kit) -> Plan:
    middleware = SummarizationMiddleware(
        kit.model(summarizing, name="s"), trigger=("tokens", 60), keep=("messages", 1)
    )
    words = [HumanMessage("word " * 50), AIMessage("yes"), HumanMessage("go on")]
    graph = create_agent(kit.model(summarizing), [kit.tool(find)], middleware=[middleware])
    return Plan(graph=graph, input={"messages": words})


@case(
    "mw_context_editing", area="Middleware", feature="ContextEditingMiddleware clears tool results"
)
def context_editing(kit: Kit) -> Plan:
    def say(messages: list[Any]) -> AIMessage:
        turn = sum(isinstance(message, AIMessage) for message in messages)
        if turn < 3:
            return calls("find", {"q": str(turn)}, turn=turn)
        return AIMessage(" | ".join(m.text for m in messages if isinstance(m, ToolMessage)))

    edits = ContextEditingMiddleware(edits=[ClearToolUsesEdit(trigger=1, keep=1)])
    graph = create_agent(kit.model(say), [kit.tool(find)], middleware=[edits])
    return Plan(graph=graph, input=HELLO, activities={"model": 4, "tool": 3})


@case("mw_todo", area="Middleware", feature="TodoListMiddleware; its tool is part of the graph")
def todo(kit: Kit) -> Plan:
    todos = [{"content": "look", "status": "pending"}, {"content": "buy", "status": "completed"}]
    model = kit.model(calls("write_todos", {"todos": todos}), "done")
    graph = create_agent(model, [], middleware=[TodoListMiddleware()])
    return Plan(graph=graph, input=HELLO, activities={"model": 2})


@case("mw_tool_selector", area="Middleware", feature="LLMToolSelectorMiddleware")
def tool_selector(kit: Kit) -> Plan:
    picker = kit.model(calls("ToolSelectionResponse", {"tools": ["find"]}), name="picker")
    choose = LLMToolSelectorMiddleware(
        model=picker, max_tools=1, always_include=["mail"], on_parsing_failure="all"
    )
    graph = create_agent(
        kit.model(FIND, "done"),
        [kit.tool(find), kit.tool(stumble), kit.tool(mail)],
        middleware=[choose],
    )
    return Plan(graph=graph, input=HELLO, activities={"model": 4, "tool": 1})


@case("mw_tool_emulator", area="Middleware", feature="LLMToolEmulator answers in a tool's place")
def tool_emulator(kit: Kit) -> Plan:
    emulator = LLMToolEmulator(tools=["mail"], model=kit.model("sent, I think", name="e"))
    model = kit.model(
        calls("mail", {"to": "ann", "text": "hi"}), calls("find", {"q": "y"}, turn=2), "ok"
    )
    graph = create_agent(model, [kit.tool(find), kit.tool(mail)], middleware=[emulator])
    return Plan(graph=graph, input=HELLO, activities={"model": 4, "tool": 1})


def hidden(kit: Kit, *rules: PIIMiddleware) -> Plan:
    def say(messages: list[Any]) -> AIMessage:
        return AIMessage(f"You wrote: {messages[-1].text}; write to bob@example.org")

    graph = create_agent(kit.model(say), [], middleware=list(rules))
    return Plan(graph=graph, input=SECRET, activities={"model": 1})


@case("mw_pii_redact", area="Middleware", feature="PIIMiddleware: redact, in input and output")
def pii_redact(kit: Kit) -> Plan:
    return hidden(kit, PIIMiddleware("email", strategy="redact", apply_to_output=True))


@case("mw_pii_mask", area="Middleware", feature="PIIMiddleware: mask and hash")
def pii_mask(kit: Kit) -> Plan:
    masked = PIIMiddleware("credit_card", strategy="mask")
    return hidden(kit, masked, PIIMiddleware("email", strategy="hash"))


@case("mw_pii_block", area="Middleware", feature="PIIMiddleware: block")
def pii_block(kit: Kit) -> Plan:
    plan = hidden(kit, PIIMiddleware("email", strategy="block"))
    plan.activities = {}
    return plan


@case("mw_pii_tool_results", area="Middleware", feature="PIIMiddleware on tool results")
def pii_tool_results(kit: Kit) -> Plan:
    model = kit.model(calls("find", {"q": "ann@example.org"}), "done")
    rule = PIIMiddleware(
        "email", strategy="redact", apply_to_input=False, apply_to_tool_results=True
    )
    graph = create_agent(model, [kit.tool(find)], middleware=[rule])
    return Plan(graph=graph, input=HELLO, activities={"model": 2, "tool": 1})


@case("mw_provider_tool_search", area="Middleware", feature="ProviderToolSearchMiddleware")
def provider_tool_search(kit: Kit) -> Plan:
    search = ProviderToolSearchMiddleware(searchable_tools=["mail"])
    graph = create_agent(
        kit.model(FIND, "done"), [kit.tool(find), kit.tool(mail)], middleware=[search]
    )
    return Plan(graph=graph, input=HELLO, activities={})


@case("mw_all_together", area="Middleware", feature="Eight middlewares in one agent")
def all_together(kit: Kit) -> Plan:
    stack: Any = [
        TodoListMiddleware(),
        PIIMiddleware("email", strategy="redact"),
        ModelCallLimitMiddleware(run_limit=9),
        ToolCallLimitMiddleware(run_limit=9),
        ModelRetryMiddleware(max_retries=1, initial_delay=0.01),
        ToolRetryMiddleware(max_retries=1, initial_delay=0.01),
        ContextEditingMiddleware(),
        SummarizationMiddleware(kit.model("SUMMARY", name="s"), trigger=("messages", 50)),
    ]
    todos = [{"content": "look", "status": "in_progress"}]
    model = kit.model(
        calls("write_todos", {"todos": todos}), calls("find", {"q": "x"}, turn=2), "ok"
    )
    graph = create_agent(model, [kit.tool(find)], middleware=stack)
    return Plan(graph=graph, input=SECRET, activities={"model": 3, "tool": 1})
