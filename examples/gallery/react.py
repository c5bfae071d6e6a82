"""ReAct: the model calls tools until it can answer.

START -> call_model -> (call_tools -> call_model)* -> END
"""

import asyncio
from typing import Any

from langchain.chat_models import init_chat_model
from langchain_core.messages import AIMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langgraph.graph import END, START, MessagesState, StateGraph

TEMPERATURES = {"Oslo": 4, "Lima": 19, "Cairo": 28, "Perth": 24}


@tool
def temperature(city: str) -> str:
    """Tell the temperature in a city, in degrees Celsius."""
    known = TEMPERATURES.get(city)
    return f"no station in {city}" if known is None else str(known)


@tool
async def subtract(a: float, b: float) -> float:
    """Subtract b from a."""
    return a - b


tools = {"temperature": temperature, "subtract": subtract}
model = init_chat_model("anthropic:claude-sonnet-4-6").bind_tools([temperature, subtract])


def call_model(state: MessagesState) -> dict[str, Any]:
    """Let the model answer, or ask for tools."""
    system = SystemMessage("You are a weather service. Calculate with the tools, not yourself.")
    return {"messages": [model.invoke([system, *state["messages"]])]}


async def call_tools(state: MessagesState) -> dict[str, Any]:
    """Call what the model asked for, all at the same time."""
    last = state["messages"][-1]
    assert isinstance(last, AIMessage)

    async def call(name: str, args: dict[str, object], call_id: str | None) -> ToolMessage:
        result = await tools[name].ainvoke(args)
        return ToolMessage(str(result), name=name, tool_call_id=call_id or "")

    calls = (call(one["name"], one["args"], one["id"]) for one in last.tool_calls)
    return {"messages": await asyncio.gather(*calls)}


def should_continue(state: MessagesState) -> str:
    """Go on while the model asks for tools."""
    last = state["messages"][-1]
    return "call_tools" if isinstance(last, AIMessage) and last.tool_calls else END


builder = StateGraph(MessagesState)
builder.add_node(call_model)
builder.add_node(call_tools)
builder.add_edge(START, "call_model")
builder.add_conditional_edges("call_model", should_continue, ["call_tools", END])
builder.add_edge("call_tools", "call_model")
graph = builder.compile()
