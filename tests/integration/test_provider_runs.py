"""The table of provider faults again, this time inside runs: real client, HTTP, Temporal."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from langchain_core.messages import HumanMessage
from langgraph.graph import START, MessagesState, StateGraph
from llmock.pytest_plugin import LLMock
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowFailureError, WorkflowHistory
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

import perdure
from integration.faults import CASES, Peers, Provider, Row, chat
from integration.raw_server import RawServer
from perdure.core.names import AGENT_WORKFLOW
from perdure.testing.replay import assert_replays

SCHEDULED = EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED
STARTED = EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED
LEEWAY = timedelta(seconds=0.2)
"""The server of time skipping rounds a wait to its own clock."""
RELATIVE_TO_A_FIXED_CLOCK = "429 with Retry-After as a date"
"""Its date lies in the past of a real clock; the table checks it with a clock of its own."""

pytestmark = pytest.mark.usefixtures("fresh_declarations")


@pytest.fixture
async def peers(llmock: LLMock) -> AsyncIterator[Peers]:
    async with RawServer(llmock.url).running() as raw:
        yield Peers(llmock=llmock, raw=raw)


@dataclass(frozen=True, kw_only=True)
class Ran:
    """How a run with one model call ended."""

    history: WorkflowHistory
    failure: BaseException | None

    @property
    def model_calls(self) -> int:
        return sum(event.event_type == SCHEDULED for event in self.history.events)

    @property
    def attempts(self) -> int:
        attributes = [
            event.activity_task_started_event_attributes
            for event in self.history.events
            if event.event_type == STARTED
        ]
        return sum(one.attempt for one in attributes)

    @property
    def waited(self) -> timedelta:
        """Return the time from being asked for to the last attempt, by the server's clock."""
        asked = [e.event_time for e in self.history.events if e.event_type == SCHEDULED]
        begun = [e.event_time for e in self.history.events if e.event_type == STARTED]
        return begun[-1].ToDatetime() - asked[-1].ToDatetime()


async def run(skipping: WorkflowEnvironment, row: Row, provider: Provider, peers: Peers) -> Ran:
    """Run an agent of one node that calls the model once."""
    base_url = row.base_url(peers, provider)
    inner = chat(provider, base_url=base_url, streaming=row.streaming)
    model = perdure.model(inner, name="provider", timeout=max(row.timeout, timedelta(seconds=1)))
    bound: Any = model.bind(**row.bind(inner))

    async def ask(state: MessagesState) -> dict[str, Any]:
        return {"messages": [await bound.ainvoke([HumanMessage("Refund my order, please.")])]}

    agents = perdure.Agents()
    agents.add("asker", StateGraph(MessagesState).add_node(ask).add_edge(START, "ask"))
    queue = uuid4().hex
    start = {"agent": "asker", "input": {"messages": []}}
    # Pacing waits by the worker's own clock, which the server cannot skip.
    plugin = perdure.Plugin(agents, pacing=timedelta(0))
    async with Worker(skipping.client, task_queue=queue, plugins=[plugin]):
        handle = await skipping.client.start_workflow(
            AGENT_WORKFLOW, start, id=queue, task_queue=queue
        )
        failure = None
        try:
            await handle.result()
        except WorkflowFailureError as error:
            failure = error.cause
        history = await handle.fetch_history()
        await assert_replays(agents, history)
    return Ran(history=history, failure=failure)


def requests_of(row: Row) -> int:
    """Count the HTTP requests of a run that meets the row's fault once."""
    if not row.passes:
        return 0
    return 2 if row.expected.act in ("retry", "back_to_model") else 1


@pytest.mark.parametrize(
    ("row", "provider"), CASES, ids=[f"{row.id}-{provider}" for row, provider in CASES]
)
async def test_a_run_meets_the_fault_and_does_what_the_verdict_says(
    skipping: WorkflowEnvironment, peers: Peers, row: Row, provider: Provider
):
    ran = await run(skipping, row, provider, peers)

    assert peers.requests == requests_of(row)
    expected = row.expected
    if expected.act == "give_up" or not row.passes:
        assert isinstance(ran.failure, ApplicationError)
        assert ran.failure.type == "model_failed"
        assert "provider" in ran.failure.message
        assert ran.attempts == (1 if row.passes else 6)
        return
    assert ran.failure is None
    assert ran.model_calls == (2 if expected.act == "back_to_model" else 1)
    assert ran.attempts == (1 if expected.act is None else 2)
    if expected.act == "retry":
        named = expected.after if row.id != RELATIVE_TO_A_FIXED_CLOCK else None
        assert ran.waited >= max(named or timedelta(0), timedelta(seconds=1)) - LEEWAY


@pytest.mark.parametrize("provider", ["anthropic", "openai"])
async def test_llmock_finds_no_fault_with_how_a_run_meets_a_storm(
    skipping: WorkflowEnvironment, peers: Peers, provider: Provider
):
    peers.llmock.rate_limit(times=2, retry_after=0.3)
    row = next(row for row, _ in CASES if row.id == "a text")

    with skipping.auto_time_skipping_disabled():  # llmock goes by the real clock
        ran = await run(skipping, row, provider, peers)

    assert ran.failure is None
    peers.llmock.assert_resilient()
