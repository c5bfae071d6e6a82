"""Loading the graphs of a `langgraph.json`."""

import json
import os
import sys

import pytest

from perdure.errors import AppFailed, NotAGraph
from perdure.worker.projects import open_app

GRAPH = """
from typing import TypedDict
from langgraph.graph import START, StateGraph
from langgraph.func import entrypoint


class State(TypedDict):
    text: str


def node(state):
    return {{"text": "{said}"}}


builder = StateGraph(State).add_node(node).add_edge(START, "node")
compiled = builder.compile()


@entrypoint()
def functional(value):
    return value


def nothing():
    return builder


def asks_config(config):
    assert config["configurable"] == {{}}
    return compiled


async def later(runtime):
    return compiled


class Opened:
    def __enter__(self):
        return compiled

    def __exit__(self, *_):
        pass


def opened():
    return Opened()


def asks_much(first, second):
    return compiled


def letters(texts):
    return [[text.count("a"), text.count("b")] for text in texts]


number = 7
"""


@pytest.fixture(autouse=True)
def clean_imports(monkeypatch, tmp_path):
    before = set(sys.modules)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


@pytest.fixture
def adopt(tmp_path):
    def load(spec="./adopted.py:compiled", environment=None, **data):
        file = tmp_path / "langgraph.json"
        graphs = spec if isinstance(spec, dict) else {"agent": spec}
        file.write_text(json.dumps({"graphs": graphs, **data}))
        made = tmp_path / "adopted.py"
        if not made.exists():
            made.write_text(GRAPH.format(said="done"))
        return open_app(str(file), environment={} if environment is None else environment)[0]

    return load


@pytest.mark.parametrize(
    "variable", ["builder", "compiled", "functional", "nothing", "asks_config", "later"]
)
def test_what_a_variable_may_hold(adopt, variable):
    agents = adopt(f"./adopted.py:{variable}")
    assert agents.graph("agent").nodes


async def test_an_async_factory_works_while_a_loop_is_running(adopt):
    assert adopt("./adopted.py:later").graph("agent").nodes


def test_a_module_of_the_folder_can_be_named(adopt):
    assert adopt("adopted:compiled").names == ["agent"]


def test_plain_models_and_tools_are_intercepted(adopt):
    assert adopt().intercept


def test_a_missing_variable_is_told_with_the_graphs_that_are_there(adopt):
    with pytest.raises(AppFailed, match=r"graphs\.agent: .* has no 'graph'; it has builder, co"):
        adopt("./adopted.py:graph")


def test_a_variable_that_is_no_graph_is_told_when_it_is_built(adopt):
    agents = adopt("./adopted.py:number")
    with pytest.raises(NotAGraph, match="agent 'agent' is a int"):
        agents.build()


def test_a_context_manager_is_refused_with_the_reason(adopt):
    with pytest.raises(NotAGraph, match="is a context manager"):
        adopt("./adopted.py:opened").build()


def test_a_factory_that_asks_for_more_is_refused(adopt):
    with pytest.raises(NotAGraph, match="asks for second"):
        adopt("./adopted.py:asks_much").build()


def test_two_files_of_one_name_are_two_modules(adopt, tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "graph_file.py").write_text(GRAPH.format(said=name))
    agents = adopt({n: f"./{n}/graph_file.py:compiled" for n in ("one", "two")})
    said = [agents.graph(name).invoke({"text": ""})["text"] for name in ("one", "two")]
    assert said == ["one", "two"]


def test_a_file_of_a_package_may_import_its_neighbours(adopt, tmp_path):
    folder = tmp_path / "src" / "adopted_pkg"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "words.py").write_text("SAID = 'near'\n")
    text = GRAPH.format(said="done") + "\nfrom .words import SAID\n"
    (folder / "graph.py").write_text(text)
    assert adopt("./src/adopted_pkg/graph.py:compiled").names == ["agent"]


def test_a_module_that_raises_shows_where(adopt, tmp_path):
    (tmp_path / "raising.py").write_text("value = 1 / 0\n")
    with pytest.raises(AppFailed, match=r"graphs\.agent of .*ZeroDivisionError") as told:
        adopt("./raising.py:graph")
    assert 'raising.py", line 1' in str(told.value)


def test_the_env_is_put_into_the_environment(adopt):
    environment = {"KEPT": "mine"}
    adopt(environment=environment, env={"KEPT": "theirs", "NEW": "1"})
    assert environment == {"KEPT": "mine", "NEW": "1"}


def test_an_app_beside_the_file_goes_first(adopt, tmp_path):
    (tmp_path / "app.py").write_text("import perdure\nagents = perdure.Agents()\n")
    adopt()
    assert open_app(str(tmp_path), environment=dict(os.environ))[0].names == []


async def test_the_store_of_a_project_searches_by_meaning(adopt, tmp_path):
    index = {"embed": "./adopted.py:letters", "dims": 2, "fields": ["t"]}
    agents = adopt(store={"index": index})
    agents.places.change(data=tmp_path)
    async with agents.places.serving():
        store = await agents.places.store()
        for text in ("bbb", "aab"):
            await store.aput(("n",), text, {"t": text})
        found = await store.asearch(("n",), query="aaa")
    assert [item.key for item in found] == ["aab", "bbb"]


def test_every_graph_of_a_project_is_given_the_store(adopt):
    assert adopt().remembers


def test_what_makes_vectors_must_be_there(adopt):
    with pytest.raises(AppFailed, match=r"store\.index\.embed: .* has no 'none'"):
        adopt(store={"index": {"embed": "./adopted.py:none", "dims": 2}})


def test_an_unknown_provider_of_vectors_is_named(adopt):
    with pytest.raises(AppFailed, match=r"store\.index\.embed: .*nobody"):
        adopt(store={"index": {"embed": "nobody:model", "dims": 2}})
