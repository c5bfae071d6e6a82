"""A model that answers what cannot be used is told so, before the graph sees it."""

from typing import Any, cast

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, BaseMessage
from temporalio.converter import DataConverter

import perdure
from integration.runtime.fakes import Scripted, calls, search, sole
from integration.runtime.harness import Lab
from perdure.client.payloads import decoder
from perdure.client.rawcalls import read_calls

pytestmark = pytest.mark.timeout(60)
GOOD = calls("search", {"q": "hats"}, turn=3)
WRONG_TYPE = calls("search", {"q": 7})
MISSING = calls("search", {}, turn=2)
UNKNOWN = calls("seek", {"q": "hats"}, turn=2)


def agent(*answers: AIMessage, **options: Any) -> perdure.Agents:
    """Answer thus in turn until the search was made; the graph drops what was repaired."""

    def say(messages: list[BaseMessage]) -> AIMessage:
        if any(message.text == "found hats" for message in messages):
            return AIMessage("done")
        return answers[sum(isinstance(message, AIMessage) for message in messages)]

    asked = perdure.model(Scripted(say=say), name="m", **options)
    return sole(create_agent(asked, [perdure.tool(search)]), "searcher")


@pytest.mark.parametrize("second", [MISSING, UNKNOWN], ids=["missing", "unknown_tool"])
async def test_bad_calls_are_repaired(lab: Lab, second: AIMessage) -> None:
    async with lab.worker(agent(WRONG_TYPE, second, GOOD)) as runs:
        run = await runs.start("searcher")
        assert await run.texts() == ["hello", "", "found hats", "done"]
        assert [call.summary for call in await run.calls()] == [
            "model: m · turn 1",
            "model: m · turn 1 · repair 1",
            "model: m · turn 1 · repair 2",
            "tool: search(q='hats')",
            "model: m · turn 2",
        ]


async def test_the_graph_sees_only_the_good_answer(lab: Lab) -> None:
    async with lab.worker(agent(WRONG_TYPE, GOOD)) as runs:
        run = await runs.start("searcher", options={"models": {"*": {"repairs": 1}}})
        output = await run.result()
        assert output["messages"][1].tool_calls == GOOD.tool_calls


async def test_the_model_is_told_what_is_wrong(lab: Lab) -> None:
    async with lab.worker(agent(WRONG_TYPE, UNKNOWN, GOOD)) as runs:
        run = await runs.start("searcher")
        await run.result()
        got = read_calls(await run.histories(), decode=decoder(DataConverter.default), only=3)
        last = cast("Any", next(iter(got)).input)["messages"]
        told = [message for message in last if message["$"] == "tool"]
        assert [message["tool_call_id"] for message in told] == ["call-1.1", "call-2.1"]
        assert "There is no tool 'seek'. The tools are: 'search'" in told[1]["content"]
        assert told[0]["status"] == "error"


async def test_a_model_that_never_gets_it_right_fails_the_run(lab: Lab) -> None:
    async with lab.worker(agent(WRONG_TYPE, MISSING, UNKNOWN, GOOD)) as runs:
        run = await runs.start("searcher")
        failure = await run.failure()
        assert failure.type == "model_mistake"
        assert "gave 3 answers that cannot be used" in str(failure)
        assert "There is no tool 'seek'" in str(failure)
        assert len(await run.calls()) == 3


async def test_without_repairs_the_graph_answers_a_bad_tool_call_itself(lab: Lab) -> None:
    async with lab.worker(agent(WRONG_TYPE, GOOD, repairs=0)) as runs:
        run = await runs.start("searcher")
        messages = (await run.result())["messages"]
        assert [m.type for m in messages].count("tool") == 2
        assert messages[2].status == "error"


async def test_repairs_are_no_transport_retries(lab: Lab) -> None:
    async with lab.worker(agent(WRONG_TYPE, GOOD)) as runs:
        run = await runs.start("searcher")
        await run.result()
        started = await run.events("ACTIVITY_TASK_STARTED")
        attempts = {event.activity_task_started_event_attributes.attempt for event in started}
        assert attempts == {1}
