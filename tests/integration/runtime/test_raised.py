"""What a tool or a model raised is what an `except` in the graph sees."""

from collections.abc import Callable
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import (
    ModelFallbackMiddleware,
    ModelRetryMiddleware,
    ToolRetryMiddleware,
)
from langchain_core.exceptions import (
    ContextOverflowError,
    ModelAuthenticationError,
    ModelError,
    OutputParserException,
)
from langchain_core.messages import AIMessage
from langchain_core.tools import ToolException, tool
from pydantic import BaseModel, ValidationError

import perdure
from integration.runtime.fakes import Scripted, calls, chain, lines, sole
from integration.runtime.harness import Lab
from integration.runtime.kinds import durable, plain, shape
from perdure.errors import ModelFailed, ToolFailed

pytestmark = pytest.mark.timeout(60)


class OutOfStock(Exception):
    """The app's own, which asks for more than its arguments when it is made."""

    perdure_verdict = "give_up"

    def __init__(self, item: str, *, left: int) -> None:
        super().__init__(f"{item} is out of stock")
        self.item = item
        self.left = left

    def __str__(self) -> str:
        return f"{self.item}: {self.left} left"


class Shape(BaseModel):
    sides: int


def unreadable() -> None:
    Shape.model_validate({"sides": "many"})


def raising(error: Exception) -> Callable[[], None]:
    def call() -> None:
        raise error

    return call


def final(error: Exception) -> Exception:
    error.perdure_verdict = "give_up"  # type: ignore[attr-defined]
    return error


CASES: dict[str, tuple[Callable[[], None], type[Exception]]] = {
    "ValueError": (raising(ValueError("no", 7)), ValueError),
    "KeyError": (raising(KeyError("who")), KeyError),
    "ZeroDivisionError": (raising(ZeroDivisionError("x")), ZeroDivisionError),
    "FileNotFoundError": (raising(final(FileNotFoundError(2, "gone", "a.txt"))), OSError),
    "own": (raising(OutOfStock("hat", left=0)), OutOfStock),
    "ToolException": (raising(ToolException("not today")), ToolException),
    "ValidationError": (unreadable, ValidationError),
    "OutputParserException": (raising(OutputParserException("eh")), OutputParserException),
    "UnicodeDecodeError": (raising(UnicodeDecodeError("utf-8", b"x", 0, 1, "bad")), UnicodeError),
}


@pytest.mark.parametrize("case", CASES)
async def test_an_except_in_a_node_sees_what_the_tool_raised(lab: Lab, case: str) -> None:
    throw, kind = CASES[case]

    @perdure.tool
    def fail() -> str:
        """Fail."""
        throw()
        return ""

    seen: list[Exception] = []
    with pytest.raises(kind) as info:
        throw()
    expected = info.value

    async def node(state: dict[str, Any]) -> dict[str, Any]:
        try:
            await fail.ainvoke({})
        except kind as error:
            seen.append(error)
            return {"messages": [("ai", f"{type(error).__name__}: {error}")]}
        return {}

    async with lab.worker(chain(node)) as runs:
        texts = await (await runs.start("graph")).texts()
        assert texts[-1] == f"{type(expected).__name__}: {expected}"
        assert seen[-1].args == expected.args
        attributes = {k: v for k, v in vars(expected).items() if k != "__notes__"}
        assert attributes.items() <= vars(seen[-1]).items()
        assert isinstance(seen[-1].__cause__, ToolFailed)


async def test_an_except_for_a_failed_tool_still_sees_it(lab: Lab) -> None:
    @perdure.tool
    def fail() -> str:
        """Fail."""
        raise ValueError("no")

    async def node(state: dict[str, Any]) -> dict[str, Any]:
        try:
            await fail.ainvoke({})
        except ToolFailed as error:
            return {"messages": [("ai", repr(error))]}
        return {}

    async with lab.worker(chain(node)) as runs:
        assert (await (await runs.start("graph")).texts())[-1] == "ValueError('no')"


