"""`durability="async"`: one activity runs ahead, and the run takes what it brought."""

from collections import Counter
from collections.abc import Callable
from operator import add
from typing import Annotated, Any, TypedDict

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage
from langchain_core.tools import tool
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import interrupt
from temporalio.converter import DataConverter

import perdure
from integration.runtime.fakes import Scripted, calls, lines
from integration.runtime.harness import Lab
from integration.runtime.kinds import shape
from perdure.client.payloads import decoder
from perdure.client.reading import read_timeline
from perdure.core.declared import DECLARED

pytestmark = pytest.mark.timeout(60)
RAN: Counter[str] = Counter()
ASKED: Counter[int] = Counter()


@pytest.fixture(autouse=True)
def _count_anew() -> None:
    RAN.clear()
    ASKED.clear()
    DECLARED.clear()


class Counted(Scripted):
    """Counts its requests by the length of the conversation."""

    def _generate(self, messages: Any, *args: Any, **kwargs: Any) -> Any:
        ASKED[len(messages)] += 1
        return super()._generate(messages, *args, **kwargs)


def look(q: str) -> str:
    """Look something up."""
    RAN[q] += 1
    return f"found {q}"


def slow(q: str) -> str:
    """Look something up, slowly."""
    RAN[q] += 1
    return f"slowly found {q}"


def act(q: str) -> str:
    """Change the world."""
    RAN[q] += 1
    return f"did {q}"


def ask(q: str) -> str:
    """Ask a person."""
    return f"{q}: {interrupt(q)}"


def of(graph: Any, durability: Any = "async") -> perdure.Agents:
    made = perdure.Agents()
    made.register("graph", durability=durability)(lambda: graph)
    return made


def agent(*turns: AIMessage | str, durability: Any = "async", **more: Any) -> perdure.Agents:
    model = perdure.model(Counted(say=lines(*turns, "done")), name="m")
    tools = [
        perdure.tool(look, quick=True),
        perdure.tool(slow),
        perdure.tool(act, effect=True),
        perdure.tool(ask),
    ]
    return of(create_agent(model, tools, **more), durability)


def turns(*names: str) -> list[AIMessage]:
    return [calls(name, {"q": f"q{n}"}, turn=n) for n, name in enumerate(names, 1)]


async def kinds(run: Any) -> list[str]:
    return [call.kind.removeprefix("perdure.") for call in await run.calls()]


@pytest.mark.parametrize("durability", ["async", "exit"])
async def test_ten_turns_are_one_activity(lab: Lab, durability: str) -> None:
    async with lab.worker(agent(*turns(*["look"] * 10), durability=durability)) as runs:
        run = await runs.start("graph")
        texts = await run.texts()
        assert texts[-3:] == ["", "found q10", "done"]
        assert await kinds(run) == ["ahead"]
        assert len(await run.events("WORKFLOW_TASK_COMPLETED")) == 2
    assert set(RAN.values()) == {1}
    assert set(ASKED.values()) == {1}


async def test_it_says_the_same_as_a_run_that_records_each_call(lab: Lab) -> None:
    said: list[Any] = []
    for durability in ("sync", "async"):
        DECLARED.clear()
        async with lab.worker(agent(*turns("look", "look"), durability=durability)) as runs:
            run = await runs.start("graph")
            said.append(shape((await run.result())["messages"]))
    assert said[0] == said[1]


async def test_the_run_says_otherwise_than_its_agent(lab: Lab) -> None:
    async with lab.worker(agent(*turns("look"))) as runs:
        run = await runs.start("graph", durability="sync")
        await run.result()
        assert "ahead" not in await kinds(run)


async def test_an_effect_is_never_run_ahead(lab: Lab) -> None:
    async with lab.worker(agent(*turns("look", "act", "look"))) as runs:
        run = await runs.start("graph")
        assert (await run.texts())[-1] == "done"
        assert await kinds(run) == ["ahead", "tool", "ahead"]
    assert set(RAN.values()) == {1}
    assert set(ASKED.values()) == {1}


async def test_a_tool_that_is_not_quick_is_never_run_ahead(lab: Lab) -> None:
    async with lab.worker(agent(*turns("look", "slow", "look"))) as runs:
        run = await runs.start("graph")
        assert (await run.texts())[-1] == "done"
        assert await kinds(run) == ["ahead", "tool", "ahead"]
    assert set(RAN.values()) == {1}


async def test_a_person_is_asked_by_the_run(lab: Lab) -> None:
    async with lab.worker(agent(*turns("look", "ask", "look"))) as runs:
        run = await runs.start("graph")
        await run.question()
        await run.decide({"type": "respond", "value": "yes"})
        assert "q2: yes" in await run.texts()
    assert set(ASKED.values()) == {1}


async def test_an_approval_is_asked_before_the_tool_runs(lab: Lab) -> None:
    model = perdure.model(Counted(say=lines(*turns("act"), "done")), name="m")
    careful = perdure.tool(act, effect=True, approve=perdure.Approve())
    async with lab.worker(of(create_agent(model, [careful]))) as runs:
        run = await runs.start("graph")
        await run.question()
        assert not RAN
        await run.decide({"type": "approve"})
        assert (await run.texts())[-1] == "done"
    assert RAN == {"q1": 1}


async def test_a_reply_with_a_fault_is_mended_by_the_run(lab: Lab) -> None:
    broken = calls("nowhere", {"q": "x"}, turn=1)
    async with lab.worker(agent(broken, *turns("look"))) as runs:
        run = await runs.start("graph")
        assert (await run.texts())[-1] == "done"
        assert (await kinds(run))[:2] == ["ahead", "model"]


