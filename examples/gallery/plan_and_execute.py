"""Plan and execute: make a plan, do one step after the other, plan again after each.

START -> plan -> (execute -> replan)* -> END
"""

# pyright: reportUnknownVariableType=false
# LangChain's own signature of `create_agent` is partly unknown.

import operator
from typing import Annotated, Any

from langchain.agents import create_agent
from langchain.chat_models import init_chat_model
from langchain_core.tools import tool
from langgraph.graph import END, START, StateGraph
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

HEIGHTS = {"Eiffel Tower": 330, "Atomium": 102, "Big Ben": 96}


@tool
def height(building: str) -> str:
    """Tell the height of a building in metres."""
    return str(HEIGHTS.get(building, "unknown"))


@tool
async def difference(a: float, b: float) -> float:
    """Subtract b from a."""
    return a - b


class Plan(BaseModel):
    """What is to be done, in order."""

    steps: list[str]


class Replan(BaseModel):
    """What is left to be done, or the answer."""

    steps: list[str] = Field(description="what is left; empty when there is an answer")
    answer: str = Field(default="", description="the answer to the whole task, if it is known")


class State(TypedDict):
    """The task, the plan, and what was done."""

    task: str
    steps: list[str]
    done: Annotated[list[tuple[str, str]], operator.add]
    answer: str


model = init_chat_model("anthropic:claude-sonnet-4-6")
worker = create_agent(model, [height, difference], system_prompt="You do one step of a plan.")


def plan(state: State) -> dict[str, Any]:
    """Make the first plan."""
    prompt = f"Make a plan of simple steps for this task: {state['task']}"
    made = Plan.model_validate(model.with_structured_output(Plan).invoke(prompt))
    return {"steps": made.steps}


async def execute(state: State) -> dict[str, Any]:
    """Do the first step that is left."""
    step = state["steps"][0]
    prompt = f"Done so far:\n{report(state)}\n\nNow do this step: {step}"
    result = await worker.ainvoke({"messages": [{"role": "user", "content": prompt}]})
    return {"done": [(step, result["messages"][-1].text)]}


async def replan(state: State) -> dict[str, Any]:
    """Look at what was found, and decide what is left."""
    prompt = f"Task: {state['task']}\nPlan: {state['steps']}\nDone so far:\n{report(state)}"
    new = Replan.model_validate(await model.with_structured_output(Replan).ainvoke(prompt))
    return {"steps": new.steps, "answer": new.answer}


def report(state: State) -> str:
    """Write down what was done."""
    return "\n".join(f"- {step}: {result}" for step, result in state["done"])


def is_done(state: State) -> str:
    """Stop when there is an answer, or nothing is left."""
    return END if state["answer"] or not state["steps"] else "execute"


builder = StateGraph(State)
builder.add_sequence([plan, execute, replan])
builder.add_edge(START, "plan")
builder.add_conditional_edges("replan", is_done, ["execute", END])
graph = builder.compile()
