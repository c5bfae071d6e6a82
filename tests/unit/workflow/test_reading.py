"""Where a tool should run, by its code; what it reads of its runtime."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from langchain.tools import ToolRuntime
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.tools import BaseTool, tool
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import interrupt

import perdure
from perdure.workflow.reading import RUNTIME_PARTS, read_from, runs_in_workflow

MODEL = FakeListChatModel(responses=["x"])
GRAPH = StateGraph(MessagesState).add_node("a", lambda s: s).add_edge(START, "a").compile()


def with_plain_model() -> Any:
    def node(state: Any) -> Any:
        return {"messages": [model.invoke("hi")]}

    model = MODEL
    return StateGraph(MessagesState).add_node("a", node).add_edge(START, "a").compile()


@tool
def reads_file(name: str) -> str:
    """Read."""
    return Path(name).read_text()


@tool
def calls_graph(text: str) -> str:
    """Call."""
    return str(GRAPH.invoke({"messages": [text]}))


def helper(text: str) -> str:
    return str(GRAPH.invoke({"messages": [text]}))


@tool
def by_helper(text: str) -> str:
    """Call."""
    return helper(text)


@tool
def in_comprehension(texts: list[str]) -> list[str]:
    """Call."""
    return [str(GRAPH.invoke({"messages": [text]})) for text in texts]


@tool
def plain_model(text: str) -> str:
    """Call."""
    return MODEL.invoke(text).text


@tool
def only_asks(text: str) -> str:
    """Ask."""
    return str(interrupt({"text": text}))


@tool
def asks_and_acts(text: str) -> str:
    """Ask."""
    return httpx.get(interrupt(text)).text


class Holds(BaseTool):
    name: str = "holds"
    description: str = "x"
    graph: Any = None

    def _run(self, text: str) -> str:
        return str(self.graph.invoke({"messages": [text]}))


CASES = [
    (reads_file, False), (calls_graph, True), (by_helper, True), (in_comprehension, True),
    (plain_model, False), (only_asks, True), (asks_and_acts, False), (Holds(graph=GRAPH), True),
    (Holds(graph=with_plain_model()), False),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "inside"), CASES, ids=lambda v: getattr(v, "name", None))
def test_a_tools_code_decides_where_it_runs(kind: BaseTool, inside: bool) -> None:
    assert runs_in_workflow(kind, intercepted=False) is inside


@pytest.mark.parametrize("kind", [plain_model, Holds(graph=with_plain_model())])
def test_plain_models_count_where_they_are_intercepted(kind: BaseTool) -> None:
    assert runs_in_workflow(kind, intercepted=True)


def test_a_twin_is_read_as_the_tool_behind_it(fresh_declarations: None) -> None:
    assert runs_in_workflow(perdure.tool(Holds(graph=GRAPH)), intercepted=False)
    assert not runs_in_workflow(perdure.tool(reads_file), intercepted=False)


@tool
def one_part(runtime: ToolRuntime) -> str:
    """Read."""
    return str(runtime.context) + str(runtime.context)


@tool
def handed_on(runtime: ToolRuntime) -> str:
    """Read."""
    return str(runtime)


@tool
def closed_over(runtime: ToolRuntime) -> list[Any]:
    """Read."""
    return list(map(lambda key: runtime.state[key], ["a"]))  # noqa: C417


@pytest.mark.parametrize(
    ("kind", "parts"),
    [
        (one_part, frozenset({"context"})),
        (handed_on, RUNTIME_PARTS),
        (closed_over, RUNTIME_PARTS),
    ],
    ids=lambda v: getattr(v, "name", ""),
)
def test_what_a_tool_reads_of_its_runtime(kind: BaseTool, parts: frozenset[str]) -> None:
    assert read_from(kind, "runtime") == parts
