"""When all tools of a reply are quick, reply and results come back together: one activity."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware, wrap_tool_call
from langchain.tools import InjectedState, ToolRuntime
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool, InjectedToolCallId, ToolException, tool
from langgraph.config import get_config, get_stream_writer
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from langgraph.types import Command, interrupt
from temporalio.converter import DataConverter

import perdure
from integration.runtime.fakes import Scripted, calls, lines
from integration.runtime.harness import Lab, Started
from integration.runtime.kinds import shape
from perdure.client.payloads import decoder
from perdure.client.reading import read_timeline
from perdure.core import options
from perdure.core.declared import DECLARED

pytestmark = pytest.mark.timeout(60)
Tool = BaseTool | Callable[..., Any]
RAN: Counter[str] = Counter()


@pytest.fixture(autouse=True)
def _count_anew() -> None:
    RAN.clear()


def look(q: str) -> str:
    """Look something up."""
    RAN[q] += 1
    return f"found {q}"


def agents(
    tools: Sequence[Tool], *turns: AIMessage | str, fuse: bool = True, **more: Any
) -> perdure.Agents:
    """Make an agent all of whose tools are quick."""
    DECLARED.clear()
    model = perdure.model(Scripted(say=lines(*turns, "done")), name="m")
    made = create_agent(model, [perdure.tool(one, quick=True) for one in tools], **more)
    return of(made, fuse=fuse)


def of(graph: Any, *, fuse: bool = True) -> perdure.Agents:
    registry = perdure.Agents(fuse=fuse)
    registry.add("graph", graph)
    return registry


async def fused(run: Started) -> int:
    """Count the replies that brought results along."""
    done = await run.events("ACTIVITY_TASK_COMPLETED")
    kept = [e.activity_task_completed_event_attributes.result.payloads[0].data for e in done]
    return sum(b'"fused":' in data for data in kept)


async def markers(run: Started) -> int:
    """Count the quick calls that the graph's own node made."""
    return sum(
        e.marker_recorded_event_attributes.marker_name == "core_local_activity"
        for e in await run.events("MARKER_RECORDED")
    )


def turns(count: int) -> list[AIMessage]:
    return [calls("look", {"q": f"q{n}"}, turn=n) for n in range(1, count + 1)]


async def test_a_fused_turn_takes_six_events(lab: Lab) -> None:
    counts: list[int] = []
    for length in (2, 3):
        async with lab.worker(agents([look], *turns(length))) as runs:
            run = await runs.start("graph")
            await run.result()
            counts.append(len(await run.events()))
            assert [c.kind for c in await run.calls()] == ["perdure.model"] * (length + 1)
    assert counts[1] - counts[0] == 6


async def test_each_tool_of_a_fused_turn_is_called_once(lab: Lab) -> None:
    async with lab.worker(agents([look], *turns(2))) as runs:
        run = await runs.start("graph")
        assert await run.texts() == ["hello", "", "found q1", "", "found q2", "done"]
    assert RAN == {"q1": 1, "q2": 1}


async def test_the_time_line_shows_the_tools_of_a_fused_turn(lab: Lab) -> None:
    async with lab.worker(agents([look], *turns(2))) as runs:
        run = await runs.start("graph")
        await run.result()
        history = await run.handle.fetch_history()
        line = read_timeline([history], decode=decoder(DataConverter.default))
        assert [c.kind for c in line.calls] == ["model", "tool", "model", "tool", "model"]
        first = line.calls[1]
        assert (first.name, first.args, first.call_id) == ("look", {"q": "q1"}, "call-1.1")
        assert (first.outcome, first.attempts, first.quick) == ("ok", 1, True)
        assert first.summary == "tool: look(q='q1')"
        assert first.worker == line.calls[0].worker


async def compare(lab: Lab, make: Callable[[bool], perdure.Agents], **more: Any) -> Started:
    """Run an agent with and without fused turns; both must say the same. Returns the first."""
    said: list[Any] = []
    started: list[Started] = []
    for fuse in (True, False):
        RAN.clear()
        async with lab.worker(make(fuse)) as runs:
            run = await runs.start("graph", **more)
            said.append(shape((await run.result())["messages"]))
            started.append(run)
    assert said[0] == said[1]
    return started[0]


@tool(response_format="content_and_artifact")
def with_artifact(q: str) -> tuple[str, dict[str, Any]]:
    """Find, and show how."""
    return q, {"pair": (1, 2)}


@tool
def own_message(q: str, tool_call_id: Annotated[str, InjectedToolCallId]) -> ToolMessage:
    """Answer by a message."""
    return ToolMessage(f"own {q}", tool_call_id=tool_call_id, name="other")


