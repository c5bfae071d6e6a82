"""Plain models and tools in runs: nobody declared them, and each call is an activity."""

from collections import Counter
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.chat_models import init_chat_model
from langchain_core.caches import InMemoryCache
from langchain_core.globals import set_llm_cache
from langchain_core.tools import BaseTool, StructuredTool, tool
from langchain_openai import ChatOpenAI
from langgraph.graph import MessagesState
from llmock.pytest_plugin import LLMock
from pydantic import BaseModel

import perdure
from integration.runtime.fakes import Scripted, calls, chain, lines, sole
from integration.runtime.harness import Lab, Runs, Started
from perdure.testing.replay import assert_replays

pytestmark = pytest.mark.timeout(90)


def plain(*answers: Any) -> Scripted:
    return Scripted(say=lines(*answers))


@tool
def find(q: str) -> str:
    """Find something."""
    return f"found {q}"


def other_find() -> BaseTool:
    def find(q: str) -> str:
        """Find something else."""
        return f"else {q}"

    return StructuredTool.from_function(find)


async def named(run: Started) -> Counter[str]:
    """Count the activities by the name of the model or tool."""
    await run.result()
    return Counter(one.input.get("model") or one.input.get("tool") for one in await run.calls())


async def ran(runs: Runs, agent: str = "graph") -> Started:
    run = await runs.start(agent)
    await run.result()
    return run


async def test_the_model_and_the_tools_of_a_plain_agent_are_activities(lab: Lab) -> None:
    first = calls("find", {"q": "a"}, {"q": "b"})
    agents = sole(create_agent(plain(first, "done"), [find]))
    async with lab.worker(agents) as runs:
        assert await named(await runs.start("graph")) == {"Scripted": 2, "find": 2}


async def test_a_model_that_a_node_closes_over_is_found(lab: Lab) -> None:
    model = plain("done")

    async def ask(state: MessagesState) -> Any:
        return {"messages": [await model.ainvoke(state["messages"])]}

    async with lab.worker(chain(ask)) as runs:
        assert await named(await runs.start("graph")) == {"Scripted": 1}


async def test_a_copy_of_a_model_is_the_same_model(lab: Lab) -> None:
    model = plain("done")

    async def ask(state: MessagesState) -> Any:
        copy = model.model_copy().with_config(tags=["x"]).bind(stop=["."]).with_retry()
        return {"messages": [await copy.ainvoke(state["messages"])]}

    async with lab.worker(chain(ask)) as runs:
        assert await named(await runs.start("graph")) == {"Scripted": 1}


async def test_sync_nodes_call_plain_models_and_tools(lab: Lab) -> None:
    model = plain("done")

    def ask(state: MessagesState) -> Any:
        return {"messages": [find.invoke({"q": "a"}), model.invoke(state["messages"])]}

    async with lab.worker(chain(ask)) as runs:
        assert await named(await runs.start("graph")) == {"Scripted": 1, "find": 1}


async def test_a_stream_of_a_plain_model_is_one_activity(lab: Lab) -> None:
    model = plain("done")

    async def ask(state: MessagesState) -> Any:
        return {"messages": [chunk async for chunk in model.astream(state["messages"])]}

    async with lab.worker(chain(ask)) as runs:
        assert await named(await runs.start("graph")) == {"Scripted": 1}


async def test_a_declared_model_is_not_intercepted_twice(lab: Lab) -> None:
    model = perdure.model(plain(calls("find", {"q": "a"}), "done"), name="m")
    async with lab.worker(sole(create_agent(model, [perdure.tool(find)]))) as runs:
        assert await named(await runs.start("graph")) == {"m": 2, "find": 1}


async def test_the_plain_object_behind_a_declared_tool_keeps_its_name(lab: Lab) -> None:
    perdure.tool(find, effect=True)

    async def ask(state: MessagesState) -> Any:
        return {"messages": [await find.ainvoke({"q": "a"})]}

    async with lab.worker(chain(ask)) as runs:
        run = await ran(runs)
        assert (await run.calls())[0].input["key"]


async def test_two_tools_of_one_name_are_told_apart_by_their_place(lab: Lab) -> None:
    other = other_find()

    async def ask(state: MessagesState) -> Any:
        first, second = await find.ainvoke({"q": "1"}), await other.ainvoke({"q": "2"})
        return {"messages": [first, second]}

    async with lab.worker(chain(ask)) as runs:
        run = await runs.start("graph")
        assert (await run.texts())[1:] == ["found 1", "else 2"]
        places = ["find", "other_find.<locals>.find"]
        assert await named(run) == {f"find ({__name__}.{place})": 1 for place in places}


async def test_a_tool_made_in_a_run_is_an_error_with_the_mend(lab: Lab) -> None:
    async def ask(state: MessagesState) -> Any:
        made = other_find()
        return {"messages": [await made.ainvoke({"q": "1"})]}

    async with lab.worker(chain(ask)) as runs:
        failure = await (await runs.start("graph")).failure()
        assert (failure.type, "find = perdure.tool(find)" in failure.message) == (
            "unknown_tool",
            True,
        )


