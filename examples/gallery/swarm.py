"""Swarm: agents hand the conversation over to each other; nobody is in charge.

    START -> the active agent -> (transfer_to_...: the other agent)* -> END

On a thread the next message goes to the agent that was active last.
"""

# pyright: reportUnknownVariableType=false
# LangChain's own signature of `create_agent` is partly unknown.

from typing import Any, NotRequired

from langchain.agents import create_agent
from langchain.chat_models import init_chat_model
from langchain.tools import ToolRuntime
from langchain_core.messages import ToolMessage
from langchain_core.tools import BaseTool, tool
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import Command


class State(MessagesState):
    """The conversation, and who holds it."""

    active: NotRequired[str]


@tool
def book_flight(city: str, day: str) -> str:
    """Book a flight."""
    return f"flight to {city} on {day} is booked"


@tool
async def book_hotel(city: str, nights: int) -> str:
    """Book a hotel, or more nights in it."""
    return f"{nights} nights in {city} are booked"


def transfer_to(agent: str) -> BaseTool:
    """Make the tool that hands the conversation over to an agent."""

    @tool(f"transfer_to_{agent}", description=f"Hand over to the {agent} agent.")
    def transfer(runtime: ToolRuntime[None, State]) -> Command[str]:
        told = ToolMessage(f"{agent} takes over", tool_call_id=runtime.tool_call_id or "")
        said = [*runtime.state["messages"], told]
        return Command(goto=agent, graph=Command.PARENT, update={"messages": said, "active": agent})

    return transfer


model = init_chat_model("anthropic:claude-sonnet-4-6")
flight_agent = create_agent(
    model, [book_flight, transfer_to("hotels")], system_prompt="You book flights, nothing else."
)
hotel_agent = create_agent(
    model, [book_hotel, transfer_to("flights")], system_prompt="You book hotels, nothing else."
)


def flights(state: State) -> dict[str, Any]:
    """Talk with the agent for flights."""
    return flight_agent.invoke({"messages": [*state["messages"]]})


async def hotels(state: State) -> dict[str, Any]:
    """Talk with the agent for hotels."""
    return await hotel_agent.ainvoke({"messages": [*state["messages"]]})


def active_agent(state: State) -> str:
    """Go on with the agent that holds the conversation."""
    return state.get("active", "flights")


builder = StateGraph(State)
builder.add_node(flights)
builder.add_node(hotels)
builder.add_conditional_edges(START, active_agent, ["flights", "hotels"])
graph = builder.compile()
