"""Map and reduce: find subjects, write about each of them in parallel, pick the best.

START -> find_subjects -> write_joke (one for each subject) -> pick_best -> END
"""

import operator
from typing import Annotated, Any

from langchain_anthropic import ChatAnthropic
from langgraph.graph import END, START, StateGraph
from langgraph.types import Send
from pydantic import BaseModel
from typing_extensions import TypedDict


class Subjects(BaseModel):
    """Things to joke about."""

    subjects: list[str]


class Best(BaseModel):
    """Which joke is the best one."""

    number: int


class State(TypedDict):
    """What the whole graph works on."""

    topic: str
    subjects: list[str]
    jokes: Annotated[list[str], operator.add]
    best: str


class Subject(TypedDict):
    """What one branch works on."""

    subject: str


model = ChatAnthropic(model="claude-sonnet-4-6")  # pyright: ignore[reportCallIssue]


def find_subjects(state: State) -> dict[str, Any]:
    """Split the topic up."""
    prompt = f"Name three things to joke about that have to do with: {state['topic']}"
    found = Subjects.model_validate(model.with_structured_output(Subjects).invoke(prompt))
    return {"subjects": found.subjects}


async def write_joke(state: Subject) -> dict[str, Any]:
    """Write about one subject; one such node runs for each."""
    joke = await model.ainvoke(f"Tell a joke of one sentence about {state['subject']}.")
    return {"jokes": [joke.text]}


def pick_best(state: State) -> dict[str, Any]:
    """Choose among all jokes."""
    listed = "\n".join(f"{number}. {joke}" for number, joke in enumerate(state["jokes"], 1))
    prompt = f"Which joke is the best one?\n{listed}"
    best = Best.model_validate(model.with_structured_output(Best).invoke(prompt))
    return {"best": state["jokes"][best.number - 1]}


def send_to_writers(state: State) -> list[Send]:
    """Start a branch for each subject."""
    return [Send("write_joke", {"subject": subject}) for subject in state["subjects"]]


builder = StateGraph(State)
builder.add_node(find_subjects)
builder.add_node(write_joke)
builder.add_node(pick_best)
builder.add_edge(START, "find_subjects")
builder.add_conditional_edges("find_subjects", send_to_writers, ["write_joke"])
builder.add_edge("write_joke", "pick_best")
builder.add_edge("pick_best", END)
graph = builder.compile()
