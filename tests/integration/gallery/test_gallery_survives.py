"""A shape of the gallery loses its worker in the middle of a model call."""

from collections import Counter
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

import pytest_asyncio

from gallery.offline.prompt import Prompt
from integration.gallery.shapes import CALLS, turns_of
from integration.gallery.stage import Asked, Stage
from perdure.client import Client
from perdure.core.jsons import JsonObject
from perdure.testing import WorkerProcess
from perdure.testing.replay import assert_run_replays
from perdure.worker.agents import Agents

SHAPE = "plan_and_execute"
QUICK: JsonObject = {"models": {"*": {"heartbeat": 2, "retry": {"initial": 0.2, "attempts": 5}}}}
"""A dead worker is noticed after two seconds, and its call made again at once."""


@dataclass(frozen=True, kw_only=True)
class Survived:
    """A run whose worker was killed while the model wrote the second new plan."""

    run_id: str
    output: Any
    held: Prompt | None
    prompts: Counter[Prompt]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def survived(stage: Stage, worker: WorkerProcess, asked: Asked) -> AsyncGenerator[Survived]:
    before = asked.count
    with asked.held("Replan", 2) as gate:
        run = await stage.start(turns_of(SHAPE)[0], options=QUICK)
        await gate.wait()
        worker.kill()
    worker.start()
    yield Survived(
        run_id=run.run_id,
        output=await stage.output(run),
        held=gate.prompt,
        prompts=asked.count - before,
    )


async def test_the_output_is_that_of_plain_langgraph(
    survived: Survived, plain: dict[str, list[Any]]
):
    assert [survived.output] == plain[SHAPE]


async def test_no_call_is_scheduled_twice(survived: Survived, stage: Stage):
    assert await stage.calls([survived.run_id], "model", "tool") == CALLS[SHAPE]


async def test_the_model_is_asked_again_only_what_was_under_way(survived: Survived):
    twice = {prompt for prompt, count in survived.prompts.items() if count > 1}
    assert twice == {survived.held}


async def test_the_history_of_both_workers_replays(
    survived: Survived, agents: Agents, client: Client
):
    await assert_run_replays(agents, client.temporal, survived.run_id)