async def test_without_interception_a_plain_model_is_an_error_with_the_line(lab: Lab) -> None:
    model = plain("done")

    async def ask(state: MessagesState) -> Any:
        return {"messages": [await model.ainvoke(state["messages"])]}

    agents = perdure.Agents(intercept=False)
    agents.add("graph", chain(ask).graph("graph"))
    async with lab.worker(agents) as runs:
        failure = await (await runs.start("graph")).failure()
        assert failure.type == "unknown_model"
        assert 'model = perdure.model(Scripted(model="..."))' in failure.message


async def test_a_history_from_before_interception_replays(lab: Lab) -> None:
    async def ask(state: MessagesState) -> Any:
        return {"messages": [await find.ainvoke({"q": "a"})]}

    graph = chain(ask).graph("graph")
    before, now = perdure.Agents(intercept=False), perdure.Agents()
    before.add("graph", graph)
    now.add("graph", graph)
    async with lab.worker(before) as runs:
        run = await ran(runs)
        assert await run.calls() == []
        await assert_replays(now, await run.handle.fetch_history())


async def test_the_cache_of_langchain_is_not_asked_in_a_run(lab: Lab) -> None:
    model = plain("done", "done")

    async def ask(state: MessagesState) -> Any:
        again = [await model.ainvoke("hi") for _ in range(2)]
        return {"messages": again}

    set_llm_cache(InMemoryCache())
    try:
        async with lab.worker(chain(ask)) as runs:
            assert await named(await runs.start("graph")) == {"Scripted": 2}
    finally:
        set_llm_cache(None)


class Answer(BaseModel):
    """An answer."""

    text: str


class TestModelsMadeInARun:
    """A model that a node makes: by a name that says how, or not at all."""

    async def test_its_name_says_how_to_make_it(self, lab: Lab, llmock: LLMock) -> None:
        async def ask(state: MessagesState) -> Any:
            made = ChatOpenAI(model="gpt-4o", temperature=0.5, max_tokens=50)
            return {"messages": [await made.ainvoke(state["messages"])]}

        async with lab.worker(chain(ask)) as runs:
            assert await named(await runs.start("graph")) == {
                'openai:gpt-4o {"max_tokens":50,"temperature":0.5}': 1
            }
        assert llmock.last_request.body["temperature"] == 0.5

    async def test_a_configurable_model_is_made_of_the_config(
        self, lab: Lab, llmock: LLMock
    ) -> None:
        model = init_chat_model(temperature=0)

        async def ask(state: MessagesState) -> Any:
            where: Any = {"configurable": {"model": "anthropic:claude-sonnet-4-6"}}
            return {"messages": [await model.ainvoke(state["messages"], where)]}

        async with lab.worker(chain(ask)) as runs:
            (name,) = await named(await runs.start("graph"))
            assert name == 'anthropic:claude-sonnet-4-6 {"temperature":0.0}'

    async def test_a_changed_copy_is_made_of_its_settings(self, lab: Lab, llmock: LLMock) -> None:
        model = ChatOpenAI(model="gpt-4o")

        async def ask(state: MessagesState) -> Any:
            warmer = model.model_copy(update={"temperature": 0.9})
            return {"messages": [await warmer.ainvoke(state["messages"])]}

        async with lab.worker(chain(ask)) as runs:
            assert await named(await runs.start("graph")) == {
                'openai:gpt-4o {"temperature":0.9}': 1
            }

    @pytest.mark.parametrize("own", [{"api_key": "sk-secret"}, {"base_url": "http://elsewhere"}])
    async def test_its_own_key_or_address_is_an_error(
        self, lab: Lab, llmock: LLMock, own: dict[str, Any]
    ) -> None:
        async def ask(state: MessagesState) -> Any:
            made = ChatOpenAI(model="gpt-4o", **own)
            return {"messages": [await made.ainvoke(state["messages"])]}

        async with lab.worker(chain(ask)) as runs:
            failure = await (await runs.start("graph")).failure()
            assert failure.type == "unknown_model"
            assert 'perdure.model(ChatOpenAI(model="gpt-4o"))' in failure.message
            assert not any(str(value) in failure.message for value in own.values())
        assert llmock.requests == []

    async def test_structured_output_of_a_plain_model_is_parsed(
        self, lab: Lab, llmock: LLMock
    ) -> None:
        model = ChatOpenAI(model="gpt-4o")

        async def ask(state: MessagesState) -> Any:
            asked = model.with_structured_output(Answer, method="json_schema")
            answer: Any = await asked.ainvoke(state["messages"])
            return {"messages": [answer.text]}

        llmock.reply('{"text": "fine"}')
        async with lab.worker(chain(ask)) as runs:
            assert (await (await runs.start("graph")).texts())[-1] == "fine"
