"""What streams beside the history is what plain LangGraph streams, and never twice."""

import operator
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any, cast

import pytest
from langchain.agents import create_agent
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.config import get_stream_writer
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import interrupt
from typing_extensions import TypedDict

import perdure
from integration.runtime.fakes import Scripted, calls, lines, search, sole
from integration.runtime.harness import HELLO, Lab, Runs, Started
from perdure.client import Client, End, Part, Reset
from perdure.core.jsons import plain
from perdure.core.wire import STREAM_MODES
from perdure.errors import BadInput, BadOption
from perdure.storage.sinks import MemorySink
from perdure.worker.agents import Agents

pytestmark = pytest.mark.timeout(60)


class Talker(Scripted):
    """Say it word by word; fail at a word if `fault` says so."""

    fault: Callable[[str], None] = lambda _word: None

    def _generate(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **_: Any
    ) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=self.say(messages).model_copy())])

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **_: Any,
    ) -> Iterator[ChatGenerationChunk]:
        whole = self.say(messages)
        for number, word in enumerate(whole.text.split(" ")):
            self.fault(word)
            text = word if number == 0 else f" {word}"
            yield ChatGenerationChunk(message=AIMessageChunk(text))
        if whole.tool_calls:
            parts = [
                {"name": c["name"], "args": '{"q": "x"}', "id": c["id"], "index": 0}
                for c in whole.tool_calls
            ]
            yield ChatGenerationChunk(
                message=AIMessageChunk("", tool_call_chunks=cast("Any", parts))
            )


class Once:
    """Fail at one word, the first time only."""

    def __init__(self, word: str) -> None:
        self.word = word
        self.failed = False

    def __call__(self, word: str) -> None:
        if word == self.word and not self.failed:
            self.failed = True
            raise ConnectionError("the line went dead")


def talker(*answers: Any, fault: Callable[[str], None] | None = None) -> BaseChatModel:
    return Talker(say=lines(*answers), fault=fault or (lambda _: None))


def declared(*answers: Any, fault: Callable[[str], None] | None = None) -> BaseChatModel:
    return perdure.model(talker(*answers, fault=fault), name="m")


def answering(model: BaseChatModel) -> Any:
    async def answer(state: MessagesState) -> Any:
        return {"messages": [await model.ainvoke(state["messages"])]}

    return StateGraph(MessagesState).add_node(answer).add_edge(START, "answer").compile()


async def started(runs: Runs, modes: Sequence[str], input: Any = None) -> Started:
    return await runs.start("graph", input, stream=list(modes))


def client_of(runs: Runs) -> Client:
    return Client(runs.client, sink=runs.agents.sink)


async def events_of(runs: Runs, run: Started, **options: Any) -> list[Any]:
    return [event async for event in client_of(runs).stream(run.id, **options)]


def shown(events: Sequence[Any]) -> str:
    """Read as a person does: what a reset voids is wiped away."""
    texts: dict[str, str] = {}
    for event in events:
        if isinstance(event, Reset):
            texts.pop(event.call, None)
        elif isinstance(event, Part):
            texts[event.call] = texts.get(event.call, "") + event.text
    return "".join(texts.values())


def streamed(agents: Agents) -> Agents:
    agents.sink = MemorySink()
    return agents


async def test_tokens_come_one_by_one(lab: Lab) -> None:
    async with lab.worker(streamed(sole(answering(declared("one two three"))))) as runs:
        run = await started(runs, ["messages"])
        parts = [e for e in await events_of(runs, run) if isinstance(e, Part)]
        assert [p.text for p in parts if p.text] == ["one", " two", " three"]


async def test_the_end_brings_the_output_of_the_run(lab: Lab) -> None:
    async with lab.worker(streamed(sole(answering(declared("one two"))))) as runs:
        run = await started(runs, ["messages"])
        end = (await events_of(runs, run))[-1]
        assert isinstance(end, End)
        assert end.status == "done"
        assert runs.agents.codec.decode(end.result) == await run.result()


