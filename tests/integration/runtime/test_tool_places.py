"""Where the body of a tool runs."""

from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.messages import HumanMessage
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.tools import tool
from langgraph.types import interrupt

import perdure
from integration.runtime.fakes import Scripted, calls, lines, search, sole
from integration.runtime.harness import Lab
from integration.runtime.kinds import durable
from perdure.errors import BadOption

pytestmark = pytest.mark.timeout(60)


def expert() -> Any:
    model = perdure.model(
        Scripted(say=lines(calls("search", {"q": "hats"}), "an expert answer")), name="expert"
    )
    return create_agent(model, [perdure.tool(search)])


def kinds(runs: Any) -> list[tuple[str, str]]:
    return [(call.kind, call.input.get("tool") or call.input.get("model")) for call in runs]


DURABLE = [("perdure.model", "m"), ("perdure.model", "expert"), ("perdure.tool", "search"),
           ("perdure.model", "expert"), ("perdure.model", "m")]  # fmt: skip


async def test_a_sync_tool_that_calls_an_agent_is_durable_by_the_agents_own_calls(lab: Lab) -> None:
    agent = expert()

    @tool
    def consult(question: str) -> str:
        """Ask the expert."""
        return agent.invoke({"messages": [("user", question)]})["messages"][-1].text

    turns = (calls("consult", {"question": "why?"}), "done")
    async with lab.worker(sole(durable(consult, *turns))) as runs:
        run = await runs.start("graph", {"messages": []})
        assert (await run.texts())[-2:] == ["an expert answer", "done"]
        assert kinds(await run.calls()) == DURABLE


async def test_an_async_tool_that_calls_an_agent_is_durable_too(lab: Lab) -> None:
    agent = expert()

    async def ask(question: str) -> str:
        output = await agent.ainvoke({"messages": [HumanMessage(question)]})
        return output["messages"][-1].text

    @tool
    async def consult(question: str) -> str:
        """Ask the expert."""
        return await ask(question)

    turns = (calls("consult", {"question": "why?"}), "done")
    async with lab.worker(sole(durable(consult, *turns))) as runs:
        run = await runs.start("graph", {"messages": []})
        assert (await run.texts())[-2:] == ["an expert answer", "done"]
        assert kinds(await run.calls()) == DURABLE


async def test_a_tool_with_a_chain_calls_its_model_from_the_workflow(lab: Lab) -> None:
    inner = perdure.model(Scripted(say=lines("short")), name="inner")
    summary = ChatPromptTemplate.from_messages([("user", "shorten {text}")]) | inner

    @tool
    def shorten(text: str) -> str:
        """Shorten."""
        return summary.invoke({"text": text}).text

    turns = (calls("shorten", {"text": "a long text"}), "done")
    async with lab.worker(sole(durable(shorten, *turns))) as runs:
        run = await runs.start("graph", {"messages": []})
        assert (await run.texts())[-2:] == ["short", "done"]
        assert ("perdure.model", "inner") in kinds(await run.calls())


async def test_a_question_of_an_agent_inside_a_tool_waits_in_the_run(lab: Lab) -> None:
    @tool
    def sign(paper: str) -> str:
        """Sign."""
        return f"signed by {interrupt(paper)}"

    model = perdure.model(Scripted(say=lines(calls("sign", {"paper": "deed"}), "ok")), name="sub")
    agent = create_agent(model, [perdure.tool(sign)])

    @tool
    async def office(paper: str) -> str:
        """Go to the office."""
        output = await agent.ainvoke({"messages": [("user", paper)]})
        return output["messages"][-2].text

    turns = (calls("office", {"paper": "deed"}), "done")
    async with lab.worker(sole(durable(office, *turns))) as runs:
        run = await runs.start("graph", {"messages": []})
        question = await run.question()
        assert question["text"] == "deed"
        await run.decide({"type": "respond", "value": "ann"})
        assert (await run.texts())[-2:] == ["signed by ann", "done"]


async def test_the_author_can_keep_it_in_an_activity(lab: Lab) -> None:
    agent = expert()

    @tool
    async def consult(question: str) -> str:
        """Ask the expert."""
        output = await agent.ainvoke({"messages": [("user", question)]})
        return output["messages"][-1].text

    turns = (calls("consult", {"question": "why?"}), "done")
    async with lab.worker(sole(durable(consult, *turns, where="activity"))) as runs:
        run = await runs.start("graph", {"messages": []})
        assert (await run.texts())[-2:] == ["an expert answer", "done"]
        wanted = [("perdure.model", "m"), ("perdure.tool", "consult"), ("perdure.model", "m")]
        assert kinds(await run.calls()) == wanted


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"where": "here"}, "where='here'"),
        ({"where": "workflow", "effect": True}, "an effect runs as an activity"),
    ],
    ids=str,
)
def test_a_place_that_cannot_be_is_refused(options: Any, text: str) -> None:
    with pytest.raises(BadOption, match=text):
        perdure.tool(search, **options)
