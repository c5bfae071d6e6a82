"""A run that waits for a person leaves its worker's memory, and goes on as if it had not."""

from datetime import timedelta

import pytest

import perdure
from integration.runtime.fakes import paying
from integration.runtime.harness import Lab, Runs, Started, eventually
from perdure.worker.resting import look
from perdure.workflow.privates import running_runs, waiting_runs

pytestmark = pytest.mark.timeout(60)
ASK = perdure.Approve(within=timedelta(hours=1))
NEVER = timedelta(0)


@pytest.fixture(autouse=True)
def kept(lab: Lab) -> None:
    if lab.cache == 0:
        pytest.skip("nothing stays in memory")


async def waiting(runs: Runs) -> Started:
    run = await runs.start("payer")
    await run.question()
    return run


async def rested(runs: Runs) -> None:
    """Look as the worker does, until nothing waits in memory any more."""

    async def gone() -> bool | None:
        look(runs.worker, waiting_runs(runs.worker))
        return True if not running_runs(runs.worker) else None

    await eventually(gone, what="an empty memory")


async def test_a_run_that_waits_leaves_memory(lab: Lab) -> None:
    async with lab.worker(paying(42, approve=ASK), rest=timedelta(milliseconds=50)) as runs:
        await waiting(runs)

        async def gone() -> bool | None:
            return True if not running_runs(runs.worker) else None

        await eventually(gone, what="an empty memory")


async def test_a_run_that_left_memory_goes_on_with_the_decision(lab: Lab) -> None:
    async with lab.worker(paying(42, approve=ASK), rest=NEVER) as runs:
        run = await waiting(runs)
        await rested(runs)
        await run.decide({"type": "approve", "by": "ann"})
        assert (await run.texts())[2].startswith("paid 42 under ")
        assert await run.events("WORKFLOW_TASK_FAILED") == []


async def test_a_run_that_left_memory_makes_no_call_again(lab: Lab) -> None:
    async with lab.worker(paying(42, approve=ASK), rest=NEVER) as runs:
        run = await waiting(runs)
        await rested(runs)
        await run.decide({"type": "approve", "by": "ann"})
        await run.result()
        made = [call.kind for call in await run.calls()]
        assert made == ["perdure.model", "perdure.tool", "perdure.model"]


async def test_a_run_that_left_memory_still_answers_what_it_asks(lab: Lab) -> None:
    async with lab.worker(paying(42, approve=ASK), rest=NEVER) as runs:
        run = await waiting(runs)
        await rested(runs)
        assert (await run.question())["args"] == {"amount": 42}


async def test_a_run_that_was_asked_since_the_last_look_stays(lab: Lab) -> None:
    async with lab.worker(paying(42, approve=ASK), rest=NEVER) as runs:
        run = await waiting(runs)
        seen = look(runs.worker, {})
        await run.question()
        assert list(look(runs.worker, seen)) == list(running_runs(runs.worker))


async def test_without_rest_a_run_stays(lab: Lab) -> None:
    async with lab.worker(paying(42, approve=ASK), rest=NEVER) as runs:
        await waiting(runs)
        assert len(running_runs(runs.worker)) == 1


async def test_a_run_that_left_memory_expires_in_time(lab: Lab) -> None:
    ask = perdure.Approve(within=timedelta(seconds=1))
    async with lab.worker(paying(42, approve=ask), rest=NEVER) as runs:
        run = await waiting(runs)
        await rested(runs)
        assert "was not carried out" in (await run.texts(skip=True))[2]
