"""An effect has one identity, whatever happens on its way."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from langchain_core.messages import HumanMessage
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.worker import Worker

import perdure
from integration.runtime.fakes import chain, paying
from integration.runtime.harness import Lab, Started, eventually

pytestmark = pytest.mark.timeout(60)
FEW = perdure.Retry(initial=timedelta(seconds=1), maximum=timedelta(seconds=1), attempts=3)


class Ledger:
    """Note the key of every attempt; let some of them fail."""

    def __init__(self, *, failures: int = 0, error: Exception | None = None) -> None:
        self.keys: list[str] = []
        self.failures = failures
        self.error = error or ConnectionError("cut off")

    def agents(self, *amounts: int, **options: Any) -> perdure.Agents:
        def book(amount: int) -> str:
            """Book an amount."""
            self.keys.append(perdure.effect_key())
            if self.failures:
                self.failures -= 1
                raise self.error
            return f"booked {amount}"

        return paying(*amounts, tool=book, **options)


async def test_a_key_is_the_same_on_every_attempt(lab: Lab) -> None:
    ledger = Ledger(failures=2)
    async with lab.worker(ledger.agents(5, retry=FEW)) as runs:
        run = await runs.start("payer")
        await run.result(skip=True)
        assert len(ledger.keys) == 3
        assert len({*ledger.keys}) == 1


async def test_two_calls_with_the_same_arguments_have_different_keys(lab: Lab) -> None:
    ledger = Ledger()
    async with lab.worker(ledger.agents(5, 5)) as runs:
        run = await runs.start("payer")
        await run.result()
        assert len({*ledger.keys}) == 2


async def test_a_key_names_its_run_and_call(lab: Lab) -> None:
    ledger = Ledger()
    async with lab.worker(ledger.agents(5)) as runs:
        run = await runs.start("payer")
        await run.result()
        parts = ledger.keys[0].split(":")
        assert (parts[0], parts[2:]) == (run.id, ["1", "call-1.1"])


async def test_a_later_run_of_the_same_id_has_other_keys(lab: Lab) -> None:
    ledger, id_ = Ledger(), f"same-{uuid4().hex}"
    async with lab.worker(ledger.agents(5)) as runs:
        for _ in range(2):
            run = await runs.start_raw({"agent": "payer", "input": {"messages": []}}, id=id_)
            await run.result()
        assert len({*ledger.keys}) == 2


async def test_a_key_does_not_depend_on_who_decides_first(lab: Lab) -> None:
    ledger = Ledger()
    terms = perdure.Approve()
    async with lab.worker(ledger.agents(1, 2, approve=terms)) as runs:
        run = await runs.start("payer")
        first, second = await run.questions(2)
        for question in (second, first):
            await run.decide({"type": "approve", "question": question["id"]})
        await run.result()
        assert sorted(key.partition(":")[2][9:] for key in ledger.keys) == [
            "1:call-1.1",
            "2:call-1.2",
        ]


async def test_a_key_is_the_same_after_a_reset(real: Lab) -> None:
    ledger = Ledger()
    async with real.worker(ledger.agents(5)) as runs:
        run = await runs.start("payer")
        await run.result()
        again = await reset(real, run)
        await again.result()
        assert len(ledger.keys) == 2
        assert len({*ledger.keys}) == 1


async def reset(lab: Lab, run: Started) -> Started:
    """Start a run again from the end of its first workflow task."""
    first = (await run.events("WORKFLOW_TASK_COMPLETED"))[0]
    reply = await lab.client.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=lab.client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=run.id),
            reason="a test",
            workflow_task_finish_event_id=first.event_id,
            request_id=uuid4().hex,
        )
    )
    handle = lab.client.get_workflow_handle(run.id, run_id=reply.run_id)
    return Started(handle=handle, agents=run.agents)


async def test_a_tool_that_is_no_effect_has_no_key(lab: Lab) -> None:
    async with lab.worker(Ledger().agents(5, effect=False)) as runs:
        run = await runs.start("payer")
        failure = await run.failure()
        assert "declare it with perdure.tool(..., effect=True)" in str(failure)


def test_outside_of_temporal_a_key_is_drawn_fresh() -> None:
    assert perdure.effect_key().startswith("local:")
    assert perdure.effect_key() != perdure.effect_key()


def hanging(begun: list[str], *, timeout: timedelta = timedelta(seconds=1)) -> perdure.Agents:
    """Make a graph that calls an effect which hangs until it is cut off."""

    async def transfer() -> str:
        """Transfer money."""
        begun.append(perdure.effect_key())
        await asyncio.get_running_loop().create_future()
        return "never"

    tool = perdure.tool(transfer, effect=True, idempotent=False, timeout=timeout)

    async def node(state: dict[str, Any]) -> dict[str, Any]:
        return {"messages": [HumanMessage(await tool.ainvoke({}))]}

    return chain(node)


async def test_an_effect_that_may_not_be_repeated_and_hangs_is_unknown(lab: Lab) -> None:
    begun: list[str] = []
    async with lab.worker(hanging(begun)) as runs:
        run = await runs.start("graph")
        failure = await run.failure()
        assert failure.type == "effect_unknown"
        assert "no answer within 1 s" in str(failure)
        (key,) = begun
        assert repr(key) in str(failure)


async def test_an_effect_that_may_not_be_repeated_and_is_cut_off_is_unknown(lab: Lab) -> None:
    ledger = Ledger(failures=9)
    async with lab.worker(ledger.agents(5, idempotent=False)) as runs:
        run = await runs.start("payer")
        assert (await run.failure()).type == "effect_unknown"
        assert len(ledger.keys) == 1


async def test_an_effect_that_may_not_be_repeated_is_unknown_when_its_worker_stops(
    lab: Lab,
) -> None:
    if lab.cache:
        pytest.skip("the time-skipping server never gives up a stopped worker's own queue")
    begun: list[str] = []

    async def look() -> bool | None:
        return True if begun else None

    async with lab.worker(hanging(begun, timeout=timedelta(seconds=30))) as runs:
        run = await runs.start("graph")
        await eventually(look, what="the effect has begun")
        await runs.worker.shutdown()
        plugin = perdure.Plugin(runs.agents)
        async with Worker(lab.client, task_queue=runs.queue, plugins=[plugin]):
            assert (await run.failure()).type == "effect_unknown"
            assert len(begun) == 1


async def test_an_effect_that_was_refused_for_good_is_not_unknown(lab: Lab) -> None:
    ledger = Ledger(failures=9, error=ValueError("no such account"))
    async with lab.worker(ledger.agents(5, idempotent=False)) as runs:
        run = await runs.start("payer")
        failure = await run.failure()
        assert (failure.type, "no such account" in str(failure)) == ("tool_failed", True)
        assert len(ledger.keys) == 1
