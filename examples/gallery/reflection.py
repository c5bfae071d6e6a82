"""Reflection: write, review, write again with the review in hand. With the functional API.

write -> (review -> write)* -> result
"""

from typing import Literal

from langchain_anthropic import ChatAnthropic
from langgraph.func import entrypoint, task
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

ROUNDS = 3


class Review(BaseModel):
    """What an editor says about a text."""

    grade: Literal["good", "not yet"]
    advice: str = Field(default="", description="what to change, if it is not good yet")


class Order(TypedDict):
    """What to write about."""

    topic: str


class Result(TypedDict):
    """The text, and how many times it was written."""

    text: str
    drafts: int


model = ChatAnthropic(model="claude-sonnet-4-6")  # pyright: ignore[reportCallIssue]


@task
def write(topic: str, draft: str = "", advice: str = "") -> str:
    """Write a text, or write it again."""
    prompt = f"Write two sentences about {topic}."
    if draft:
        prompt += f"\nYour draft: {draft}\nThe editor's advice: {advice}"
    return model.invoke(prompt).text


@task
async def review(text: str) -> Review:
    """Let an editor look at the text."""
    prompt = f"You are an editor. Is this text good? It should name a number.\n{text}"
    return Review.model_validate(await model.with_structured_output(Review).ainvoke(prompt))


@entrypoint()
async def reflection(order: Order) -> Result:
    """Write until the editor is content, three times at most."""
    text = await write(order["topic"])
    drafts = 1
    while drafts < ROUNDS:
        found = await review(text)
        if found.grade == "good":
            break
        text = await write(order["topic"], text, found.advice)
        drafts += 1
    return {"text": text, "drafts": drafts}
