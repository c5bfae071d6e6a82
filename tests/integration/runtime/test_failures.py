"""Whatever goes wrong in a run fails the run with its cause; nothing is tried for ever."""

import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.messages import HumanMessage
from langgraph.graph import START, MessagesState, StateGraph
from typing_extensions import TypedDict

import perdure
from integration.runtime.fakes import Scripted, calls, chain, lines, model, search, searching, sole
from integration.runtime.harness import HELLO, Lab
from perdure.core.declared import DECLARED

pytestmark = pytest.mark.timeout(60)
State = dict[str, Any]


def boom_sync(state: State) -> State:
    raise KeyError("no such customer")


async def boom_async(state: State) -> State:
    raise KeyError("no such customer")


@pytest.mark.parametrize("node", [boom_sync, boom_async])
async def test_a_bug_in_a_node_fails_the_run_and_names_the_node(lab: Lab, node: Any) -> None:
    async with lab.worker(chain(node)) as runs:
        failure = await (await runs.start("graph")).failure()
        assert failure.type == "node_failed"
        assert str(failure) == (
            f"node_failed: node {node.__name__!r} failed: KeyError: 'no such customer'"
        )


def wrong_sync(state: State) -> str:
    raise LookupError("no way on")


async def wrong_async(state: State) -> str:
    raise LookupError("no way on")


@pytest.mark.parametrize("router", [wrong_sync, wrong_async])
async def test_a_bug_in_a_router_fails_the_run(lab: Lab, router: Any) -> None:
    graph = StateGraph(MessagesState).add_node("a", lambda state: state).add_edge(START, "a")
    graph.add_conditional_edges("a", router, ["a"])
    async with lab.worker(sole(graph)) as runs:
        failure = await (await runs.start("graph")).failure()
        assert failure.type == "node_failed"
        assert "LookupError: no way on" in str(failure)


async def test_an_undeclared_model_fails_the_run_and_names_it(lab: Lab) -> None:
    async with lab.worker(sole(create_agent(model("hi"), []))) as runs:
        DECLARED.clear()
        failure = await (await runs.start("graph")).failure()
        assert failure.type == "unknown_model"
        assert "no model 'm'" in str(failure)


async def test_an_undeclared_tool_fails_the_run_and_names_it(lab: Lab) -> None:
    tool = perdure.tool(search)

    async def look(state: State) -> None:
        await tool.ainvoke({"q": "x"})

    async with lab.worker(chain(look)) as runs:
        DECLARED.clear()
        failure = await (await runs.start("graph")).failure()
        assert failure.type == "unknown_tool"
        assert "no tool 'search' is declared on this worker; known: none" in str(failure)


class Odd:
    """Something that has no JSON form."""


class Box(TypedDict):
    thing: Any


async def test_a_result_without_a_json_form_fails_the_run_and_says_where(lab: Lab) -> None:
    def node(state: Box) -> Box:
        return {"thing": {"deep": [1, Odd()]}}

    async with lab.worker(chain(node, schema=Box)) as runs:
        failure = await (await runs.start("graph", {})).failure()
        assert failure.type == "unserializable"
        assert "the result of the run.thing.deep[1] is a " in str(failure)


def hold(thing: Any) -> Any:
    """Hold something."""
    return Odd() if thing == "odd" else thing


def holding(thing: Any) -> perdure.Agents:
    tool = perdure.tool(hold)

    async def node(state: State) -> None:
        await tool.ainvoke({"thing": thing})

    return chain(node)


async def test_an_argument_without_a_json_form_fails_the_run(lab: Lab) -> None:
    async with lab.worker(holding(Odd())) as runs:
        failure = await (await runs.start("graph")).failure()
        assert failure.type == "unserializable"
        assert "arguments of tool 'hold'" in str(failure)


async def test_a_tool_result_without_a_json_form_fails_the_run(lab: Lab) -> None:
    async with lab.worker(holding("odd")) as runs:
        run = await runs.start("graph")
        failure = await run.failure()
        assert failure.type == "unserializable"
        assert "the result of tool 'hold' is a " in str(failure)
        assert len(await run.calls()) == 1


