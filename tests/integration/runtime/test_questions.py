"""A run that asks a person waits, and goes on with the answer."""

import operator
from typing import Annotated, Any

import pytest
from langchain_core.messages import HumanMessage
from langchain_core.runnables import RunnableConfig
from langgraph.graph import START, StateGraph
from langgraph.types import interrupt
from typing_extensions import TypedDict

import perdure
from integration.runtime.fakes import chain, sole
from integration.runtime.harness import Lab

pytestmark = pytest.mark.timeout(60)
APPROVE = {"type": "approve", "by": "ann"}


class Log(TypedDict):
    log: Annotated[list[Any], operator.add]


EMPTY: Log = {"log": []}


def free(state: Log) -> Log:
    return {"log": [interrupt("which colour?")]}


def own(state: Log) -> Log:
    decision = perdure.ask("send it?", action="send", args={"to": "bob"}, text="**Dear** Bob")
    return {"log": [f"{decision.type} by {decision.by}"]}


def asking(*nodes: Any) -> perdure.Agents:
    return chain(*nodes, schema=Log)


async def test_a_free_interrupt_returns_the_value_of_the_response(lab: Lab) -> None:
    async with lab.worker(asking(free)) as runs:
        run = await runs.start("graph", EMPTY)
        await run.question()
        await run.decide({"type": "respond", "value": {"colour": "red"}})
        assert await run.result() == {"log": [{"colour": "red"}]}


async def test_a_free_interrupt_is_described_by_its_text_and_node(lab: Lab) -> None:
    async with lab.worker(asking(free)) as runs:
        run = await runs.start("graph", EMPTY)
        asked = await run.question()
        assert (asked["title"], asked["node"], asked["allowed"]) == (
            "which colour?",
            "free",
            ["respond"],
        )


async def test_ask_returns_the_decision_in_the_node(lab: Lab) -> None:
    async with lab.worker(asking(own)) as runs:
        run = await runs.start("graph", EMPTY)
        await run.question()
        await run.decide(APPROVE)
        assert await run.result() == {"log": ["approve by ann"]}


async def test_ask_shows_everything_a_person_needs(lab: Lab) -> None:
    async with lab.worker(asking(own)) as runs:
        run = await runs.start("graph", EMPTY)
        asked = await run.question()
        shown = {key: asked[key] for key in ("title", "action", "args", "text", "node")}
        assert shown == {
            "title": "send it?",
            "action": "send",
            "args": {"to": "bob"},
            "text": "**Dear** Bob",
            "node": "own",
        }


async def test_two_questions_in_sequence_are_asked_one_after_the_other(lab: Lab) -> None:
    async with lab.worker(asking(free, own)) as runs:
        run = await runs.start("graph", EMPTY)
        first = await run.question()
        await run.decide({"type": "respond", "value": "red"})
        second = await run.question()
        await run.decide(APPROVE)
        assert [first["node"], second["node"]] == ["free", "own"]
        assert await run.result() == {"log": ["red", "approve by ann"]}


async def test_two_questions_in_one_node_are_asked_one_after_the_other(lab: Lab) -> None:
    def both(state: Log) -> Log:
        return {"log": [interrupt("first?"), interrupt("second?")]}

    async with lab.worker(asking(both)) as runs:
        run = await runs.start("graph", EMPTY)
        titles = []
        for answer in (1, 2):
            titles.append((await run.question())["title"])
            await run.decide({"type": "respond", "value": answer})
        assert titles == ["first?", "second?"]
        assert await run.result() == {"log": [1, 2]}


def side_by_side() -> perdure.Agents:
    def left(state: Log) -> Log:
        return {"log": [interrupt("left?")]}

    def right(state: Log) -> Log:
        return {"log": [interrupt("right?")]}

    def after(state: Log) -> Log:
        return {"log": ["after"]}

    graph = StateGraph(Log)
    for node in (left, right, after):
        graph.add_node(node)
    graph.add_edge(START, "left")
    graph.add_edge(START, "right")
    graph.add_edge(["left", "right"], "after")
    return sole(graph)


async def test_parallel_nodes_ask_at_once_under_ids_of_their_own(lab: Lab) -> None:
    async with lab.worker(side_by_side()) as runs:
        run = await runs.start("graph", EMPTY)
        asked = await run.questions(2)
        assert {question["node"] for question in asked} == {"left", "right"}
        assert len({question["id"] for question in asked}) == 2


