"""The workload as a LangGraph graph of two nodes, shared by the peers that run whole nodes.

The nodes call convert_to_messages because two of the Temporal integrations hand an activity plain
dicts, not messages.
"""

from typing import Annotated, Any, TypedDict

from langchain_core.messages import (
    AIMessage,
    AnyMessage,
    HumanMessage,
    ToolMessage,
    convert_to_messages,
)
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages

from benchmarks import workload
from benchmarks.workload import Counters


class State(TypedDict):
    messages: Annotated[list[AnyMessage], add_messages]


def first(turns: int, payload: int) -> dict[str, Any]:
    return {"messages": [HumanMessage(workload.request(turns, payload), id="human-0")]}


async def model(state: State) -> dict[str, Any]:
    messages = convert_to_messages(state["messages"])
    turns, payload = workload.parse(messages[0].text)
    turn = sum(1 for m in messages if m.type == "ai")
    Counters.hit("model")
    if turn >= turns:
        return {"messages": [AIMessage("done", id=f"ai-{turn}")]}
    call = {"name": "observe", "args": {"step": turn, "size": payload}, "id": f"call_{turn}"}
    return {"messages": [AIMessage(workload.MODEL_TEXT, tool_calls=[call], id=f"ai-{turn}")]}


async def tools(state: State) -> dict[str, Any]:
    last = convert_to_messages(state["messages"][-1:])[0]
    Counters.hit("tool")
    return {
        "messages": [
            ToolMessage(
                workload.observation(c["args"]["step"], c["args"]["size"]),
                tool_call_id=c["id"],
                id=f"tool-{c['id']}",
            )
            for c in last.tool_calls
        ]
    }


def route_sync(state: Any) -> str:
    last = convert_to_messages(state["messages"][-1:])[0]
    return "tools" if last.tool_calls else END


async def route(state: Any) -> str:
    return route_sync(state)


def build(
    state: Any = State,
    meta: dict[str, Any] | None = None,
    approval: Any = None,
    approval_meta: dict[str, Any] | None = None,
    route: Any = route,
) -> StateGraph:
    g = StateGraph(state)
    kw = lambda m: {"metadata": dict(m)} if m is not None else {}  # noqa: E731
    g.add_node("model", model, input_schema=state, **kw(meta))
    g.add_node("tools", tools, input_schema=state, **kw(meta))
    g.add_edge(START, "model")
    if approval is None:
        g.add_conditional_edges("model", route, ["tools", END])
    else:
        g.add_node("approval", approval, input_schema=state, **kw(approval_meta))
        g.add_conditional_edges("model", route, {"tools": "approval", END: END})
        g.add_edge("approval", "tools")
    g.add_edge("tools", "model")
    return g