@tool
def commanding(q: str, tool_call_id: Annotated[str, InjectedToolCallId]) -> Command[Any]:
    """Answer by a command."""
    return Command(update={"messages": [ToolMessage(f"put {q}", tool_call_id=tool_call_id)]})


@tool
async def waiting(q: str) -> str:
    """Wait a little."""
    await asyncio.sleep(0)
    return f"waited {q}"


@tool
def complaining(q: str) -> str:
    """Complain."""
    raise ToolException(f"not {q}")


complaining.handle_tool_error = True


@tool(return_direct=True)
def final(q: str) -> str:
    """End the conversation."""
    return f"final {q}"


ALONE = [look, with_artifact, own_message, commanding, waiting, complaining, final]


@pytest.mark.parametrize("one", ALONE, ids=lambda one: getattr(one, "name", "look"))
async def test_a_fused_tool_says_what_it_says_in_its_node(lab: Lab, one: Tool) -> None:
    name = one.name if isinstance(one, BaseTool) else one.__name__
    asked = calls(name, {"q": "x"}, {"q": "y"})
    run = await compare(lab, lambda fuse: agents([one], asked, fuse=fuse))
    assert await fused(run) == 1
    assert await markers(run) == 0


@tool
def takes_config(q: str, config: RunnableConfig) -> str:
    """Read its config."""
    return f"{q} at {config['metadata']['langgraph_node']}"


@tool
def reads_config(q: str) -> str:
    """Read its config if there is one."""
    try:
        return str(get_config()["configurable"]["colour"])
    except (KeyError, RuntimeError):
        return "none"


@tool
def streams(q: str) -> str:
    """Write to the stream."""
    get_stream_writer()(q)
    return q


@tool
def looks_at_state(q: str, state: Annotated[dict[str, Any], InjectedState]) -> str:
    """Look at the state."""
    return f"{len(state['messages'])}"


@tool
def takes_runtime(q: str, runtime: ToolRuntime) -> str:
    """Take the runtime."""
    return f"{runtime.tool_call_id}"


IN_GRAPH = [takes_config, reads_config, streams, looks_at_state, takes_runtime]


@pytest.mark.parametrize("one", IN_GRAPH, ids=lambda one: one.name)
async def test_a_tool_that_needs_its_graph_is_called_by_its_node(lab: Lab, one: BaseTool) -> None:
    asked = calls(one.name, {"q": "x"})
    run = await compare(
        lab, lambda fuse: agents([one], asked, fuse=fuse), configurable={"colour": "red"}
    )
    assert await fused(run) == 0
    assert await markers(run) == 1


async def test_a_tool_that_asks_a_person_asks_from_its_node(lab: Lab) -> None:
    @tool
    def which(q: str) -> str:
        """Ask which."""
        return f"{q}: {interrupt('which?')}"

    async with lab.worker(agents([which], calls("which", {"q": "x"}))) as runs:
        run = await runs.start("graph")
        question = await run.question()
        await run.decide({"type": "respond", "by": "ann", "question": question["id"], "value": 7})
        assert (await run.texts())[2] == "x: 7"
        assert await fused(run) == 0


async def test_a_tool_that_fails_is_left_to_its_node(lab: Lab) -> None:
    @tool
    def failing(q: str) -> str:
        """Fail."""
        RAN[q] += 1
        raise ValueError(f"no {q}")

    async with lab.worker(agents([failing], calls("failing", {"q": "x"}))) as runs:
        run = await runs.start("graph")
        error = await run.failure()
        assert error.type == "tool_failed"
        assert "no x" in str(error)
        assert await markers(run) == 1
    assert RAN == {"x": 2}


async def test_a_result_that_is_missing_leaves_the_others_in_place(lab: Lab) -> None:
    @tool
    def flaky(q: str) -> str:
        """Fail once for one of them."""
        RAN[q] += 1
        if q == "b" and RAN[q] == 1:
            raise ConnectionError("cut")
        return f"found {q}"

    asked = calls("flaky", {"q": "a"}, {"q": "b"}, {"q": "c"})
    async with lab.worker(agents([flaky], asked)) as runs:
        run = await runs.start("graph")
        assert (await run.texts())[2:5] == ["found a", "found b", "found c"]
        assert await markers(run) == 1
    assert RAN == {"a": 1, "b": 2, "c": 1}


async def test_a_large_result_is_left_to_its_node(lab: Lab) -> None:
    @tool
    def much(size: int) -> str:
        """Return much."""
        return "x" * size

    size = options.QUICK_RESULT + 1
    async with lab.worker(agents([much], calls("much", {"size": size}))) as runs:
        run = await runs.start("graph")
        assert len((await run.texts())[2]) == size
        assert await fused(run) == 0