async def test_a_graph_that_never_ends_fails_the_run(lab: Lab) -> None:
    graph = StateGraph(MessagesState).add_node("again", lambda state: {"messages": []})
    graph.add_edge(START, "again").add_edge("again", "again")
    async with lab.worker(sole(graph)) as runs:
        failure = await (await runs.start("graph", recursion_limit=5)).failure()
        assert failure.type == "node_failed"
        assert "GraphRecursionError" in str(failure)
        assert "Recursion limit of 5" in str(failure)


def opens(state: State) -> State:
    return {"messages": [HumanMessage(Path(__file__).read_text())]}


def connects(state: State) -> None:
    with socket.socket() as peer:
        peer.connect(("127.0.0.1", 9))


def threads(state: State) -> None:
    threading.Thread(target=print).start()


OLD = sys.version_info < (3, 12)
UNSEEN = pytest.mark.skipif(OLD, reason="Python 3.11 tells no audit hook of a new thread")


@pytest.mark.parametrize("node", [opens, connects, pytest.param(threads, marks=UNSEEN)])
async def test_a_node_that_touches_the_world_fails_the_run_and_is_named(
    lab: Lab, node: Callable[[State], Any]
) -> None:
    async with lab.worker(chain(node)) as runs:
        failure = await (await runs.start("graph")).failure()
        assert failure.type == "impure_node"
        assert f"node {node.__name__!r} did " in str(failure)
        assert f"{Path(__file__).name}:" in str(failure)


GARBAGE: dict[str, tuple[tuple[Any, ...], str, str]] = {
    "nothing": ((), "bad_input", "must be a JSON object, got None"),
    "null": ((None,), "bad_input", "must be a JSON object, got None"),
    "list": (([1, 2],), "bad_input", "must be a JSON object, got [1, 2]"),
    "text": (("go",), "bad_input", "must be a JSON object, got 'go'"),
    "number": ((7,), "bad_input", "must be a JSON object, got 7"),
    "empty": (({},), "bad_input", "name the agent"),
    "agent_no_text": (({"agent": 7},), "bad_input", "agent=7"),
    "unknown_agent": (({"agent": "nobody"},), "unknown_agent", "no agent 'nobody'"),
    "input_no_object": (({"agent": "searcher", "input": [1]},), "bad_input", "takes a JSON object"),
    "options_no_object": (({"agent": "searcher", "options": [1]},), "bad_input", "options"),
    "unknown_option": (
        ({"agent": "searcher", "input": HELLO, "options": {"models": {"*": {"tempo": 1}}}},),
        "bad_option",
        "unknown option 'tempo'",
    ),
    "bad_limit": (({"agent": "searcher", "recursion_limit": 0},), "bad_input", "recursion_limit"),
    "bad_tag": (
        ({"agent": "searcher", "input": {"messages": [{"$": "os.system"}]}},),
        "unserializable",
        "'os.system'",
    ),
    "bad_parts": (
        ({"agent": "searcher", "input": {"messages": [{"$": "human", "colour": 1, "id": []}]}},),
        "",
        "",
    ),
}


@pytest.mark.parametrize(("arguments", "code", "text"), GARBAGE.values(), ids=GARBAGE)
async def test_a_start_with_garbage_fails_at_once(
    lab: Lab, arguments: tuple[Any, ...], code: str, text: str
) -> None:
    async with lab.worker(searching("hats")) as runs:
        failure = await (await runs.start_raw(*arguments)).failure()
        assert not code or failure.type == code
        assert text in str(failure)


async def test_the_failed_run_shows_its_end_in_its_status(lab: Lab) -> None:
    async with lab.worker(chain(boom_sync)) as runs:
        run = await runs.start("graph")
        await run.failure()
        assert (await run.query("status"))["status"] == "failed"


async def test_a_model_without_tools_that_calls_one_does_not_loop(lab: Lab) -> None:
    bad = perdure.model(Scripted(say=lines(calls("ghost", {}), "done")), name="m")
    async with lab.worker(sole(create_agent(bad, []))) as runs:
        run = await runs.start("graph")
        await run.result()


async def test_a_second_argument_is_ignored(lab: Lab) -> None:
    async with lab.worker(searching("hats")) as runs:
        run = await runs.start_raw({"agent": "searcher", "input": HELLO}, "more")
        assert (await run.texts())[-1] == "done"
