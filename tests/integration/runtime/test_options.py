"""Every call has its time limits, its retries and a text that a person can read."""

from datetime import timedelta
from typing import Any

import pytest
from langchain.agents import create_agent

import perdure
from integration.runtime.fakes import calls, chain, model, pay, search, searching, sole
from integration.runtime.harness import Call, Lab, Started

pytestmark = pytest.mark.timeout(60)
Limits = tuple[float, float, float, float, float, int]
MODEL: Limits = (600, 10, 1, 2, 30, 6)
TOOL: Limits = (300, 10, 2, 2, 60, 4)


def limits(call: Call) -> Limits:
    """Return timeout, heartbeat, first, factor, longest and attempts of a call."""
    at, retry = call.at, call.at.retry_policy
    return (
        at.start_to_close_timeout.ToTimedelta().total_seconds(),
        at.heartbeat_timeout.ToTimedelta().total_seconds(),
        retry.initial_interval.ToTimedelta().total_seconds(),
        retry.backoff_coefficient,
        retry.maximum_interval.ToTimedelta().total_seconds(),
        retry.maximum_attempts,
    )


async def of(run: Started) -> dict[str, Limits]:
    await run.result()
    return {call.kind.removeprefix("perdure."): limits(call) for call in await run.calls()}


async def test_every_call_has_the_limits_of_the_documentation(lab: Lab) -> None:
    async with lab.worker(searching("hats")) as runs:
        run = await runs.start("searcher")
        assert await of(run) == {"model": MODEL, "tool": TOOL}


async def test_an_effect_has_the_limits_of_any_tool(lab: Lab) -> None:
    agent = create_agent(
        model(calls("pay", {"amount": 1}), "done"), [perdure.tool(pay, effect=True)]
    )
    async with lab.worker(sole(agent, "payer")) as runs:
        assert (await of(await runs.start("payer")))["tool"] == TOOL


async def test_an_effect_that_is_not_idempotent_has_one_attempt(lab: Lab) -> None:
    tool = perdure.tool(pay, effect=True, idempotent=False)
    agent = create_agent(model(calls("pay", {"amount": 1}), "done"), [tool])
    async with lab.worker(sole(agent, "payer")) as runs:
        assert (await of(await runs.start("payer")))["tool"] == (*TOOL[:-1], 1)


async def test_a_model_and_a_tool_may_have_limits_of_their_own(lab: Lab) -> None:
    retry = perdure.Retry(
        initial=timedelta(seconds=3), backoff=1.5, maximum=timedelta(seconds=9), attempts=2
    )
    answers = [calls("search", {"q": "x"}), "done"]
    slow = model(*answers, timeout=timedelta(minutes=20), heartbeat=timedelta(seconds=30))
    tool = perdure.tool(search, retry=retry)
    async with lab.worker(sole(create_agent(slow, [tool]), "searcher")) as runs:
        assert await of(await runs.start("searcher")) == {
            "model": (1200, 30, *MODEL[2:]),
            "tool": (300, 10, 3, 1.5, 9, 2),
        }


FOR_ALL = {
    "models": {"*": {"timeout": 30, "heartbeat": 3}},
    "tools": {"*": {"timeout": 20, "retry": {"initial": 5, "maximum": 50, "attempts": 9}}},
}
BY_NAME = {
    "models": {"*": {"timeout": 1}, "m": {"timeout": 30, "heartbeat": 3}},
    "tools": {
        "other": {"timeout": 1},
        "search": {"timeout": 20, "retry": {"initial": 5, "maximum": 50, "attempts": 9}},
    },
}


@pytest.mark.parametrize("options", [FOR_ALL, BY_NAME], ids=["star", "by_name"])
async def test_a_run_may_change_limits(lab: Lab, options: dict[str, Any]) -> None:
    async with lab.worker(searching("hats")) as runs:
        run = await runs.start("searcher", options=options)
        assert await of(run) == {
            "model": (30, 3, *MODEL[2:]),
            "tool": (20, 10, 5, 2, 50, 9),
        }


async def test_a_run_overrules_what_the_model_was_declared_with(lab: Lab) -> None:
    agent = create_agent(model("done", timeout=timedelta(minutes=20)), [])
    async with lab.worker(sole(agent, "one")) as runs:
        run = await runs.start("one", options={"models": {"*": {"timeout": 7}}})
        assert (await of(run))["model"][0] == 7


async def test_calls_are_summarised_in_words(lab: Lab) -> None:
    async with lab.worker(searching("hats", "coats")) as runs:
        run = await runs.start("searcher")
        await run.result()
        assert [call.summary for call in await run.calls()] == [
            "model: m · turn 1",
            "tool: search(q='hats')",
            "tool: search(q='coats')",
            "model: m · turn 2",
        ]


async def test_a_summary_of_large_arguments_is_cut(lab: Lab) -> None:
    async with lab.worker(searching("é" * 5000)) as runs:
        run = await runs.start("searcher")
        await run.result()
        (found,) = [call.summary for call in await run.calls() if call.kind == "perdure.tool"]
        assert found.startswith("tool: search(q='ééé")
        assert len(found.encode()) < 400


async def test_no_key_and_no_object_of_a_model_is_in_the_history(lab: Lab) -> None:
    async with lab.worker(searching("hats")) as runs:
        run = await runs.start("searcher")
        await run.result()
        first = (await run.calls())[0].input
        assert set(first) == {"model", "messages", "options", "refs"}
        assert first["model"] == "m"


async def test_a_call_in_a_node_is_summarised_too(lab: Lab) -> None:
    tool = perdure.tool(search)

    async def look(state: dict[str, Any]) -> None:
        await tool.ainvoke({"q": "x"})

    async with lab.worker(chain(look)) as runs:
        run = await runs.start("graph")
        await run.result()
        assert [call.summary for call in await run.calls()] == ["tool: search(q='x')"]
