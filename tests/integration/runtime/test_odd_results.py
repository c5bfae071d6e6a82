"""Tools that give back what is too large, or what no JSON can hold."""

import math
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import BaseTool

import perdure
from integration.runtime.fakes import calls, chain, model, sole
from integration.runtime.harness import Lab
from perdure.errors import BadOption

pytestmark = pytest.mark.timeout(60)
State = dict[str, Any]


def text(n: int) -> str:
    """Return n characters."""
    return "ä" * n


def rows(n: int) -> list[int]:
    """Return n rows."""
    return [7] * n


def yields(n: int) -> Iterator[int]:
    """Yield numbers."""
    yield from range(n)


async def yields_async(n: int) -> AsyncIterator[int]:
    """Yield numbers."""
    for number in range(n):
        yield number


def returns_generator(n: int) -> Any:
    """Return a generator."""
    return (number for number in range(n))


async def returns_async_generator(n: int) -> Any:
    """Return an async generator."""
    return yields_async(n)


def nan(n: int) -> Any:
    """Return what is no number."""
    return {"nan": math.nan, "inf": [math.inf, -math.inf]}


def raw(n: int) -> bytes:
    """Return bytes."""
    return b"\xff" * n


def cyclic(n: int) -> Any:
    """Return a list that holds itself."""
    made: list[Any] = [n]
    made.append(made)
    return made


class Thing:
    """No JSON."""


def thing(n: int) -> Any:
    """Return an object."""
    return {"thing": Thing()}


def asks(tool: BaseTool, n: int) -> Any:
    """Make an agent whose model calls the tool once, then answers."""
    return sole(create_agent(model(calls(tool.name, {"n": n}), "well"), [tool]))


def node_of(tool: BaseTool, n: int, tell: Any = repr) -> perdure.Agents:
    """Make a graph whose node calls the tool directly, and tells what it got."""

    async def node(state: State) -> State:
        return {"messages": [HumanMessage(tell(await tool.ainvoke({"n": n})))]}

    return chain(node)


async def answer_of(run: Any) -> ToolMessage:
    output = await run.result()
    return next(m for m in output["messages"] if isinstance(m, ToolMessage))


async def attempts(run: Any) -> list[int]:
    started = await run.events("ACTIVITY_TASK_STARTED")
    return [e.activity_task_started_event_attributes.attempt for e in started]


@pytest.mark.parametrize(("of", "n", "size"), [(text, 600, "1,200"), (rows, 500, "1,500")])
async def test_a_model_is_told_that_a_result_is_too_large(
    lab: Lab, of: Any, n: int, size: str
) -> None:
    async with lab.worker(asks(perdure.tool(of, max_result=1000), n)) as runs:
        run = await runs.start("graph")
        told = await answer_of(run)
        assert told.status == "error"
        assert f"is too large ({size} bytes; at most 1,000). Narrow it" in told.text
        assert set(await attempts(run)) == {1}


async def test_a_result_that_just_fits_is_given_to_the_model(lab: Lab) -> None:
    async with lab.worker(asks(perdure.tool(text, max_result=1000), 500)) as runs:
        told = await answer_of(await runs.start("graph"))
        assert (told.status, told.text) == ("success", "ä" * 500)


async def test_a_node_that_asked_for_too_much_fails_after_one_attempt(lab: Lab) -> None:
    async with lab.worker(node_of(perdure.tool(text, max_result=1000), 600)) as runs:
        run = await runs.start("graph")
        failure = await run.failure()
        assert failure.type == "payload_too_large"
        assert "the result of tool 'text' is too large (1,200 bytes; at most 1,000)" in str(failure)


@pytest.mark.parametrize("most", [0, -1, True, "1 MB", 1.5])
def test_a_largest_result_must_be_a_number_of_bytes(most: Any) -> None:
    with pytest.raises(BadOption, match=r"max_result=.*a number of bytes"):
        perdure.tool(text, max_result=most)


def test_a_largest_result_is_for_an_activity() -> None:
    with pytest.raises(BadOption, match="leave out where='workflow'"):
        perdure.tool(text, max_result=1, where="workflow")


GENERATORS = pytest.mark.parametrize(
    "of", [yields, yields_async, returns_generator, returns_async_generator]
)


@GENERATORS
async def test_a_generator_for_a_model_ends_the_run_with_what_to_return(lab: Lab, of: Any) -> None:
    async with lab.worker(asks(perdure.tool(of), 3)) as runs:
        failure = await (await runs.start("graph")).failure()
        assert failure.type == "unserializable"
        assert f"tool {of.__name__!r} returns a generator" in str(failure)
        assert "return a list" in str(failure)


@GENERATORS
async def test_a_generator_for_a_node_ends_the_run_with_what_to_return(lab: Lab, of: Any) -> None:
    async with lab.worker(node_of(perdure.tool(of), 3)) as runs:
        failure = await (await runs.start("graph")).failure()
        assert (failure.type, "return a list" in str(failure)) == ("unserializable", True)


@pytest.mark.parametrize(
    ("of", "shown"),
    [
        (nan, '{"nan": NaN, "inf": [Infinity, -Infinity]}'),
        (raw, "b'\\xff\\xff'"),
        (cyclic, "[2, [...]]"),
    ],
)
async def test_a_model_is_shown_what_langchain_shows_it(lab: Lab, of: Any, shown: str) -> None:
    async with lab.worker(asks(perdure.tool(of), 2)) as runs:
        assert (await answer_of(await runs.start("graph"))).text == shown


@pytest.mark.parametrize(
    ("of", "shown"), [(nan, "{'nan': nan, 'inf': [inf, -inf]}"), (raw, "b'\\xff\\xff'")]
)
async def test_a_node_gets_numbers_and_bytes_as_they_are(lab: Lab, of: Any, shown: str) -> None:
    async with lab.worker(node_of(perdure.tool(of), 2)) as runs:
        assert (await (await runs.start("graph")).texts())[-1] == shown


@pytest.mark.parametrize("of", [cyclic, thing])
async def test_what_no_json_holds_ends_the_run_with_the_tools_name(lab: Lab, of: Any) -> None:
    async with lab.worker(node_of(perdure.tool(of), 2)) as runs:
        failure = await (await runs.start("graph")).failure()
        assert failure.type == "unserializable"
        assert f"the result of tool {of.__name__!r}" in str(failure)
