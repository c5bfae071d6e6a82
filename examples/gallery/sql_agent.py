"""SQL agent: look at the tables, write a query, check it, run it, answer.

START -> list_tables -> get_schema -> write_query -> (check_query -> run_query -> write_query)*
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from langchain.chat_models import init_chat_model
from langchain_core.messages import AIMessage, SystemMessage, ToolCall
from langchain_core.tools import tool
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode

DATABASE = Path(__file__).parent / "data" / "shop.db"


def select(query: str, *values: str) -> list[tuple[object, ...]]:
    """Read from the database; the connection cannot write."""
    with closing(sqlite3.connect(f"{DATABASE.as_uri()}?mode=ro", uri=True)) as connection:
        return connection.execute(query, values).fetchmany(50)


@tool
def sql_tables() -> str:
    """List the tables of the database."""
    rows = select("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
    return ", ".join(str(name) for (name,) in rows)


@tool
def sql_schema(table: str) -> str:
    """Show how a table is made."""
    rows = select("SELECT sql FROM sqlite_master WHERE name = ?", table)
    return str(rows[0][0]) if rows else f"there is no table {table}"


@tool
def sql_query(query: str) -> str:
    """Run a SELECT; an error comes back as text, for another try."""
    try:
        return str(select(query))
    except sqlite3.Error as error:
        return f"Error: {error}"


model = init_chat_model("anthropic:claude-sonnet-4-6")


async def list_tables(state: MessagesState) -> dict[str, Any]:  # noqa: ARG001
    """Call the first tool without asking a model."""
    call = ToolCall(name="sql_tables", args={}, id="tables", type="tool_call")
    return {"messages": [AIMessage("", tool_calls=[call]), await sql_tables.ainvoke(call)]}


def get_schema(state: MessagesState) -> dict[str, Any]:
    """Let the model say which tables it needs, and show them."""
    asked = model.bind_tools([sql_schema], tool_choice="any").invoke(state["messages"])
    return {"messages": [asked, *sql_schema.batch([*asked.tool_calls])]}


async def write_query(state: MessagesState) -> dict[str, Any]:
    """Write a query, or answer from what the last one brought."""
    system = SystemMessage("You write queries for SQLite. Answer when you have the result.")
    asked = [system, *state["messages"]]
    return {"messages": [await model.bind_tools([sql_query]).ainvoke(asked)]}


def check_query(state: MessagesState) -> dict[str, Any]:
    """Look the query over; the mended one takes its place."""
    last = state["messages"][-1]
    assert isinstance(last, AIMessage)
    prompt = f"Check this query for mistakes and call the tool: {last.tool_calls[0]['args']}"
    checked = model.bind_tools([sql_query], tool_choice="any").invoke(prompt)
    return {"messages": [checked.model_copy(update={"id": last.id})]}


def should_continue(state: MessagesState) -> str:
    """Stop when the model has answered."""
    last = state["messages"][-1]
    return "check_query" if isinstance(last, AIMessage) and last.tool_calls else END


builder = StateGraph(MessagesState)
builder.add_sequence([list_tables, get_schema, write_query])
builder.add_node(check_query)
builder.add_node("run_query", ToolNode([sql_query]))
builder.add_edge(START, "list_tables")
builder.add_conditional_edges("write_query", should_continue, ["check_query", END])
builder.add_edge("check_query", "run_query")
builder.add_edge("run_query", "write_query")
graph = builder.compile()
