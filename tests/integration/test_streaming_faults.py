"""Tokens of a real provider client over HTTP, whose stream breaks: told once, in the end."""

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage
from langchain_openai import ChatOpenAI
from langgraph.graph import START, MessagesState, StateGraph
from llmock.pytest_plugin import LLMock
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

import perdure
from integration.faults import CHAT, Provider
from perdure.client import Client, End, Part, Reset
from perdure.core.names import AGENT_WORKFLOW
from perdure.storage.sinks import FileSink
from perdure.testing.replay import assert_replays

pytestmark = [pytest.mark.usefixtures("fresh_declarations"), pytest.mark.timeout(60)]
KEY: Any = "test"
ANSWER = "The order was found and its refund is on the way to you."
RETRY = perdure.Retry(
    initial=timedelta(milliseconds=10), maximum=timedelta(milliseconds=20), attempts=4
)


@pytest.fixture
async def sink(tmp_path: Path) -> AsyncIterator[FileSink]:
    made = FileSink(tmp_path / "stream.db")
    yield made
    made.close()


async def streamed(
    skipping: WorkflowEnvironment, llmock: LLMock, provider: Provider, sink: FileSink
) -> list[Any]:
    """Run an agent of one node and return what its reader was told."""
    url: Any = llmock.base_url(provider)
    inner = (
        ChatAnthropic(model="claude-sonnet-4-6", base_url=url, api_key=KEY)
        if provider == "anthropic"
        else ChatOpenAI(model="gpt-4o", base_url=url, api_key=KEY)
    )
    model = perdure.model(inner, name="provider", retry=RETRY)

    async def ask(state: MessagesState) -> dict[str, Any]:
        return {"messages": [await model.ainvoke([HumanMessage("Refund my order, please.")])]}

    agents = perdure.Agents()
    agents.add("asker", StateGraph(MessagesState).add_node(ask).add_edge(START, "ask"))
    queue, run_id = f"queue-{uuid4().hex[:8]}", f"run-{uuid4().hex[:8]}"
    worker = Worker(
        skipping.client,
        task_queue=queue,
        plugins=[perdure.Plugin(agents, sink=sink)],
        max_cached_workflows=0,
    )
    async with worker:
        handle = await skipping.client.start_workflow(
            AGENT_WORKFLOW,
            {"agent": "asker", "input": {"messages": []}, "stream": ["messages"]},
            id=run_id,
            task_queue=queue,
        )
        client = Client(skipping.client, sink=sink)
        events = [event async for event in client.stream(run_id)]
        await assert_replays(agents, await handle.fetch_history())
    return events


def shown(events: list[Any]) -> list[str]:
    texts: dict[str, str] = {}
    for event in events:
        if isinstance(event, Reset):
            texts.pop(event.call, None)
        elif isinstance(event, Part):
            texts[event.call] = texts.get(event.call, "") + event.text
    return list(texts.values())


FAULTS: dict[str, Callable[[LLMock], object]] = {
    "dropped": lambda mock: mock.reply(ANSWER).disconnect(after_chunks=4),
    "corrupt": lambda mock: mock.reply(ANSWER).corrupt(after_chunks=4),
    "ended early": lambda mock: mock.reply(ANSWER).truncate(after_chunks=5),
    "overloaded": lambda mock: mock.fail(529, retry_after=0.01),
}


@pytest.mark.parametrize("provider", CHAT)
async def test_tokens_of_a_provider_come_as_they_are_sent(
    skipping: WorkflowEnvironment, llmock: LLMock, sink: FileSink, provider: Provider
) -> None:
    llmock.reply(ANSWER)
    events = await streamed(skipping, llmock, provider, sink)
    assert shown(events) == [ANSWER]
    assert sum(isinstance(event, Part) for event in events) > 3
    assert [e.status for e in events if isinstance(e, End)] == ["done"]


@pytest.mark.parametrize("provider", CHAT)
@pytest.mark.parametrize("fault", FAULTS)
async def test_a_stream_that_breaks_is_told_again_from_its_beginning(
    skipping: WorkflowEnvironment, llmock: LLMock, sink: FileSink, provider: Provider, fault: str
) -> None:
    FAULTS[fault](llmock)
    llmock.reply(ANSWER)
    events = await streamed(skipping, llmock, provider, sink)
    assert shown(events)[-1] == ANSWER
    assert len(shown(events)) == 1


async def test_a_sink_that_cannot_be_written_fails_no_run(
    skipping: WorkflowEnvironment, llmock: LLMock, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    broken = FileSink(tmp_path / "file" / "stream.db")
    llmock.reply(ANSWER)
    events = await streamed(skipping, llmock, "anthropic", broken)
    broken.close()
    assert [e.status for e in events if isinstance(e, End)] == ["done"]
