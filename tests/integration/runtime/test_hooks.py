"""Sync hooks that wrap calls, and a shell that lasts for a run.

Plain LangGraph has the sync hooks in `invoke` only; a run is compared with that.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import (
    AgentMiddleware,
    FilesystemFileSearchMiddleware,
    ShellToolMiddleware,
    wrap_model_call,
    wrap_tool_call,
)
from langchain_core.messages import ToolMessage
from langgraph.types import interrupt

import perdure
from integration.runtime.fakes import calls, model, search, sole
from integration.runtime.harness import HELLO, Lab, Started

pytestmark = pytest.mark.timeout(60)

Build = Callable[[], Any]


class Retrying(AgentMiddleware[Any, Any, Any]):
    """Call the model twice and the tool twice, in sync code."""

    def wrap_model_call(self, request: Any, handler: Callable[[Any], Any]) -> Any:
        handler(request)
        return handler(request)

    def wrap_tool_call(self, request: Any, handler: Callable[[Any], Any]) -> Any:
        handler(request)
        result = handler(request)
        return result.model_copy(update={"content": result.text.upper()})


@wrap_model_call  # type: ignore[arg-type]
def signed(request: Any, handler: Callable[[Any], Any]) -> Any:
    """Sign the answer."""
    answer = handler(request).result[-1]
    return answer.model_copy(update={"content": f"{answer.text} - signed"})


@wrap_tool_call  # type: ignore[arg-type]
def cached(request: Any, handler: Callable[[Any], Any]) -> ToolMessage:
    """Answer in the tool's place."""
    return ToolMessage("from a cache", tool_call_id=request.tool_call["id"], name="search")


@wrap_tool_call  # type: ignore[arg-type]
def guarded(request: Any, handler: Callable[[Any], Any]) -> Any:
    """Turn the tool's failure into a message."""
    try:
        return handler(request)
    except ValueError as error:
        return ToolMessage(f"no: {error}", tool_call_id=request.tool_call["id"], name="fail")


def fail(q: str) -> str:
    """Fail."""
    raise ValueError(q)


def searcher(*middleware: Any) -> Any:
    first = calls("search", {"q": "x"})
    return create_agent(model(first, "done"), [perdure.tool(search)], middleware=middleware)


def failer() -> Any:
    first = calls("fail", {"q": "x"})
    return create_agent(model(first, "done"), [perdure.tool(fail)], middleware=[guarded])


AGENTS: dict[str, tuple[Build, dict[str, int]]] = {
    "a class": (lambda: searcher(Retrying()), {"model": 4, "tool": 2}),
    "a decorated function": (lambda: searcher(signed), {"model": 2, "tool": 1}),
    "two, one in the other": (lambda: searcher(signed, Retrying()), {"model": 4, "tool": 2}),
    "an answer without the tool": (lambda: searcher(cached), {"model": 2}),
    "an except around the tool": (failer, {"model": 2, "tool": 1}),
}


async def counted(run: Started) -> dict[str, int]:
    return dict(Counter(call.kind.removeprefix("perdure.") for call in await run.calls()))


@pytest.mark.parametrize(("build", "activities"), AGENTS.values(), ids=AGENTS)
async def test_a_sync_wrap_works_as_in_invoke(
    lab: Lab, build: Build, activities: dict[str, int]
) -> None:
    agent = build()
    expected = [message.text for message in agent.invoke(HELLO)["messages"]]

    async with lab.worker(sole(agent)) as runs:
        run = await runs.start("graph")
        texts = await run.texts()

    assert texts == expected
    assert await counted(run) == activities


async def test_a_sync_wrap_may_ask_a_person(lab: Lab) -> None:
    @wrap_tool_call  # type: ignore[arg-type]
    def ask(request: Any, handler: Callable[[Any], Any]) -> Any:
        said = interrupt("may I?")
        return ToolMessage(said, tool_call_id=request.tool_call["id"], name="search")

    async with lab.worker(sole(searcher(ask))) as runs:
        run = await runs.start("graph")
        await run.question()
        await run.decide({"type": "respond", "value": "you may not"})
        texts = await run.texts()

    assert "you may not" in texts


async def test_outside_of_a_run_langchain_refuses_as_before(lab: Lab) -> None:
    agent = searcher(signed)
    async with lab.worker(sole(agent)):
        with pytest.raises(NotImplementedError, match="awrap_model_call is not available"):
            await agent.ainvoke(HELLO)


def commanding(*commands: str, **options: Any) -> Any:
    turns = [calls("shell", {"command": c}, turn=n) for n, c in enumerate(commands, 1)]
    return create_agent(model(*turns, "done"), [], middleware=[ShellToolMiddleware(**options)])


async def test_a_shell_lasts_for_a_run(lab: Lab) -> None:
    agent = commanding("cd /usr; export COLOUR=red", "echo $COLOUR in $PWD")

    async with lab.worker(sole(agent)) as runs:
        run = await runs.start("graph")
        texts = await run.texts()

    assert "red in /usr\n" in texts
    assert await counted(run) == {"model": 3, "tool": 2}


async def test_a_shell_is_not_that_of_another_run(lab: Lab) -> None:
    agent = commanding("echo ${COLOUR:-none}; export COLOUR=red")

    async with lab.worker(sole(agent)) as runs:
        first = await (await runs.start("graph")).texts()
        second = await (await runs.start("graph")).texts()

    assert [first[2], second[2]] == ["none\n", "none\n"]


async def test_commands_called_at_once_share_the_shell(lab: Lab) -> None:
    both = calls("shell", {"command": "export A=$((A + 1))"}, {"command": "export A=$((A + 1))"})
    last = calls("shell", {"command": "echo $A"}, turn=2)
    agent = create_agent(model(both, last, "done"), [], middleware=[ShellToolMiddleware()])

    async with lab.worker(sole(agent)) as runs:
        texts = await (await runs.start("graph")).texts()

    assert texts[-2] == "2\n"


async def test_startup_commands_run_before_the_first_command(lab: Lab) -> None:
    agent = commanding("echo $COLOUR", startup_commands=["export COLOUR=blue"])

    async with lab.worker(sole(agent)) as runs:
        texts = await (await runs.start("graph")).texts()

    assert texts[2] == "blue\n"


async def test_a_file_search_is_an_activity(lab: Lab, tmp_path: Any) -> None:
    (tmp_path / "tea.txt").write_text("green\n")
    first = calls("glob_search", {"pattern": "*.txt"})
    second = calls("grep_search", {"pattern": "green"}, turn=2)
    middleware = FilesystemFileSearchMiddleware(root_path=str(tmp_path), use_ripgrep=False)
    agent = create_agent(model(first, second, "done"), [], middleware=[middleware])

    async with lab.worker(sole(agent)) as runs:
        run = await runs.start("graph")
        texts = await run.texts()

    assert texts[2] == texts[4] == "/tea.txt"
    assert await counted(run) == {"model": 3, "tool": 2}
