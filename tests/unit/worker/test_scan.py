# ruff: noqa: S311 - chance for its own sake
import asyncio
import datetime as dt
import functools
import json
import logging
import os
import random
import secrets
import sys
import time
import types
import uuid
from datetime import datetime
from os import urandom
from random import choice
from time import sleep as doze
from time import time as now
from typing import TypedDict
from unittest.mock import MagicMock
from uuid import uuid4

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware, before_model
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.runnables import RunnableLambda
from langgraph.constants import END, START
from langgraph.func import entrypoint
from langgraph.graph import StateGraph

import perdure
from perdure.errors import ImpureNode
from perdure.worker.scan import scan, scan_graph

moment = datetime.now


class State(TypedDict):
    said: str


def graph_of(*nodes: object, name: str = "node"):
    graph = StateGraph(State)
    for number, node in enumerate(nodes):
        graph.add_node(f"{name}{number or ''}", node)
        graph.add_edge(START, f"{name}{number or ''}")
    return graph.compile()


def found(*nodes: object) -> list[str]:
    return [finding.call for finding in scan_graph("agent", graph_of(*nodes))]


def impure(state):
    return {"said": str(time.time())}


def pure(state):
    return {"said": json.dumps(state) + str(uuid.uuid4()) + str(dt.timedelta(1))}


# What is found


