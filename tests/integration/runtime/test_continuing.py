"""A run that goes on in new executions gives what it would have given in one."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Any, TypedDict

from langchain.agents import create_agent
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langgraph.func import entrypoint, task
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import Send, interrupt

import perdure
from integration.runtime.fakes import Scripted, calls, sole
from integration.runtime.harness import Lab, Runs, Started
from perdure.workflow.subagents import run_agent

SOON = {"events": 30, "bytes": 10_000_000}
"""An execution ends after two or three turns of an agent."""


class Counted(list[str]):
    """What the bodies of models and tools did, in the order in which they did it."""

    @property
    def tally(self) -> Counter[str]:
        return Counter(self)


def thinking(done: Counted, turns: int, *, tool: str = "look", name: str = "m") -> Any:
    """Declare a model that calls a tool so many times, one after the other."""

    def say(messages: list[BaseMessage]) -> AIMessage:
        number = sum(isinstance(m, AIMessage) for m in messages) + 1
        done.append(f"{name} {number}")
        if number > turns:
            return AIMessage(f"{name} is done")
        return calls(tool, {"q": f"{name}-{number}"}, turn=number)

    return perdure.model(Scripted(say=say), name=name)


def looking(done: Counted, name: str = "look", **options: Any) -> Any:
    """Declare a tool that notes what it was asked."""

    def look(q: str) -> str:
        """Look something up."""
        done.append(f"{name} {q}")
        return f"found {q}"

    return perdure.tool(look, name=name, **options)


def looping(
    done: Counted, turns: int, *, name: str = "m", checkpointer: Any = None, **options: Any
) -> Any:
    """Make an agent that calls a tool so many times, one after the other."""
    tool = f"look-{name}"
    model = thinking(done, turns, tool=tool, name=name)
    tools = [looking(done, tool, **options)]
    return create_agent(model, tools, name=name, checkpointer=checkpointer)


async def both(
    runs: Runs, done: Counted, *, at_least: int = 2, skip: bool = False, **more: Any
) -> Started:
    """Run an agent in one execution and in several; both must do and give the same."""
    whole = await runs.start("graph", **more)
    expected, tally = plain(await whole.result(skip=skip)), done.tally
    done.clear()
    run = await runs.start("graph", continues=SOON, **more)
    assert plain(await run.result(skip=skip)) == expected
    assert done.tally == tally
    assert len(await run.histories()) >= at_least
    return run


def plain(output: Any) -> Any:
    """Write an output without the ids of messages, which differ between runs."""
    if isinstance(output, BaseMessage):
        return type(output).__name__, output.text
    if isinstance(output, dict):
        return {key: plain(value) for key, value in output.items()}
    return (
        [plain(one) for one in output]
        if isinstance(output, Sequence | set) and not isinstance(output, str)
        else output
    )


async def test_an_agent_goes_on_in_the_middle_of_its_loop(lab: Lab):
    done = Counted()
    async with lab.worker(sole(looping(done, 12))) as runs:
        await both(runs, done, at_least=4)


async def test_an_agent_that_is_a_node_goes_on_inside(lab: Lab):
    done = Counted()
    graph = StateGraph(MessagesState)
    graph.add_node("agent", looping(done, 10))
    graph.add_node("after", lambda state: {"messages": [HumanMessage("after")]})
    graph.add_edge(START, "agent").add_edge("agent", "after")
    async with lab.worker(sole(graph.compile())) as runs:
        await both(runs, done, at_least=3)


async def test_agents_side_by_side_go_on_each_where_it_was(lab: Lab):
    done = Counted()
    graph = StateGraph(MessagesState)
    for name, turns in (("a", 3), ("b", 8)):
        graph.add_node(name, looping(done, turns, name=name))
        graph.add_edge(START, name)
    async with lab.worker(sole(graph.compile())) as runs:
        await both(runs, done)


async def test_what_a_long_node_did_is_not_done_again(lab: Lab):
    done = Counted()
    agent = looping(done, 8)
    tool = looking(done, "count")

    async def node(state: MessagesState) -> Any:
        found = [await tool.ainvoke({"q": str(n)}) for n in range(8)]
        answer = await agent.ainvoke({"messages": [("user", " ".join(found))]})
        more = await asyncio.gather(*(tool.ainvoke({"q": f"late {n}"}) for n in range(8)))
        return {"messages": [answer["messages"][-1], AIMessage(" ".join(more))]}

    graph = StateGraph(MessagesState)
    graph.add_node("node", node)
    graph.add_edge(START, "node")
    async with lab.worker(sole(graph.compile())) as runs:
        await both(runs, done)


async def test_tasks_of_an_entrypoint_are_not_done_again(lab: Lab):
    done = Counted()
    tool = looking(done)

    @task
    async def step(n: int) -> str:
        done.append(f"step {n}")
        return await tool.ainvoke({"q": str(n)})

    @entrypoint()
    async def main(given: Any) -> list[str]:
        first = [await step(n) for n in range(10)]
        direct = [await tool.ainvoke({"q": f"direct {n}"}) for n in range(10)]
        rest = await asyncio.gather(*(step(n) for n in range(10, 20)))
        return [*first, *direct, *rest]

    async with lab.worker(sole(main)) as runs:
        whole = await runs.start("graph")
        expected = await whole.result()
        tools = done.tally
        done.clear()
        run = await runs.start("graph", continues=SOON)
        assert await run.result() == expected
        assert {k: v for k, v in done.tally.items() if k.startswith("look")} == {
            k: v for k, v in tools.items() if k.startswith("look")
        }
        assert len(await run.histories()) > 1


class Fan(TypedDict):
    found: Annotated[list[str], lambda a, b: [*a, *b]]


async def test_branches_of_a_fan_out_are_done_once(lab: Lab):
    done = Counted()
    tool = looking(done)

    async def one(state: Any) -> Any:
        return {
            "found": [await tool.ainvoke({"q": f"{state['n']}.{k}"}) for k in range(state["n"])]
        }

    async def none(state: Any) -> Any:
        return {}

    graph = StateGraph(Fan)
    graph.add_node("one", one)
    graph.add_node("none", none)
    graph.add_edge(START, "none")
    graph.add_conditional_edges("none", lambda state: [Send("one", {"n": n}) for n in range(7)])
    async with lab.worker(sole(graph.compile())) as runs:
        await both(runs, done, input={"found": []})


async def test_node_activities_are_done_once(lab: Lab):
    done = Counted()

    async def work(state: Any) -> Any:
        done.append(f"work {len(state['found'])}")
        return {"found": [f"work {len(state['found'])}"]}

    graph = StateGraph(Fan)
    graph.add_node("work", perdure.node(work, name="work"))
    graph.add_edge(START, "work")
    graph.add_conditional_edges(
        "work", lambda state: "work" if len(state["found"]) < 12 else "__end__"
    )
    async with lab.worker(sole(graph.compile())) as runs:
        await both(runs, done, input={"found": []})


async def test_a_failed_call_of_a_long_node_fails_once(lab: Lab):
    done = Counted()
    tool = looking(done)

    def broken(q: str) -> str:
        """Fail."""
        done.append(f"broken {q}")
        raise ValueError("no such thing")

    bad = perdure.tool(broken)

    async def node(state: Fan) -> Any:
        try:
            await bad.ainvoke({"q": "x"})
        except ValueError as error:
            told = str(error)
        else:
            told = "fine"
        return {"found": [told, *[await tool.ainvoke({"q": str(n)}) for n in range(20)]]}

    graph = StateGraph(Fan)
    graph.add_node("node", node)
    graph.add_edge(START, "node")
    async with lab.worker(sole(graph.compile())) as runs:
        await both(runs, done, input={"found": []})


async def test_effects_keep_keys_of_their_own(lab: Lab):
    done, keys = Counted(), list[str]()

    def say(messages: list[BaseMessage]) -> AIMessage:
        number = sum(isinstance(m, AIMessage) for m in messages) + 1
        return AIMessage("done") if number > 12 else calls("pay", {"amount": 1}, turn=number)

    def pay(amount: int) -> str:
        """Pay."""
        keys.append(str(perdure.effect_key()))
        return "paid"

    model = perdure.model(Scripted(say=say), name="m")
    agent = create_agent(model, [perdure.tool(pay, effect=True)])
    async with lab.worker(sole(agent)) as runs:
        run = await both(runs, done)
        assert len(set(keys)) == len(keys) == 24
        mine = [key for key in keys if key.startswith(run.id)]
        assert len({key.split(":")[1] for key in mine}) == 1


async def test_totals_are_those_of_the_whole_run(lab: Lab):
    done = Counted()
    tool = looking(done, "count")

    async def node(state: MessagesState) -> Any:
        for n in range(15):
            await tool.ainvoke({"q": str(n)})
        return {"messages": [AIMessage(interrupt("go on?"))]}

    graph = StateGraph(MessagesState)
    graph.add_node("agent", looping(done, 10))
    graph.add_node("node", node)
    graph.add_edge(START, "agent").add_edge("agent", "node")
    async with lab.worker(sole(graph.compile())) as runs:
        run = await runs.start("graph", continues=SOON)
        question = await run.question()
        status = await run.query("status")
        assert (status["model_calls"], status["tool_calls"]) == (11, 25)
        assert status["executions"] > 3
        await run.decide({"type": "respond", "value": "yes", "question": question["id"]})
        assert (await run.texts())[-1] == "yes"


async def test_the_recursion_limit_counts_over_all_executions(lab: Lab):
    done = Counted()
    async with lab.worker(sole(looping(done, 12))) as runs:
        whole = await (await runs.start("graph", recursion_limit=20)).failure()
        tally = done.tally
        done.clear()
        run = await runs.start("graph", recursion_limit=20, continues=SOON)
        assert (await run.failure()).message == whole.message
        assert done.tally == tally
        assert len(await run.histories()) > 2
        enough = await runs.start("graph", recursion_limit=25, continues=SOON)
        assert (await enough.texts())[-1] == "m is done"


async def test_a_run_with_an_open_child_run_waits_for_it(lab: Lab):
    done = Counted()
    agents = perdure.Agents()
    agents.add("inner", looping(done, 6, name="i"))

    async def node(state: MessagesState) -> Any:
        output = await run_agent("inner", {"messages": [("user", "go")]})
        return {"messages": output["messages"][-1:]}

    graph = StateGraph(MessagesState)
    graph.add_node("agent", looping(done, 6))
    graph.add_node("node", node)
    graph.add_node("more", looping(done, 6, name="n"))
    graph.add_edge(START, "agent").add_edge("agent", "node").add_edge("node", "more")
    agents.add("graph", graph.compile())
    async with lab.worker(agents) as runs:
        await both(runs, done)