@pytest.mark.parametrize("case", ["ValueError", "own", "ValidationError"])
async def test_what_nobody_catches_ends_the_run_as_a_failed_tool(lab: Lab, case: str) -> None:
    throw, kind = CASES[case]

    @perdure.tool
    def fail() -> str:
        """Fail."""
        throw()
        return ""

    async def node(state: dict[str, Any]) -> None:
        await fail.ainvoke({})

    async with lab.worker(chain(node)) as runs:
        failure = await (await runs.start("graph")).failure()
        assert failure.type == "tool_failed"
        assert str(failure).startswith("tool_failed: tool 'fail' failed: ")
        assert f"{kind.__name__}" in str(failure)


async def test_a_class_of_no_module_is_found_among_those_in_use(lab: Lab) -> None:
    class Local(Exception):
        perdure_verdict = "give_up"

    @perdure.tool
    def fail() -> str:
        """Fail."""
        raise Local("here")

    async def node(state: dict[str, Any]) -> dict[str, Any]:
        try:
            await fail.ainvoke({})
        except Local as error:
            return {"messages": [("ai", f"local {error}")]}
        return {}

    async with lab.worker(chain(node)) as runs:
        assert (await (await runs.start("graph")).texts())[-1] == "local here"


@tool
def flaky(word: str) -> str:
    """Fail."""
    raise ValueError(f"no {word}")


async def test_the_retry_middleware_tells_the_model_the_same(lab: Lab) -> None:
    def middleware() -> Any:
        return [ToolRetryMiddleware(max_retries=1, retry_on=(ValueError,), initial_delay=0.0)]

    turns = (calls("flaky", {"word": "hats"}), "done")
    expected = await plain(flaky, *turns, middleware=middleware()).ainvoke({"messages": []})
    async with lab.worker(sole(durable(flaky, *turns, middleware=middleware()))) as runs:
        run = await runs.start("graph", {"messages": []})
        output = await run.result()
        assert shape(output["messages"]) == shape(expected["messages"])
        assert [c.kind for c in await run.calls()].count("perdure.tool") == 2


class Sdk(Exception):
    """A provider's own error, with what cannot travel."""

    def __init__(self, message: str, *, response: Any, status_code: int) -> None:
        super().__init__(message)
        self.response = response
        self.status_code = status_code


class SdkOverflow(Sdk, ContextOverflowError):
    """As the integrations of LangChain make it."""


class SdkDenied(Sdk, ModelAuthenticationError):
    """As the integrations of LangChain make it."""


def failing(kind: type[Sdk], status: int) -> Any:
    def say(_: Any) -> AIMessage:
        raise kind("refused", response=object(), status_code=status)

    return perdure.model(Scripted(say=say), name="failing")


@pytest.mark.parametrize(
    "caught", [ContextOverflowError, ModelError, SdkOverflow, Sdk, ModelFailed]
)
async def test_an_except_sees_a_models_error_by_its_neutral_class(lab: Lab, caught: Any) -> None:
    model = failing(SdkOverflow, 400)

    async def node(state: dict[str, Any]) -> dict[str, Any]:
        try:
            await model.ainvoke("hi")
        except caught as error:
            return {"messages": [("ai", f"{error} {error.status_code} {error.is_retryable}")]}
        return {}

    async with lab.worker(chain(node)) as runs:
        assert (await (await runs.start("graph")).texts())[-1] == "refused 400 False"


async def test_the_retry_middleware_does_not_try_a_final_error_of_a_model_again(lab: Lab) -> None:
    agent = create_agent(failing(SdkDenied, 401), [], middleware=[ModelRetryMiddleware()])
    async with lab.worker(sole(agent)) as runs:
        run = await runs.start("graph", {"messages": []})
        failure = await run.failure()
        assert failure.type == "model_failed"
        assert len(await run.calls()) == 1


async def test_the_fallback_middleware_goes_on_with_the_other_model(lab: Lab) -> None:
    other = perdure.model(Scripted(say=lines("fine")), name="other")
    middleware = [ModelFallbackMiddleware(other)]
    agent = create_agent(failing(SdkDenied, 401), [], middleware=middleware)
    async with lab.worker(sole(agent)) as runs:
        assert (await (await runs.start("graph", {"messages": []})).texts())[-1] == "fine"