async def test_a_retry_voids_what_the_attempt_before_told(lab: Lab) -> None:
    model = declared("one two three", fault=Once("three"))
    async with lab.worker(streamed(sole(answering(model)))) as runs:
        run = await started(runs, ["messages"])
        await run.result(skip=True)
        events = await events_of(runs, run)
        assert sum(isinstance(e, Reset) for e in events) == 1
        assert shown(events) == "one two three"


async def test_a_repair_voids_the_answer_that_cannot_be_used(lab: Lab) -> None:
    def say(messages: list[BaseMessage]) -> AIMessage:
        mended = any("query" in m.text or m.type == "tool" for m in messages)
        return (
            AIMessage("mended")
            if mended
            else calls("nothing", {"q": "x"}).model_copy(update={"content": "broken"})
        )

    model = perdure.model(Talker(say=say), name="m")
    agent: Any = create_agent(model, [perdure.tool(search)])
    async with lab.worker(streamed(sole(agent))) as runs:
        run = await started(runs, ["messages"])
        events = await events_of(runs, run)
        assert sum(isinstance(e, Reset) for e in events) == 1
        assert shown(events) == "mended"


async def test_a_model_that_cannot_stream_tells_its_message_once(lab: Lab) -> None:
    model = perdure.model(Scripted(say=lines("all of it")), name="m")
    async with lab.worker(streamed(sole(answering(model)))) as runs:
        run = await started(runs, ["messages"])
        assert shown(await events_of(runs, run)) == "all of it"


async def test_a_reader_goes_on_from_any_event(lab: Lab) -> None:
    model = declared("one two three four", fault=Once("three"))
    async with lab.worker(streamed(sole(answering(model)))) as runs:
        run = await started(runs, ["messages", "updates"])
        await run.result(skip=True)
        events = [e for e in await events_of(runs, run) if not isinstance(e, End)]
        for number, event in enumerate(events):
            rest = await events_of(runs, run, after=event.id)
            assert rest[:-1] == events[number + 1 :], event


async def test_a_mode_that_the_run_does_not_have_is_told(lab: Lab) -> None:
    async with lab.worker(streamed(sole(answering(declared("one"))))) as runs:
        run = await started(runs, ["updates"])
        with pytest.raises(BadInput, match=r"streams only updates, not messages.*--stream"):
            await events_of(runs, run, modes=["messages"])
        await run.result()


async def test_a_client_without_a_sink_says_so(lab: Lab) -> None:
    async with lab.worker(sole(answering(declared("one")))) as runs:
        run = await started(runs, ["messages"])
        await run.result()
        with pytest.raises(BadOption, match="give it the sink"):
            await events_of(runs, run)


async def test_a_run_without_a_stream_sends_nothing(lab: Lab) -> None:
    async with lab.worker(streamed(sole(answering(declared("one"))))) as runs:
        run = await runs.start("graph", HELLO)
        await run.result()
        assert runs.agents.sink is not None
        assert runs.agents.sink.read(run.id) == []
        assert "live" not in (await run.calls())[0].input


async def test_no_token_is_in_the_history(lab: Lab) -> None:
    async with lab.worker(streamed(sole(answering(declared("one two three"))))) as runs:
        plainly = await runs.start("graph", HELLO)
        live = await started(runs, ["messages"])
        await plainly.result()
        await live.result()
        kinds = [e.event_type for e in await plainly.events()]
        assert [e.event_type for e in await live.events()] == kinds


class Log(TypedDict):
    log: Annotated[list[Any], operator.add]


def writing() -> Any:
    def inner(state: Log) -> Log:
        get_stream_writer()({"at": "inner"})
        return {"log": ["inner"]}

    def outer(state: Log) -> Log:
        get_stream_writer()({"at": "outer"})
        return {"log": ["outer"]}

    within = StateGraph(Log).add_node(inner).add_edge(START, "inner").compile()
    graph = StateGraph(Log)
    graph.add_node("outer", outer)
    graph.add_node("within", within)
    graph.add_edge(START, "outer")
    graph.add_edge("outer", "within")
    return graph.compile()


