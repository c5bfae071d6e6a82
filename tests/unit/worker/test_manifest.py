"""Reading a `langgraph.json`."""

import json
import platform

import pytest

from perdure.errors import AppFailed
from perdure.worker.manifest import find_manifest, read_manifest

GRAPHS = {"agent": "./agent.py:graph"}


@pytest.fixture
def read(tmp_path):
    (tmp_path / "agent.py").write_text("graph = None\n")

    def keep(around=None, **data):
        file = tmp_path / "langgraph.json"
        file.write_text(json.dumps({"graphs": GRAPHS, **data}))
        return read_manifest(file, around=around or {})

    return keep


def test_a_graph_in_a_file_is_found(read, tmp_path):
    (graph,) = read().graphs
    assert (graph.name, graph.place, graph.variable) == (
        "agent",
        str(tmp_path / "agent.py"),
        "graph",
    )


def test_a_graph_in_a_module_is_taken_as_it_is(read):
    (graph,) = read(graphs={"a": "my.shop:graph"}).graphs
    assert (graph.place, graph.variable) == ("my.shop", "graph")


def test_a_graph_may_have_a_description(read):
    (graph,) = read(graphs={"a": {"path": "./agent.py:graph", "description": "x"}}).graphs
    assert graph.variable == "graph"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("./agent.py", "write ./file.py:variable or module:variable"),
        ("./nothing.py:graph", "there is no file"),
        ("./agent.ts:graph", "only Python graphs can run"),
        ("my shop:graph", "is neither a file (.py) nor a module"),
        (7, "write ./file.py:variable or module:variable"),
    ],
)
def test_a_wrong_graph_is_told_with_file_key_and_value(read, tmp_path, value, words):
    with pytest.raises(AppFailed) as told:
        read(graphs={"agent": value})
    for part in (f"{tmp_path}/langgraph.json", "graphs.agent", json.dumps(value), words):
        assert part in str(told.value)


def test_a_file_without_graphs_is_refused(read):
    with pytest.raises(AppFailed, match=r"graphs is \{\}: name them"):
        read(graphs={})


def test_what_is_no_json_is_refused(tmp_path):
    file = tmp_path / "langgraph.json"
    file.write_text("{")
    with pytest.raises(AppFailed, match="is no JSON"):
        read_manifest(file, around={})


def test_an_env_file_is_read(read, tmp_path):
    (tmp_path / ".env").write_text("KEY=value\n")
    assert read(env=".env").env == {"KEY": "value"}


def test_an_env_object_is_taken(read):
    assert read(env={"KEY": "value", "COUNT": 3}).env == {"KEY": "value", "COUNT": "3"}


def test_an_env_file_that_is_not_there_is_told(read):
    with pytest.raises(AppFailed, match=r'env is "\.env": .* cannot be read'):
        read(env=".env")


def test_a_wrong_line_of_an_env_file_is_told_without_its_text(read, tmp_path):
    (tmp_path / ".env").write_text("A=1\nsk-secret\n")
    with pytest.raises(AppFailed, match="line 2: expected NAME=value") as told:
        read(env=".env")
    assert "sk-secret" not in str(told.value)


def test_folders_of_dependencies_are_importable(read, tmp_path):
    (tmp_path / "lib").mkdir()
    assert read(dependencies=[".", "./lib"]).folders == (tmp_path, tmp_path / "lib")


def test_a_folder_that_is_not_there_is_told(read):
    with pytest.raises(AppFailed, match=r'dependencies\[0\] is "\./lib": there is no folder'):
        read(dependencies=["./lib"])


def test_a_package_that_is_installed_passes(read, tmp_path):
    assert read(dependencies=["langchain_core>=1"]).folders == (tmp_path,)


def test_a_package_that_is_not_installed_is_told_with_the_command(read):
    with pytest.raises(AppFailed, match="pip install 'no-such-package>=2'"):
        read(dependencies=["no-such-package>=2"])


def test_a_package_of_another_version_is_told(read):
    with pytest.raises(AppFailed, match=r"is installed: pip install 'langchain-core>=99'"):
        read(dependencies=["langchain-core>=99"])


@pytest.mark.parametrize("key", ["checkpointer", "auth", "http", "ui", "node_version", "novelty"])
def test_what_has_no_effect_is_told(read, key):
    (warning,) = read(**{key: {"path": "./x.py:x"}}).warnings
    assert warning.startswith(f"langgraph.json: {key} has no effect: ")


def test_another_python_version_is_told(read):
    (warning,) = read(python_version="3.1").warnings
    assert "python_version is 3.1" in warning


def test_the_own_python_version_is_not_told(read):
    assert read(python_version=platform.python_version()).warnings == ()


def test_a_store_of_the_projects_own_is_kept(read, tmp_path):
    found = read(store={"path": "./agent.py:graph"}).store.path
    assert (found.place, found.variable) == (f"{tmp_path}/agent.py", "graph")


def test_the_index_of_the_store_is_kept(read, tmp_path):
    index = read(
        store={"index": {"embed": "./agent.py:embed", "dims": 3, "fields": ["a"]}}
    ).store.index
    assert (index.embed.place, index.embed.variable) == (f"{tmp_path}/agent.py", "embed")
    assert (index.dims, index.fields) == (3, ("a",))


def test_an_index_may_name_a_providers_model(read):
    index = read(store={"index": {"embed": "openai:text-embedding-3-small", "dims": 9}}).store.index
    assert (index.embed, index.fields) == ("openai:text-embedding-3-small", None)


def test_the_time_to_live_of_the_store_is_kept(read):
    ttl = {"default_ttl": 60, "refresh_on_read": False, "sweep_interval_minutes": None}
    assert read(store={"ttl": ttl}).store.ttl == {"default_ttl": 60, "refresh_on_read": False}


@pytest.mark.parametrize(
    ("store", "key"),
    [
        ({"index": []}, "store.index"),
        ({"index": {"dims": 3}}, "store.index.embed"),
        ({"index": {"embed": "./agent.py:e"}}, "store.index.dims"),
        ({"index": {"embed": "./none.py:e", "dims": 3}}, "store.index.embed"),
        ({"index": {"embed": "./agent.py:e", "dims": 3, "fields": "a"}}, "store.index.fields"),
        ({"ttl": 60}, "store.ttl"),
        ({"ttl": {"default_ttl": "1h"}}, "store.ttl.default_ttl"),
        ({"ttl": {"refresh_on_read": 1}}, "store.ttl.refresh_on_read"),
        ({"ttl": {"other": 1}}, "store.ttl.other"),
    ],
)
def test_a_wrong_setting_of_the_store_is_named(read, store, key):
    with pytest.raises(AppFailed, match=rf"{key} is "):
        read(store=store)


def test_an_index_beside_a_store_of_ones_own_has_no_effect(read):
    (warning,) = read(store={"path": "./agent.py:graph", "index": {"dims": 3}}).warnings
    assert "store.index has no effect" in warning


def test_a_folder_without_the_file_has_no_manifest(tmp_path):
    assert find_manifest(tmp_path) is None