async def test_one_tool_that_is_not_quick_leaves_all_to_the_graph(lab: Lab) -> None:
    def other(q: str) -> str:
        """Look elsewhere."""
        return q

    both = calls("look", {"q": "x"})
    both.tool_calls.append({"name": "other", "args": {"q": "y"}, "id": "b", "type": "tool_call"})
    model = perdure.model(Scripted(say=lines(both, "done")), name="m")
    made = create_agent(model, [perdure.tool(look, quick=True), perdure.tool(other)])
    async with lab.worker(of(made)) as runs:
        run = await runs.start("graph")
        await run.result()
        assert await fused(run) == 0
    assert RAN == {"x": 1}


OFF: dict[str, dict[str, Any]] = {
    "model": {"options": {"models": {"m": {"fuse": False}}}},
    "tool": {"options": {"tools": {"look": {"quick": False}}}},
    "tools": {"options": {"tools": {"*": {"quick": False}}}},
    "custom": {"stream": ["custom"]},
}


@pytest.mark.parametrize("off", OFF.values(), ids=OFF.keys())
async def test_a_run_can_be_without_fused_turns(lab: Lab, off: dict[str, Any]) -> None:
    async with lab.worker(agents([look], *turns(1))) as runs:
        run = await runs.start("graph", **off)
        assert (await run.texts())[2] == "found q1"
        assert await fused(run) == 0
    assert RAN == {"q1": 1}


async def test_a_run_can_have_fused_turns_where_its_agents_have_none(lab: Lab) -> None:
    async with lab.worker(agents([look], *turns(1), fuse=False)) as runs:
        run = await runs.start("graph", options={"models": {"*": {"fuse": True}}})
        await run.result()
        assert await fused(run) == 1


async def test_middleware_sees_the_calls_of_a_fused_turn(lab: Lab) -> None:
    @wrap_tool_call
    async def shout(request: Any, handler: Any) -> Any:
        answer = await handler(request)
        return answer.model_copy(update={"content": answer.content.upper()})

    run = await compare(lab, lambda fuse: agents([look], *turns(1), fuse=fuse, middleware=[shout]))
    assert "FOUND Q1" in await run.texts()
    assert await fused(run) == 1
    assert await markers(run) == 0


async def test_changed_arguments_make_another_call(lab: Lab) -> None:
    @wrap_tool_call
    async def change(request: Any, handler: Any) -> Any:
        call = {**request.tool_call, "args": {"q": "other"}}
        return await handler(request.override(tool_call=call))

    run = await compare(lab, lambda fuse: agents([look], *turns(1), fuse=fuse, middleware=[change]))
    assert "found other" in await run.texts()
    assert await markers(run) == 1


async def test_a_tool_that_a_person_reviews_does_not_run_before(lab: Lab) -> None:
    review = HumanInTheLoopMiddleware(interrupt_on={"look": True})
    async with lab.worker(agents([look], *turns(1), middleware=[review])) as runs:
        run = await runs.start("graph")
        question = await run.question()
        assert RAN == {}
        await run.decide({"type": "reject", "by": "ann", "question": question["id"]})
        await run.result()
    assert RAN == {}


async def test_a_breakpoint_holds_back_the_tools(lab: Lab) -> None:
    async with lab.worker(agents([look], *turns(1))) as runs:
        run = await runs.start("graph", interrupt_before=["tools"])
        question = await run.question()
        assert RAN == {}
        await run.decide({"type": "approve", "by": "ann", "question": question["id"]})
        assert (await run.texts())[2] == "found q1"


@pytest.mark.parametrize("handled", [True, False])
async def test_a_tool_node_of_ones_own_takes_the_results(lab: Lab, handled: bool) -> None:
    def make(fuse: bool) -> perdure.Agents:
        DECLARED.clear()
        said = [calls("look", {"q": "x"}, {"q": "y"}), "done"]
        model = perdure.model(Scripted(say=lines(*said)), name="m")

        async def ask(state: MessagesState) -> dict[str, Any]:
            return {"messages": [await model.ainvoke(state["messages"])]}

        node = ToolNode([perdure.tool(look, quick=True)], handle_tool_errors=handled)
        graph = StateGraph(MessagesState).add_node("ask", ask).add_node("tools", node)
        graph.add_edge(START, "ask").add_conditional_edges("ask", tools_condition)
        return of(graph.add_edge("tools", "ask").compile(), fuse=fuse)

    run = await compare(lab, make)
    assert await fused(run) == 1
    assert await markers(run) == 0
