"""Without a blob store: what is too large to be carried ends the run with a clear error."""

from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.messages import HumanMessage

import perdure
from integration.runtime.fakes import chain, model, search, sole
from integration.runtime.harness import Lab
from perdure.core.wire import PAYLOAD_LIMIT

pytestmark = pytest.mark.timeout(60)
State = dict[str, Any]
TOO_LONG = "x" * (PAYLOAD_LIMIT + 1000)


def bare(agents: perdure.Agents) -> perdure.Agents:
    agents.payloads = perdure.Payloads(blobs=None)
    return agents


def much(n: int) -> str:
    """Return much."""
    return "x" * n


async def test_a_message_that_is_too_large_fails_the_run(lab: Lab) -> None:
    asked = model("hi")

    async def think(state: State) -> State:
        return {"messages": [await asked.ainvoke([HumanMessage(TOO_LONG)])]}

    async with lab.worker(bare(chain(think))) as runs:
        failure = await (await runs.start("graph")).failure()
        assert failure.type == "payload_too_large"
        assert "the call of model 'm' takes 1,90" in str(failure)


async def test_an_input_that_is_too_large_for_the_model_fails_the_run(lab: Lab) -> None:
    async with lab.worker(bare(sole(create_agent(model("hi"), [])))) as runs:
        run = await runs.start("graph", {"messages": [{"role": "user", "content": TOO_LONG}]})
        assert (await run.failure()).type == "payload_too_large"


async def test_an_argument_that_is_too_large_fails_the_run(lab: Lab) -> None:
    tool = perdure.tool(search)

    async def look(state: State) -> None:
        await tool.ainvoke({"q": TOO_LONG})

    async with lab.worker(bare(chain(look))) as runs:
        failure = await (await runs.start("graph")).failure()
        assert failure.type == "payload_too_large"
        assert "the call of tool 'search'" in str(failure)


async def test_a_tool_result_that_is_too_large_fails_the_run_after_one_attempt(lab: Lab) -> None:
    tool = perdure.tool(much)

    async def look(state: State) -> None:
        await tool.ainvoke({"n": 3_000_000})

    async with lab.worker(bare(chain(look))) as runs:
        run = await runs.start("graph")
        failure = await run.failure()
        assert failure.type == "payload_too_large"
        assert "the result of tool 'much' takes 3,000,002 bytes" in str(failure)


async def test_an_answer_of_a_model_that_is_too_large_fails_the_run(lab: Lab) -> None:
    async with lab.worker(bare(sole(create_agent(model(TOO_LONG), [])))) as runs:
        failure = await (await runs.start("graph")).failure()
        assert failure.type == "payload_too_large"
        assert "the reply of model 'm' takes" in str(failure)


async def test_a_result_that_is_too_large_fails_the_run(lab: Lab) -> None:
    def node(state: State) -> State:
        return {"messages": [HumanMessage(TOO_LONG)]}

    async with lab.worker(bare(chain(node))) as runs:
        failure = await (await runs.start("graph")).failure()
        assert failure.type == "payload_too_large"
        assert "the result of the run takes" in str(failure)


async def test_a_large_question_neither_fails_nor_loops(real: Lab) -> None:
    def node(state: State) -> State:
        decision = perdure.ask("t" * 1_000_000, args={"body": "b" * 500_000})
        return {"messages": [HumanMessage(decision.by)]}

    async with real.worker(chain(node)) as runs:
        run = await runs.start("graph", index=True)
        await run.questions()
        await run.decide({"type": "approve", "by": "ann"})
        assert (await run.texts())[-1] == "ann"


async def test_a_large_answer_reaches_the_node(real: Lab) -> None:
    def node(state: State) -> State:
        answer = perdure.ask("how much?", allowed=("respond",))
        return {"messages": [HumanMessage(str(len(str(answer.value))))]}

    async with real.worker(chain(node)) as runs:
        run = await runs.start("graph")
        await run.questions()
        await run.decide({"type": "respond", "value": "v" * 1_500_000})
        assert (await run.texts())[-1] == "1500000"
