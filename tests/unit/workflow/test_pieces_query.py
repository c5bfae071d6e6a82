"""A worker that does not know what a call refers to asks the run, a page at a time."""

import json
from typing import Any

import pytest
from langchain_core.messages import BaseMessage, HumanMessage
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from perdure.activity import resolver
from perdure.activity.calls import Activities
from perdure.activity.nodes import NodeActivities
from perdure.activity.pacing import Pacer
from perdure.core.declared import Table
from perdure.core.payloads import in_order
from perdure.errors import NewerWire, PiecesLost
from perdure.storage.values import ValueCodec
from perdure.workflow.sending import PAGE
from unit.workflow.ends import Ends

LARGEST = 2 * 1024 * 1024


def widths(ends: Ends) -> list[int]:
    """List the bytes of every answer to what was asked, as they go over the wire."""
    return [len(in_order(ends.chain.tell(r)).payload.data) for r in ends.requests]


async def asked_again(ends: Ends, said: list[BaseMessage]) -> list[int]:
    """Call a worker that knows nothing, with what history holds; returns what each answer took."""
    sending = ends.write(said)
    ends.chain.begin(sending)
    ends.forget()
    again = ends.write(said)
    ends.chain.begin(again)
    grown = await ends.resolver.grow(json.loads(json.dumps(again.data)), ask=ends.ask)
    assert ValueCodec().decode(grown["messages"]) == said
    return widths(ends)


@pytest.mark.parametrize("letter", ["x", "é", "😀", "\n", "\x01", "\ud800", '"'])
async def test_a_text_of_five_megabytes_comes_in_pages(ends: Ends, letter: str) -> None:
    taken = await asked_again(ends, [HumanMessage(letter * 5_000_000)])
    assert (len(taken) > 4, max(taken) < LARGEST) == (True, True)


async def test_thirty_thousand_messages_come_in_pages(ends: Ends) -> None:
    taken = await asked_again(ends, [HumanMessage(f"{n}", id=f"m{n}") for n in range(30_000)])
    assert (len(taken) < 15, max(taken) < LARGEST) == (True, True)


async def test_large_messages_share_no_answer_that_is_too_large(ends: Ends) -> None:
    said = [HumanMessage([f"{n}"] + ["y" * 200] * 4000) for n in range(6)]
    assert max(await asked_again(ends, said)) < LARGEST


async def test_many_texts_share_an_answer(ends: Ends) -> None:
    said = [HumanMessage(f"{n}" + "y" * 500) for n in range(1000)]
    taken = await asked_again(ends, said)
    assert len(taken) <= 4
    assert max(taken) < 1.2 * PAGE


async def test_what_a_worker_was_told_it_does_not_ask_again(ends: Ends) -> None:
    said: list[BaseMessage] = [HumanMessage(f"{n}" + "y" * 500) for n in range(10)]
    await ends.messages(said)
    ends.forget(capacity=10**8)
    await ends.same([said, said])
    before = len(ends.requests)
    await ends.same([[*said, HumanMessage("new")]])
    assert len(ends.requests) == before


async def test_a_call_that_the_run_does_not_wait_for_is_lost(ends: Ends) -> None:
    said = [HumanMessage("y" * 500)]
    await ends.messages(said)
    sending = ends.write(said)
    ends.forget()
    with pytest.raises(PiecesLost, match="does not wait for this call"):
        await ends.resolver.grow(sending.data, ask=ends.ask)


async def test_a_run_that_does_not_know_its_own_pieces_ends_the_call(ends: Ends) -> None:
    async def ask(request: Any) -> Any:
        return {"entries": [], "more": False, "pieces": [], "from": 9, "at": 0}

    await ends.messages([HumanMessage("y" * 500)])
    sending = ends.write([HumanMessage("y" * 500)])
    ends.forget()
    with pytest.raises(PiecesLost):
        await ends.resolver.grow(sending.data, ask=ask)


async def test_a_call_without_references_is_taken_as_it_is(ends: Ends) -> None:
    assert await ends.resolver.grow({"args": {"$": "chain"}}) == {"args": {"$": "chain"}}


async def test_a_newer_form_is_left_to_another_worker(ends: Ends) -> None:
    with pytest.raises(NewerWire, match=r"form 2; this worker knows 1"):
        await ends.resolver.grow({"refs": [2, 0]})


@pytest.mark.parametrize("kind", ["model", "tool", "node"])
async def test_a_newer_form_is_tried_again_by_every_activity(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolver, "VERSION", 0)
    codec, table = ValueCodec(), Table()
    calls = Activities(declared=table, codec=codec, pacer=Pacer())
    nodes = NodeActivities(graph=lambda _: None, declared=table, codec=codec)
    run = {"model": calls.model, "tool": calls.tool, "node": nodes.node}[kind]
    with pytest.raises(ApplicationError) as told:
        await ActivityEnvironment().run(run, {"refs": [1, 0], kind: "x"})
    assert (told.value.type, told.value.non_retryable) == ("newer_wire", False)