async def test_a_model_that_fails_is_asked_again_by_the_run(lab: Lab) -> None:
    failed: list[int] = []

    class Failing(Counted):
        def _generate(self, messages: Any, *args: Any, **kwargs: Any) -> Any:
            if not failed:
                failed.append(1)
                raise ConnectionError("cut")
            return super()._generate(messages, *args, **kwargs)

    model = perdure.model(Failing(say=lines(*turns("look"), "done")), name="m")
    graph = create_agent(model, [perdure.tool(look, quick=True)])
    async with lab.worker(of(graph)) as runs:
        run = await runs.start("graph")
        assert (await run.texts())[-1] == "done"
        assert (await kinds(run))[0] == "ahead"
        assert "model" in await kinds(run)


class Both(TypedDict):
    said: Annotated[list[str], add]


def branching(model: Any) -> Any:
    def node(name: str) -> Callable[[Both], Any]:
        async def call(state: Both) -> Any:
            reply = await model.ainvoke(name)
            return {"said": [reply.text]}

        return call

    graph = StateGraph(Both)
    for name in ("a", "b", "c"):
        graph.add_node(name, node(name))
        graph.add_edge(START, name)
    return graph.compile()


async def test_branches_of_one_step_share_a_journal(lab: Lab) -> None:
    model = perdure.model(Counted(say=lambda messages: AIMessage(f"re {messages[-1].text}")))
    async with lab.worker(of(branching(model))) as runs:
        run = await runs.start("graph", {"said": []})
        assert (await run.result())["said"] == ["re a", "re b", "re c"]
        assert await kinds(run) == ["ahead"]


async def test_sync_nodes_are_run_ahead_as_well(lab: Lab) -> None:
    model = perdure.model(Counted(say=lambda messages: AIMessage(f"re {messages[-1].text}")))

    def node(state: MessagesState) -> Any:
        return {"messages": [model.invoke(state["messages"])]}

    graph = StateGraph(MessagesState)
    graph.add_node("one", node)
    graph.add_node("two", node)
    graph.add_edge(START, "one")
    graph.add_edge("one", "two")
    async with lab.worker(of(graph.compile())) as runs:
        run = await runs.start("graph")
        assert (await run.texts())[-1] == "re re hello"
        assert await kinds(run) == ["ahead"]


async def test_a_graph_that_differs_each_time_costs_time_only(lab: Lab) -> None:
    seen: Counter[str] = Counter()
    model = perdure.model(Counted(say=lambda messages: AIMessage(f"re {messages[-1].text}")))

    async def node(state: MessagesState) -> Any:
        from temporalio import workflow  # noqa: PLC0415

        here = "run" if workflow.in_workflow() else "ahead"
        seen[here] += 1
        return {"messages": [await model.ainvoke(here)]}

    graph = StateGraph(MessagesState)
    graph.add_node("one", node)
    graph.add_edge(START, "one")
    async with lab.worker(of(graph.compile())) as runs:
        run = await runs.start("graph")
        assert (await run.texts())[-1] == "re run"
        assert await kinds(run) == ["ahead", "model"]
    assert seen["ahead"] == 1


async def test_a_node_that_is_an_activity_is_the_runs_own(lab: Lab) -> None:
    model = perdure.model(Counted(say=lambda messages: AIMessage(f"re {messages[-1].text}")))

    @perdure.node
    def outside(state: MessagesState) -> Any:
        RAN["outside"] += 1
        return {"messages": [AIMessage("from outside")]}

    async def talk(state: MessagesState) -> Any:
        return {"messages": [await model.ainvoke(state["messages"])]}

    graph = StateGraph(MessagesState)
    graph.add_node("talk", talk)
    graph.add_node("outside", outside)
    graph.add_edge(START, "talk")
    graph.add_edge("talk", "outside")
    async with lab.worker(of(graph.compile())) as runs:
        run = await runs.start("graph")
        assert (await run.texts())[-1] == "from outside"
    assert RAN == {"outside": 1}


@tool
def telling(q: str) -> str:
    """Look something up, from code that nobody declared."""
    RAN[q] += 1
    return f"found {q}"


async def test_a_plain_tool_is_not_run_ahead(lab: Lab) -> None:
    model = Counted(say=lines(*turns("telling"), "done"))
    async with lab.worker(of(create_agent(model, [telling]))) as runs:
        run = await runs.start("graph")
        assert (await run.texts())[-1] == "done"
    assert RAN == {"q1": 1}
    assert set(ASKED.values()) == {1}


def test_a_durability_that_is_none_is_refused() -> None:
    with pytest.raises(perdure.errors.BadOption, match="durability='later'"):
        perdure.Agents().register("graph", durability="later")(lambda: None)  # type: ignore[arg-type]


async def test_the_time_line_shows_what_ran_ahead(lab: Lab) -> None:
    async with lab.worker(agent(*turns("look"))) as runs:
        run = await runs.start("graph")
        await run.result()
        line = read_timeline(await run.histories(), decode=decoder(DataConverter.default))
        shown = [(call.kind, call.name) for call in line.calls]
        assert shown == [
            ("activity", "perdure.ahead"),
            ("model", "m"),
            ("tool", "look"),
            ("model", "m"),
        ]
        assert line.calls[2].args == {"q": "q1"}
