"""A project of plain LangGraph, as `langgraph dev` would run it, and a server for its runs."""

import json
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
import pytest_asyncio
from llmock.pytest_plugin import LLMock

from perdure.testing import DevServer

AGENT = '''
"""Plain LangChain and LangGraph: this file knows nothing of Perdure."""

from langchain.agents import create_agent
from langchain_anthropic import ChatAnthropic
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.graph import START, MessagesState, StateGraph

from desk.notes import note

fast = ChatOpenAI(model="gpt-4o-mini", temperature=0)


@tool
def look_up(order: str) -> str:
    """Look an order up."""
    return f"order {order} was sent"


helper = create_agent(ChatAnthropic(model="claude-sonnet-4-6"), [look_up, note])


def summarize(state: MessagesState):
    return {"messages": [fast.bind(stop=["END"]).invoke(state["messages"])]}


async def check(state: MessagesState):
    return {"messages": [("user", await look_up.ainvoke({"order": "B-2"}))]}


def pipeline():
    graph = StateGraph(MessagesState)
    graph.add_sequence([check, summarize])
    return graph.add_edge(START, "check").compile()
'''
NOTES = '''
"""A tool in a module of its own."""

import os


def note(text: str) -> str:
    """Write something down."""
    return f"noted {text} for {os.environ['CUSTOMER']}"
'''


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def server(tmp_path_factory):
    async with DevServer(data=tmp_path_factory.mktemp("temporal")) as running:
        yield running


Write = Callable[[str, str], Path]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with a `langgraph.json`; its keys and addresses are in `.env`."""

    def write(name: str, text: str) -> None:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text).lstrip(), "utf-8")

    manifest = {
        "dependencies": [".", "langchain-openai"],
        "graphs": {
            "helper": "./helpdesk.py:helper",
            "pipeline": {"path": "./helpdesk.py:pipeline", "description": "Looks up, sums up."},
        },
        "env": ".env",
        "http": {"app": "./web.py:app"},
    }
    write("langgraph.json", json.dumps(manifest))
    write("helpdesk.py", AGENT)
    write("desk/notes.py", NOTES)
    return tmp_path


@pytest.fixture
def keys(project: Path, llmock: LLMock, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What the project's `.env` sets; this process has none of it."""
    values = {**llmock.env(), "CUSTOMER": "Ann"}
    (project / ".env").write_text("".join(f"{k}={v}\n" for k, v in values.items()), "utf-8")
    for name in values:
        monkeypatch.delenv(name, raising=False)
    return values