def agent_with(model: BaseChatModel, tool: Any) -> Any:
    return create_agent(model, [tool])


def masked(value: Any) -> Any:
    """Replace ids that differ from run to run."""
    if isinstance(value, dict):
        hidden = {"checkpoint_id", "thread_id", "id", "timestamp", "ts", "checkpoint_ns"}
        hidden |= {"langgraph_checkpoint_ns", "checkpoint_map", "tool_call_id", "ls_integration"}
        hidden |= {"parents", "lc_versions", "versions", "ls_provider", "ls_model_name"}
        return {k: "*" if k in hidden else masked(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [masked(v) for v in cast("Any", value)]
    return value


@pytest.mark.parametrize("mode", [m for m in STREAM_MODES if m != "messages"])
async def test_a_mode_with_sub_graphs_tells_what_plain_langgraph_tells(lab: Lab, mode: str) -> None:
    graph = writing()
    saved = graph.copy({"checkpointer": InMemorySaver()})
    where = {"configurable": {"thread_id": "t"}}
    agents = streamed(sole(graph))
    stream = saved.astream({"log": []}, where, stream_mode=[mode], subgraphs=True)
    wanted = [
        ([part.split(":")[0] for part in ns], masked(agents.codec.encode(chunk, what="it")))
        async for ns, _, chunk in stream
    ]
    async with lab.worker(agents) as runs:
        run = await started(runs, [mode], {"log": []})
        parts = [e for e in await events_of(runs, run) if isinstance(e, Part)]
    assert [([n.split(":")[0] for n in p.ns], masked(p.data)) for p in parts] == wanted


async def test_messages_of_an_agent_are_those_of_plain_langgraph(lab: Lab) -> None:
    answers = (calls("search", {"q": "x"}), "it is there")
    plainly = agent_with(talker(*answers), search)
    stream = plainly.astream(HELLO, stream_mode="messages", subgraphs=True)
    wanted = [(m.type, m.text, meta["langgraph_node"]) async for _, (m, meta) in stream]
    agents = streamed(sole(agent_with(declared(*answers), perdure.tool(search))))
    async with lab.worker(agents) as runs:
        run = await started(runs, ["messages"])
        parts = [e for e in await events_of(runs, run) if isinstance(e, Part)]
        pairs = [(agents.codec.decode(p.data[0]), p.data[1]) for p in cast("Any", parts)]
    assert [(m.type, m.text, meta["langgraph_node"]) for m, meta in pairs] == wanted


async def test_the_metadata_of_a_token_is_that_of_plain_langgraph(lab: Lab) -> None:
    stream = answering(talker("one two")).astream(HELLO, stream_mode="messages")
    wanted = [masked(plain(meta)) async for _, meta in stream]
    async with lab.worker(streamed(sole(answering(declared("one two"))))) as runs:
        run = await started(runs, ["messages"])
        parts = [e for e in await events_of(runs, run) if isinstance(e, Part)]
    assert [set(cast("Any", p.data)[1]) - {"thread_id"} for p in parts] == [set(w) for w in wanted]


async def test_a_stream_goes_on_after_an_interrupt(lab: Lab) -> None:
    def ask(state: Log) -> Log:
        return {"log": [interrupt("colour?")]}

    graph = StateGraph(Log).add_node(ask).add_edge(START, "ask").compile()
    async with lab.worker(streamed(sole(graph))) as runs:
        run = await started(runs, ["updates"], {"log": []})
        await run.question()
        await run.decide({"type": "respond", "by": "ann", "value": "red"})
        events = await events_of(runs, run)
        keys = [next(iter(cast("Any", e).data)) for e in events if isinstance(e, Part)]
        assert keys == ["__interrupt__", "ask"]
        assert await run.result() == {"log": ["red"]}


async def test_a_run_that_fails_ends_its_stream(lab: Lab) -> None:
    def fail(state: Log) -> Log:
        raise ValueError("no")

    graph = StateGraph(Log).add_node(fail).add_edge(START, "fail").compile()
    async with lab.worker(streamed(sole(graph))) as runs:
        run = await started(runs, ["updates"], {"log": []})
        end = (await events_of(runs, run))[-1]
        assert (end.status, end.failure.code) == ("failed", "node_failed")


async def test_parallel_calls_do_not_mix(lab: Lab) -> None:
    model = declared("one two three")

    async def ask(state: Log) -> Log:
        return {"log": [(await model.ainvoke([HumanMessage("hi")])).text]}

    graph = StateGraph(Log)
    for name in ("a", "b", "c"):
        graph.add_node(name, ask)
        graph.add_edge(START, name)
    async with lab.worker(streamed(sole(graph.compile()))) as runs:
        run = await started(runs, ["messages"], {"log": []})
        texts: dict[str, str] = {}
        async for event in client_of(runs).stream(run.id):
            if isinstance(event, Part):
                node = cast("Any", event.data)[1]["langgraph_node"]
                assert texts.setdefault(f"{node} {event.call}", "") is not None
                texts[f"{node} {event.call}"] += event.text
        assert sorted(texts.values()) == ["one two three"] * 3
        assert sorted(key.split()[0] for key in texts) == ["a", "b", "c"]


async def test_with_chunks_a_stream_inside_a_node_is_word_by_word(lab: Lab) -> None:
    model = declared("one two three")

    async def ask(state: Log) -> Log:
        return {"log": [part.text async for part in model.astream([HumanMessage("hi")])]}

    graph = StateGraph(Log).add_node(ask).add_edge(START, "ask").compile()
    async with lab.worker(sole(graph)) as runs:
        run = await runs.start("graph", {"log": []}, chunks=True)
        assert await run.result() == {"log": ["one", " two", " three", ""]}


async def test_without_chunks_a_stream_inside_a_node_is_one_part(lab: Lab) -> None:
    model = declared("one two three")

    async def ask(state: Log) -> Log:
        return {"log": [part.text async for part in model.astream([HumanMessage("hi")])]}

    graph = StateGraph(Log).add_node(ask).add_edge(START, "ask").compile()
    async with lab.worker(sole(graph)) as runs:
        run = await runs.start("graph", {"log": []})
        assert await run.result() == {"log": ["one two three"]}


def counting(fault: Callable[[str], None]) -> Any:
    def count(q: str) -> str:
        """Count and tell."""
        writer = get_stream_writer()
        for word in ("one", "two", "three"):
            fault(word)
            writer({"at": word})
        return q

    return count


def words_shown(events: Sequence[Any]) -> list[str]:
    words: list[tuple[str, str]] = []
    for event in events:
        if isinstance(event, Reset):
            words = [(call, word) for call, word in words if call != event.call]
        elif isinstance(event, Part):
            words.append((event.call, cast("Any", event.data)["at"]))
    return [word for _, word in words]


@pytest.mark.parametrize("failing", [None, "three"])
async def test_what_a_tool_writes_is_told_once(lab: Lab, failing: str | None) -> None:
    count = counting(Once(failing) if failing else lambda _: None)
    agent = agent_with(declared(calls("count", {"q": "x"}), "done"), perdure.tool(count))
    async with lab.worker(streamed(sole(agent))) as runs:
        run = await started(runs, ["custom"])
        await run.result(skip=True)
        events = await events_of(runs, run)
        assert words_shown(events) == ["one", "two", "three"]
        assert sum(isinstance(e, Reset) for e in events) == (failing is not None)


async def test_what_a_tool_writes_is_told_before_its_call_ends(lab: Lab) -> None:
    gate = threading.Event()

    def slow(q: str) -> str:
        """Tell, then wait until it was read."""
        get_stream_writer()({"at": "begin"})
        assert gate.wait(20)
        return q

    agent = agent_with(declared(calls("slow", {"q": "x"}), "done"), perdure.tool(slow))
    async with lab.worker(streamed(sole(agent))) as runs:
        run = await started(runs, ["custom"])
        async for event in client_of(runs).stream(run.id):
            if isinstance(event, Part):
                assert event.data == {"at": "begin"}
                gate.set()
        assert gate.is_set()
