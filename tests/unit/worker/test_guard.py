import json
import logging
import sys
from types import FunctionType, SimpleNamespace

import pytest
from langchain_core.runnables.config import var_child_runnable_config

from perdure.errors import ImpureNode
from perdure.worker import guard


@pytest.fixture
def inside(monkeypatch):
    """Pretend to be in a workflow, for the guard alone, which is never installed here."""
    monkeypatch.setattr(guard, "workflow", SimpleNamespace(in_workflow=lambda: True))
    monkeypatch.setattr(guard, "_state", {"installed": True, "warn_only": False})


def called_from(module: str, file: str, event: str = "open", *args: object) -> None:
    """Raise an audit event from a function of another module."""
    names = {"__name__": module, "hook": guard._hook, "event": event, "args": args}
    code = compile("hook(event, args)", file, "exec")
    FunctionType(code, names)()


@pytest.mark.parametrize("event", sorted(guard.WATCHED))
def test_what_touches_the_world_is_refused(inside, event):
    with pytest.raises(ImpureNode, match=event):
        guard._hook(event, ("x",))


@pytest.mark.parametrize("event", ["import", "exec", "compile", "object.__getattr__", "os.putenv"])
def test_other_events_pass(inside, event):
    guard._hook(event, ("x",))


@pytest.mark.parametrize("event", sorted(guard.WATCHED))
def test_outside_of_a_workflow_everything_passes(event):
    guard._hook(event, ("x",))


def test_a_file_that_is_open_already_passes(inside):
    guard._hook("open", (3, "r", 0))


@pytest.mark.parametrize("args", [(), ("x",), (None,), (b"\xff", 1, 2), ("x" * 10_000,)], ids=repr)
def test_any_arguments_are_told_in_short(inside, args):
    with pytest.raises(ImpureNode) as caught:
        guard._hook("open", args)

    assert len(str(caught.value)) < 600


def test_the_refusal_names_the_place_in_the_app(inside):
    with pytest.raises(ImpureNode, match=r"test_guard\.py:\d+\. Nodes run inside the workflow"):
        guard._hook("open", ("x",))


def test_the_refusal_names_the_mend(inside):
    with pytest.raises(ImpureNode, match=r"do I/O in a tool: perdure\.tool\(\.\.\.\)"):
        guard._hook("open", ("x",))


@pytest.mark.parametrize(
    ("config", "who"),
    [
        ({"metadata": {"langgraph_node": "plan"}}, "node 'plan' did"),
        ({"metadata": {}}, "workflow code did"),
        ({"metadata": None}, "workflow code did"),
        ({}, "workflow code did"),
        (None, "workflow code did"),
    ],
    ids=str,
)
def test_the_refusal_names_the_node(inside, config, who):
    token = var_child_runnable_config.set(config)
    try:
        with pytest.raises(ImpureNode, match=who):
            guard._hook("open", ("x",))
    finally:
        var_child_runnable_config.reset(token)


@pytest.mark.parametrize(
    "module",
    [
        "importlib._bootstrap_external",
        "_frozen_importlib_external",
        "linecache",
        "traceback",
        "logging.handlers",
        "warnings",
        "langgraph.pregel.main",
        "langchain_core.tracers",
        "temporalio.worker",
        "pydantic.main",
        "jsonschema_specifications",
        "perdure.workflow.graphs",
        "asyncio",
        "asyncio.base_events",
    ],
)
def test_a_library_may_read_its_own_files(inside, module):
    called_from(module, json.__file__, "open", "x")


def test_a_library_that_the_app_calls_is_blamed_on_the_app(inside):
    with pytest.raises(ImpureNode, match=r"test_guard\.py"):
        called_from("json.decoder", json.__file__, "open", "x")


@pytest.mark.parametrize("module", ["asyncio_helpers", "perdured", "loggings", "my.asyncio"])
def test_a_name_that_only_looks_like_a_library_is_the_apps(inside, module):
    with pytest.raises(ImpureNode, match=r"/app/nodes\.py:1"):
        called_from(module, "/app/nodes.py", "open", "x")


def test_with_warn_only_the_call_goes_on(inside, monkeypatch, caplog):
    monkeypatch.setitem(guard._state, "warn_only", True)
    with caplog.at_level(logging.WARNING, logger="perdure.guard"):
        guard._hook("socket.connect", ("x",))

    assert "did socket.connect('x')" in caplog.text


def test_the_hook_is_added_once(monkeypatch):
    added = []
    monkeypatch.setattr(guard, "_state", {"installed": False, "warn_only": False})
    monkeypatch.setattr(guard.sys, "addaudithook", added.append)
    guard.install()
    guard.install()

    assert added == [guard._hook]


@pytest.mark.parametrize("warn_only", [True, False])
def test_the_last_install_says_what_happens(monkeypatch, warn_only):
    monkeypatch.setattr(guard, "_state", {"installed": True, "warn_only": not warn_only})
    guard.install(warn_only=warn_only)

    assert guard._state["warn_only"] is warn_only


def test_only_events_that_python_raises_are_watched():
    """A misspelt name would watch nothing."""
    seen = {"open", "os.listdir", "os.scandir", "os.remove", "os.rename", "os.mkdir"}

    assert seen <= guard.WATCHED
    assert sys.version_info >= (3, 11)
