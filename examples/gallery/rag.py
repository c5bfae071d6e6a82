"""RAG with grading: search, look whether that helps, else ask in other words and search again.

START -> ask -> search -> (answer | rewrite -> ask) -> END
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from langchain.chat_models import init_chat_model
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.tools import tool
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from pydantic import BaseModel

HANDBOOK = Path(__file__).parent / "handbook"
REWRITES = 2


@tool
def search_handbook(query: str) -> str:
    """Search the employees' handbook for words; returns the two best pages."""
    words = " OR ".join(f'"{word}"' for word in query.replace('"', " ").split())
    with closing(sqlite3.connect(":memory:")) as index:
        index.execute("CREATE VIRTUAL TABLE pages USING fts5(text, tokenize = 'porter')")
        pages = [(page.read_text("utf-8"),) for page in sorted(HANDBOOK.glob("*.md"))]
        index.executemany("INSERT INTO pages VALUES (?)", pages)
        best = "SELECT text FROM pages WHERE pages MATCH ? ORDER BY bm25(pages) LIMIT 2"
        found = [text for (text,) in index.execute(best, (words or '""',))]
    return "\n\n".join(found) or "nothing found"


class Grade(BaseModel):
    """Whether the pages help to answer the question."""

    relevant: bool


model = init_chat_model("anthropic:claude-sonnet-4-6")


def ask(state: MessagesState) -> dict[str, Any]:
    """Answer straight away, or ask for a search."""
    return {"messages": [model.bind_tools([search_handbook]).invoke(state["messages"])]}


async def grade(state: MessagesState) -> str:
    """Judge what the search brought: a router that calls a model."""
    asked = questions(state)
    prompt = f"Do these pages answer the question: {asked[0]}\n\n{state['messages'][-1].text}"
    found = Grade.model_validate(await model.with_structured_output(Grade).ainvoke(prompt))
    return "answer" if found.relevant or len(asked) > REWRITES else "rewrite"


def rewrite(state: MessagesState) -> dict[str, Any]:
    """Put the question in other words."""
    prompt = f"Put this question in the words of a handbook: {questions(state)[0]}"
    return {"messages": [HumanMessage(model.invoke(prompt).text)]}


async def answer(state: MessagesState) -> dict[str, Any]:
    """Answer from the pages."""
    pages = state["messages"][-1].text
    prompt = f"Answer from these pages only: {questions(state)[0]}\n\n{pages}"
    return {"messages": [await model.ainvoke(prompt)]}


def questions(state: MessagesState) -> list[str]:
    """List the question, then its rewritings: what was asked since the last answer."""
    asked: list[str] = []
    for one in state["messages"]:
        if isinstance(one, AIMessage) and not one.tool_calls:
            asked = []
        elif isinstance(one, HumanMessage):
            asked.append(one.text)
    return asked


builder = StateGraph(MessagesState)
builder.add_node(ask)
builder.add_node("search", ToolNode([search_handbook]))
builder.add_node(rewrite)
builder.add_node(answer)
builder.add_edge(START, "ask")
builder.add_conditional_edges("ask", tools_condition, {"tools": "search", END: END})
builder.add_conditional_edges("search", grade, ["answer", "rewrite"])
builder.add_edge("rewrite", "ask")
builder.add_edge("answer", END)
graph = builder.compile()
