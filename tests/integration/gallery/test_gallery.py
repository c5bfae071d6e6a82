"""Each shape of the gallery does in runs what it does on plain LangGraph."""

import ast
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from temporalio.worker import Worker

from integration.gallery.shapes import CALLS, GALLERY, SHAPES, Turn, turns_of
from integration.gallery.stage import Asked, Show, Stage
from perdure.client import Client
from perdure.testing.replay import assert_run_replays
from perdure.worker.agents import Agents
from perdure.worker.plugin import Plugin

FILES = sorted(GALLERY.glob("*.py"))


@pytest.mark.parametrize("shape", SHAPES)
async def test_the_outputs_are_those_of_plain_langgraph(
    shape: str, show: Show, plain: dict[str, list[Any]]
):
    assert show.shapes[shape].outputs == plain[shape]


@pytest.mark.parametrize("shape", SHAPES)
async def test_each_call_of_a_model_or_a_tool_is_an_activity(shape: str, show: Show, stage: Stage):
    assert await stage.calls(show.shapes[shape].runs, "model", "tool") == CALLS[shape]


@pytest.mark.usefixtures("plain")
def test_the_model_is_asked_the_same_and_as_often_as_by_plain_langgraph(
    show: Show, asked_plainly: Asked
):
    assert show.prompts == asked_plainly.count


@pytest.mark.parametrize("shape", SHAPES)
async def test_the_histories_replay(shape: str, show: Show, agents: Agents, client: Client):
    for run in show.shapes[shape].runs:
        await assert_run_replays(agents, client.temporal, run)


async def test_reads_and_writes_of_the_store_are_activities(show: Show, stage: Stage):
    calls = await stage.calls(show.shapes["memory"].runs, "activity")
    assert calls["perdure.store"] == 1 + len(turns_of("memory"))  # one is written, all search


@pytest.mark.parametrize(
    ("shape", "questions", "last"),
    [
        (
            "react",
            ("Is Oslo warmer than Cairo?", "And what about Perth?"),
            "It is 24 degrees in Perth.",
        ),
        (
            "rag",
            ("What do I get when I am ill?", "How many days of holiday are there?"),
            "Everybody has 28 days of holiday a year.",
        ),
        (
            "sql_agent",
            ("Which customer spent the most?", "How many products are there?"),
            "The database says: 3.",
        ),
        (
            "supervisor",
            ("How many people live in Norway and Sweden together?", "How many live in Finland?"),
            "researcher: Finland: 5.6 million",
        ),
    ],
)
async def test_the_next_question_of_a_conversation_is_answered_for_itself(
    stage: Stage, shape: str, questions: tuple[str, ...], last: str
):
    turns = [Turn(shape=shape, input={"messages": [["user", q]]}, thread=shape) for q in questions]
    for turn in turns:
        output: Any = await (await stage.start(turn)).result()
    assert output["messages"][-1]["content"] == last


@pytest.fixture
def folder(asked: Asked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to run a worker of this process in."""
    monkeypatch.chdir(tmp_path)
    for name, value in asked.server.environment.items():
        monkeypatch.setenv(name, value)
    return tmp_path


async def test_all_shapes_run_where_no_run_is_kept_in_memory(
    plain: dict[str, list[Any]], agents: Agents, client: Client, folder: Path
):
    agents.places.change(data=folder)
    stage = Stage(client=client, queue="gallery-uncached", codec=agents.codec)
    worker = Worker(
        client.temporal,
        task_queue=stage.queue,
        plugins=[Plugin(agents)],
        max_cached_workflows=0,
    )
    async with worker:
        played = await stage.play()
    assert {shape: one.outputs for shape, one in played.items()} == plain


def test_there_are_ten_shapes_and_each_file_is_one():
    assert len(SHAPES) == 10
    assert [file.stem for file in FILES] == sorted(SHAPES)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_readme_shows_how_to_run_it(shape: str):
    assert turns_of(shape)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_no_file_knows_of_perdure(file: Path):
    assert "perdure" not in file.read_text("utf-8").lower()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_each_shape_has_sync_and_async_nodes(file: Path, agents: Agents):
    functions = [
        node
        for node in ast.parse(file.read_text("utf-8")).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    names = nodes_of(agents, file.stem)
    kinds = {type(one) for one in functions if one.name in names or is_task(one)}
    assert kinds == {ast.FunctionDef, ast.AsyncFunctionDef}


def is_task(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any(isinstance(one, ast.Name) and one.id == "task" for one in function.decorator_list)


def nodes_of(agents: Agents, shape: str) -> set[str]:
    """Name the nodes of a graph and its routers; an entrypoint has none."""
    builder: Any = getattr(agents.graph(shape), "builder", None)
    if builder is None:
        return set()
    return {*builder.nodes, *(name for routers in builder.branches.values() for name in routers)}


def test_the_database_is_what_its_sql_says():
    def dump(connection: sqlite3.Connection) -> list[str]:
        return list(connection.iterdump())

    with (
        closing(
            sqlite3.connect(f"{(GALLERY / 'data/shop.db').as_uri()}?mode=ro", uri=True)
        ) as kept,
        closing(sqlite3.connect(":memory:")) as made,
    ):
        made.executescript((GALLERY / "data/shop.sql").read_text("utf-8"))
        assert dump(kept) == dump(made)


def test_the_sql_tools_cannot_write(agents: Agents):
    node: Any = agents.graph("sql_agent").nodes["run_query"].bound
    told = node.tools_by_name["sql_query"].invoke({"query": "DELETE FROM orders"})
    assert told == "Error: attempt to write a readonly database"


def test_langgraph_json_has_nothing_that_only_perdure_reads():
    data = json.loads((GALLERY / "langgraph.json").read_text("utf-8"))
    assert data.keys() <= {"$schema", "dependencies", "graphs"}
