"""Supervisor: one model hands the work out, two agents do it.

START -> supervisor -> (researcher | mathematician) -> supervisor -> ... -> END
"""

# pyright: reportUnknownVariableType=false
# LangChain's own signature of `create_agent` is partly unknown.

from typing import Literal

from langchain.agents import create_agent
from langchain.chat_models import init_chat_model
from langchain_core.messages import HumanMessage, SystemMessage
from langchain_core.tools import tool
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import Command
from pydantic import BaseModel, Field

POPULATIONS = {"Norway": 5.6, "Sweden": 10.6, "Denmark": 6.0, "Finland": 5.6}


@tool
async def population(country: str) -> str:
    """Tell how many million people live in a country."""
    return str(POPULATIONS.get(country, "unknown"))


@tool
def add(numbers: list[float]) -> float:
    """Add numbers."""
    return round(sum(numbers), 6)


class Route(BaseModel):
    """Who works next."""

    next: Literal["researcher", "mathematician", "FINISH"] = Field(
        description="researcher: knows facts; mathematician: calculates; FINISH: all is answered"
    )


model = init_chat_model("anthropic:claude-sonnet-4-6")
researcher = create_agent(
    model, [population], system_prompt="You are a researcher. Report facts, do not calculate."
)
mathematician = create_agent(
    model, [add], system_prompt="You are a mathematician. Calculate with what was reported."
)


def supervisor(state: MessagesState) -> Command[str]:
    """Say who works next."""
    system = SystemMessage("You are the supervisor of a researcher and a mathematician.")
    asked = [system, *state["messages"]]
    route = Route.model_validate(model.with_structured_output(Route).invoke(asked))
    nodes = {"researcher": "research", "mathematician": "calculate"}
    return Command(goto=nodes.get(route.next, END))


async def research(state: MessagesState) -> Command[str]:
    """Let the researcher work; only the result goes into the conversation."""
    done = await researcher.ainvoke({"messages": [*state["messages"]]})
    return report("researcher", done["messages"][-1].text)


def calculate(state: MessagesState) -> Command[str]:
    """Let the mathematician work."""
    done = mathematician.invoke({"messages": [*state["messages"]]})
    return report("mathematician", done["messages"][-1].text)


def report(name: str, text: str) -> Command[str]:
    """Tell the supervisor what came of it."""
    message = HumanMessage(f"{name}: {text}", name=name)
    return Command(goto="supervisor", update={"messages": [message]})


builder = StateGraph(MessagesState)
builder.add_node(supervisor, destinations=("research", "calculate", END))
builder.add_node(research, destinations=("supervisor",))
builder.add_node(calculate, destinations=("supervisor",))
builder.add_edge(START, "supervisor")
graph = builder.compile()