async def test_parallel_questions_get_each_its_own_answer(lab: Lab) -> None:
    async with lab.worker(side_by_side()) as runs:
        run = await runs.start("graph", EMPTY)
        asked = {question["node"]: question["id"] for question in await run.questions(2)}
        for node in ("right", "left"):
            await run.decide({"type": "respond", "value": f"to {node}", "question": asked[node]})
        assert await run.result() == {"log": ["to left", "to right", "after"]}


async def test_the_graph_waits_until_the_last_parallel_question_is_decided(lab: Lab) -> None:
    async with lab.worker(side_by_side()) as runs:
        run = await runs.start("graph", EMPTY)
        first, second = [question["id"] for question in await run.questions(2)]
        await run.decide({"type": "respond", "value": "x", "question": first})
        assert [question["id"] for question in await run.questions(1)] == [second]


async def test_a_question_without_a_name_is_refused_while_several_are_open(lab: Lab) -> None:
    async with lab.worker(side_by_side()) as runs:
        run = await runs.start("graph", EMPTY)
        asked = await run.questions(2)
        refusal = await run.refused({"type": "respond", "value": "x"})
        assert refusal.type == "bad_decision"
        assert all(question["id"] in str(refusal) for question in asked)


async def test_a_question_keeps_its_id_over_replays(lab: Lab) -> None:
    async with lab.worker(asking(free)) as runs:
        run = await runs.start("graph", EMPTY)
        ids = {(await run.question())["id"] for _ in range(3)}
        assert len(ids) == 1


def checkpoint_id(config: RunnableConfig) -> str:
    """Return the newest checkpoint's id, as LangGraph hands it to a subgraph."""
    checkpoints: dict[str, str] = config["configurable"]["checkpoint_map"]
    return checkpoints[""]


async def test_ids_are_the_same_in_every_replay(lab: Lab) -> None:
    seen: list[tuple[str, str, str]] = []

    def first(state: dict[str, Any]) -> dict[str, Any]:
        return {"messages": [HumanMessage("no id yet")]}

    def second(state: dict[str, Any], config: RunnableConfig) -> None:
        place: str = config["configurable"]["checkpoint_ns"]
        seen.append((state["messages"][-1].id, checkpoint_id(config), place))
        interrupt("now?")

    async with lab.worker(chain(first, second)) as runs:
        run = await runs.start("graph")
        for _ in range(2):
            await run.question()
        await run.decide({"type": "respond", "value": 1})
        await run.result()
    # Run twice, for the question and its answer, and again by the replay at the worker's end.
    assert len(seen) >= 4
    assert len({*seen}) == 1


async def test_checkpoint_ids_grow_within_one_workflow_task(lab: Lab) -> None:
    ids: list[str] = []

    def one(state: Log, config: RunnableConfig) -> None:
        ids.append(checkpoint_id(config))

    def two(state: Log, config: RunnableConfig) -> None:
        ids.append(checkpoint_id(config))

    async with lab.worker(asking(one, two)) as runs:
        run = await runs.start("graph", EMPTY)
        await run.result()
        assert ids[0] < ids[1]


async def test_a_breakpoint_before_a_node_waits_for_approval(lab: Lab) -> None:
    def step(state: Log) -> Log:
        return {"log": ["stepped"]}

    graph = StateGraph(Log).add_sequence([step]).add_edge(START, "step")
    async with lab.worker(sole(graph.compile(interrupt_before=["step"]))) as runs:
        run = await runs.start("graph", EMPTY)
        assert (await run.question())["title"] == "paused before step"
        await run.decide(APPROVE)
        assert await run.result() == {"log": ["stepped"]}


async def test_a_run_can_wait_in_parallel_to_a_call_that_is_under_way(lab: Lab) -> None:
    looked: list[str] = []

    def look(q: str) -> str:
        """Look."""
        looked.append(q)
        return q

    tool = perdure.tool(look)

    async def work(state: Log) -> Log:
        return {"log": [await tool.ainvoke({"q": "work"})]}

    graph = StateGraph(Log).add_node(work).add_node(free)
    graph.add_edge(START, "work")
    graph.add_edge(START, "free")
    async with lab.worker(sole(graph)) as runs:
        run = await runs.start("graph", EMPTY)
        await run.question()
        await run.decide({"type": "respond", "value": "red"})
        assert sorted((await run.result())["log"]) == ["red", "work"]
        assert looked == ["work"]
