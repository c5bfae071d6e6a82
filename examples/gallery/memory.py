"""Many turns with memory: a thread holds one conversation, the store what is known of the user.

    START -> remember -> answer -> END

What was said is remembered on the same thread. What the user is like is remembered on all of
them.
"""

from dataclasses import dataclass
from typing import Any

from langchain.chat_models import init_chat_model
from langchain_core.messages import SystemMessage
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.runtime import Runtime
from langgraph.store.base import BaseStore
from pydantic import BaseModel


@dataclass
class Context:
    """Who is talking."""

    user: str = "ann"


class Facts(BaseModel):
    """Lasting facts about the user in a message; often none."""

    facts: list[str]


model = init_chat_model("anthropic:claude-sonnet-4-6")


def place(runtime: Runtime[Context]) -> tuple[BaseStore, tuple[str, str]]:
    """Return the store, and where in it the facts of this user are."""
    assert runtime.store is not None
    user = (runtime.context or Context()).user
    return runtime.store, (user, "facts")


def remember(state: MessagesState, runtime: Runtime[Context]) -> None:
    """Write down what the last message tells about the user."""
    store, facts = place(runtime)
    prompt = f"Find lasting facts about the user in: {state['messages'][-1].text}"
    found = Facts.model_validate(model.with_structured_output(Facts).invoke(prompt))
    for fact in found.facts:
        store.put(facts, fact.lower(), {"fact": fact})


async def answer(state: MessagesState, runtime: Runtime[Context]) -> dict[str, Any]:
    """Answer with all that is known."""
    store, facts = place(runtime)
    known = [item.value["fact"] for item in await store.asearch(facts)]
    system = SystemMessage(f"You are a helpful friend. You know of the user: {sorted(known)}")
    return {"messages": [await model.ainvoke([system, *state["messages"]])]}


builder = StateGraph(MessagesState, context_schema=Context)
builder.add_node(remember)
builder.add_node(answer)
builder.add_edge(START, "remember")
builder.add_edge("remember", "answer")
builder.add_edge("answer", END)
graph = builder.compile()
