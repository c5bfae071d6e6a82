"""The same agent as a hand-written workflow, on the same worker."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from e2e.scene import APPROVE, LAWYER, PASSWORD, Scene
from perdure.testing.replay import assert_run_replays
from perdure.worker.agents import Agents

pytestmark = pytest.mark.timeout(60)

SHARED = ("outcome", "category", "articles", "draft", "reply", "decided_by", "model")
"""What both report; the hand-written one also returns what it carries between its steps."""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """The same message, answered by both."""

    scene: Scene
    handmade_id: str
    handmade: dict[str, Any]
    graph: dict[str, Any]
    customers: tuple[str, str]


async def by_hand(scene: Scene, message: str, customer: str) -> str:
    """Start the hand-written workflow as any workflow of Temporal's."""
    handle = await scene.client.temporal.start_workflow(
        "support.handmade",
        {"message": message, "customer": customer},
        id=f"handmade-{uuid4().hex[:10]}",
        task_queue=scene.queue,
    )
    return handle.id


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def pair(steady: Scene) -> AsyncGenerator[Pair]:
    customers = (f"{uuid4().hex}@example.com", f"{uuid4().hex}@example.com")
    handmade = await by_hand(steady, PASSWORD, customers[0])
    graph = await steady.start(PASSWORD, customers[1])
    for run_id in (handmade, graph.run_id):
        await steady.approve(run_id)
    yield Pair(
        scene=steady,
        handmade_id=handmade,
        handmade=await steady.result(handmade),
        graph=await steady.result(graph.run_id),
        customers=customers,
    )


def test_both_reach_the_same_result(pair: Pair):
    assert [pair.handmade[key] for key in SHARED] == [pair.graph[key] for key in SHARED]


def test_both_send_the_same_mail(pair: Pair):
    sent = {mail["To"]: mail for mail in pair.scene.mails()}
    texts = [(sent[who]["Subject"], sent[who].get_content()) for who in pair.customers]
    assert texts[0] == texts[1]


def test_the_handmade_one_sends_exactly_one_mail(pair: Pair):
    arrived = [m["Message-ID"] for m in pair.scene.mails() if m["To"] == pair.customers[0]]
    assert arrived == [pair.handmade["message_id"]]


async def test_both_make_the_same_calls(pair: Pair):
    calls = await pair.scene.calls(pair.handmade_id)
    assert [call.kind for call in calls] == ["tool", "model", "model", "tool"]


async def test_the_handmade_history_replays(pair: Pair, agents: Agents):
    temporal = pair.scene.client.temporal
    await assert_run_replays(agents, temporal, pair.handmade_id)


async def test_a_rejection_by_signal_ends_the_handmade_one(steady: Scene):
    run_id = await by_hand(steady, PASSWORD, "ann@example.com")
    await steady.question(run_id)
    handle = steady.client.temporal.get_workflow_handle(run_id)
    await handle.signal("decide_later", {**APPROVE, "type": "reject", "message": "no"})
    assert (await steady.result(run_id))["outcome"] == "rejected"


async def test_the_handmade_one_escalates_with_a_ticket(steady: Scene):
    run_id = await by_hand(steady, LAWYER, "ann@example.com")
    output = await steady.result(run_id)
    assert (output["outcome"], output["ticket_id"] is None) == ("escalated", False)