@pytest.mark.parametrize(
    ("node", "call"),
    [
        (lambda _: time.time(), "time.time"),
        (lambda _: time.time_ns(), "time.time_ns"),
        (lambda _: time.monotonic(), "time.monotonic"),
        (lambda _: time.monotonic_ns(), "time.monotonic_ns"),
        (lambda _: time.perf_counter(), "time.perf_counter"),
        (lambda _: doze(1), "time.sleep"),
        (lambda _: now(), "time.time"),
        (lambda _: datetime.now(), "datetime.datetime.now"),  # noqa: DTZ005
        (lambda _: datetime.utcnow(), "datetime.datetime.utcnow"),  # noqa: DTZ003
        (lambda _: dt.datetime.now(), "datetime.datetime.now"),  # noqa: DTZ005
        (lambda _: dt.date.today(), "datetime.date.today"),  # noqa: DTZ011
        (lambda _: moment(), "datetime.datetime.now"),
        (lambda _: random.random(), "random.random"),
        (lambda _: random.choice("ab"), "random.choice"),
        (lambda _: choice("ab"), "random.choice"),
        (lambda _: random.randbytes(1), "random.randbytes"),
        (lambda _: secrets.token_hex(), "secrets.token_hex"),
        (lambda _: os.urandom(1), "os.urandom"),
        (lambda _: urandom(1), "os.urandom"),
        (lambda _: uuid.uuid1(), "uuid.uuid1"),
        (lambda _: uuid4(), "uuid.uuid4"),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_a_forbidden_call_is_found(node, call):
    assert found(node) == [call]


@pytest.mark.parametrize(
    "node",
    [
        pure,
        lambda _: datetime(2026, 1, 1),  # noqa: DTZ001
        lambda _: datetime.fromisoformat("2026-01-01"),
        lambda _: time.strftime("%Y", (2026,) * 9),
        lambda _: random.Random(7),
        lambda _: uuid.uuid4(),
        lambda _: os.path.join("a", "b"),  # noqa: PTH118
        lambda state: state["time"],
        lambda _: "time.time()",
        lambda time: time.time(),
        lambda _: asyncio.sleep(1),
        lambda _: undefined(),  # noqa: F821
    ],
)
def test_what_is_the_same_on_replay_is_not_found(node):
    assert found(node) == []


def helper():
    return deeper()


def deeper():
    return [random.random() for _ in range(3)]


def again(state):
    return again(helper())


class Worker:
    def __call__(self, state):
        return time.time()

    def method(self, state):
        return time.time()

    @staticmethod
    def static(state):
        return time.time()


def nested(state):
    def inner():
        return time.time()

    return inner()


async def later(state):
    await asyncio.sleep(0)
    return time.time()


def with_default(state, clock=1):
    return time.time() + clock


@pytest.mark.parametrize(
    "node",
    [
        impure,
        later,
        nested,
        again,
        Worker(),
        Worker().method,
        Worker.static,
        functools.partial(with_default, clock=2),
        functools.partial(functools.partial(Worker().method)),
        RunnableLambda(impure),
        RunnableLambda(later),
    ],
    ids=lambda v: getattr(v, "__name__", type(v).__name__),
)
def test_every_kind_of_node_is_looked_through(node):
    assert len(found(node)) == 1


def test_a_function_that_two_nodes_share_is_told_for_both():
    findings = list(scan_graph("agent", graph_of(impure, impure)))

    assert [finding.node for finding in findings] == ["node", "node1"]


def test_a_call_that_stands_twice_is_told_twice():
    def twice(state):
        return time.time() - time.time()

    assert found(twice) == ["time.time", "time.time"]


def test_a_router_is_looked_through():
    graph = StateGraph(State)
    graph.add_node("node", pure)
    graph.add_edge(START, "node")
    graph.add_conditional_edges("node", lambda _: END if random.random() > 0.5 else "node")

    assert [f.node for f in scan_graph("agent", graph.compile())] == ["node"]


def test_a_subgraph_is_looked_through_under_its_own_name():
    outer = graph_of(graph_of(impure, name="inner"), name="outer")

    assert [f.node for f in scan_graph("agent", outer)] == ["outer/inner"]


def test_an_entrypoint_is_looked_through():
    @entrypoint()
    def run(payload):
        return time.time()

    assert [f.call for f in scan_graph("agent", run)] == ["time.time"]


@before_model
def stamp(state, runtime):
    return {"said": time.time()}


class Stamp(AgentMiddleware):
    def before_model(self, state, runtime):
        return {"said": time.time()}


@pytest.mark.parametrize("middleware", [stamp, Stamp()], ids=["decorated", "class"])
def test_middleware_is_looked_through(middleware):
    agent = create_agent(GenericFakeChatModel(messages=iter(())), [], middleware=[middleware])

    assert [f.call for f in scan_graph("agent", agent)] == ["time.time"]


def test_a_library_is_not_looked_through():
    agent = create_agent(GenericFakeChatModel(messages=iter(())), [])

    assert list(scan_graph("agent", agent)) == []


def test_a_mock_does_not_hold_up_the_scan():
    assert found(MagicMock()) == []


def test_a_function_without_a_module_is_taken_as_the_apps():
    bare = types.FunctionType(impure.__code__, {"time": time})

    assert found(bare) == ["time.time"]


# What is told


def line_of(function) -> int:
    return function.__code__.co_firstlineno


def test_a_finding_names_file_and_line():
    (finding,) = scan_graph("agent", graph_of(impure))

    assert (finding.file, finding.line) == (__file__, line_of(impure) + 1)


def on_many_lines(state):
    first = str(state)
    return {
        "said": first,
        "at": time.time(),
    }


def test_the_line_is_that_of_the_call():
    (finding,) = scan_graph("agent", graph_of(on_many_lines))

    assert finding.line == line_of(on_many_lines) + 4


@pytest.mark.parametrize(
    ("node", "mend"),
    [
        (impure, r"temporalio\.workflow\.now\(\)"),
        (lambda _: random.random(), r"temporalio\.workflow\.random\(\)"),
        (lambda _: doze(1), r"write `import time` and `time\.sleep"),
    ],
    ids=["clock", "chance", "wait"],
)
def test_each_finding_has_its_mend(node, mend):
    agents = perdure.Agents()
    agents.add("one", graph_of(node))

    with pytest.raises(ImpureNode, match=mend):
        scan(agents, guard="error")


@pytest.fixture
def agents() -> perdure.Agents:
    made = perdure.Agents()
    made.add("good", graph_of(pure))
    made.add("bad", graph_of(impure))
    made.add("worse", graph_of(nested))
    return made


def test_all_findings_are_told_at_once(agents):
    with pytest.raises(ImpureNode, match=r"(?s)agent 'bad' calls.*agent 'worse' calls"):
        scan(agents, guard="error")


def test_the_refusal_says_how_to_start_all_the_same(agents):
    with pytest.raises(ImpureNode, match=r"perdure\.Plugin\(agents, guard='warn'\)"):
        scan(agents, guard="error")


def test_a_warning_is_logged_for_each_finding(agents, caplog):
    with caplog.at_level(logging.WARNING, logger="perdure.guard"):
        scan(agents, guard="warn")

    assert len(caplog.records) == 2


def test_a_warning_does_not_stop_the_worker(agents):
    assert [finding.agent for finding in scan(agents, guard="warn")] == ["bad", "worse"]


def test_without_a_guard_nothing_is_looked_through(agents):
    assert scan(agents, guard="off") == []


def test_good_agents_pass():
    agents = perdure.Agents()
    agents.add("good", graph_of(pure))

    assert scan(agents, guard="error") == []


def test_the_standard_library_is_no_app_of_anybody():
    assert found(json.dumps) == []
    assert "json" in sys.stdlib_module_names


# Sleeping


def sleeps(state):
    time.sleep(1)
    return state


def test_sleep_of_the_time_module_is_a_timer():
    assert found(sleeps) == []


def test_sleep_blocks_on_a_worker_without_the_bridge():
    agents = perdure.Agents(bridge=False)
    agents.add("one", graph_of(sleeps))
    with pytest.raises(ImpureNode, match=r"blocks the worker: write `await asyncio\.sleep"):
        scan(agents, guard="error")
