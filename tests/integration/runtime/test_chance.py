"""What libraries draw from clock and chance in a run is the same on every replay.

Each node draws, tells a tool what it drew, and writes it into the state. The tool's input is
recorded the first time; the state holds what the last replay drew.
"""

import importlib
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import ModelRetryMiddleware, _retry, summarization
from langchain_core.messages import AIMessage
from langchain_core.utils import utils

import perdure
from integration.runtime.fakes import Scripted, chain, search, sole
from integration.runtime.harness import Lab
from integration.runtime.test_sync import EMPTY, Log
from perdure.workflow import chance

pytestmark = pytest.mark.timeout(60)

files = importlib.import_module("deepagents.backends.utils")
rubric = importlib.import_module("deepagents.middleware.rubric")
eviction = importlib.import_module("deepagents.middleware._message_eviction")
pregel_retry = importlib.import_module("langgraph.pregel._retry")


def jitter() -> str:
    delay = _retry.calculate_delay(
        1, backoff_factor=2.0, initial_delay=1.0, max_delay=9.0, jitter=True
    )
    return str(delay)


def summary_id() -> str:
    message = AIMessage("x")
    summarization.SummarizationMiddleware._ensure_message_ids([message])
    return str(message.id)


DRAWS: dict[str, Callable[[], str]] = {
    "the jitter of a retry": jitter,
    "the id of a summary": summary_id,
    "the stamp of a file": lambda: files.create_file_data("x")["created_at"],
    "a nonce": lambda: rubric.secrets.token_hex(8),
    "an early bound uuid4": lambda: str(eviction.uuid4()),
    "the id of a message": lambda: utils.ensure_id(None),
    "the clock of a node's time limit": lambda: str(pregel_retry.time.monotonic()),
    "the jitter of a node's retry": lambda: str(pregel_retry.random.uniform(0, 1)),
    "the time of a node's start": lambda: str(pregel_retry.datetime.now()),
}


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
async def test_a_draw_of_a_library_is_the_same_on_replay(lab: Lab, draw: Callable[[], str]) -> None:
    tell = perdure.tool(search)

    async def node(state: Log) -> Log:
        drawn = draw()
        await tell.ainvoke({"q": drawn})
        return {"log": [drawn]}

    async with lab.worker(chain(node, schema=Log)) as runs:
        run = await runs.start("graph", EMPTY)
        [drawn] = (await run.result())["log"]
        [call] = await run.calls()

    assert drawn in str(call.input)


async def test_two_draws_of_one_run_differ(lab: Lab) -> None:
    async def node(state: Log) -> Log:
        return {"log": [jitter(), jitter(), summary_id(), summary_id()]}

    async with lab.worker(chain(node, schema=Log)) as runs:
        drawn = (await (await runs.start("graph", EMPTY)).result())["log"]

    assert len(set(drawn)) == 4


async def test_a_retry_with_jitter_waits_by_durable_timers(lab: Lab) -> None:
    agent = create_agent(
        broken_model(), [], middleware=[ModelRetryMiddleware(max_retries=2, initial_delay=60.0)]
    )
    async with lab.worker(sole(agent)) as runs:
        run = await runs.start("graph")
        await run.result(skip=True)
        timers = [length.total_seconds() for _, length in await run.timers()]

    assert [45 <= timers[0] <= 75, len(timers)] == [True, 2]


def broken_model() -> Any:
    def fail(messages: list[Any]) -> AIMessage:
        raise ConnectionError("down")

    once = perdure.Retry(attempts=1, initial=timedelta(seconds=1), maximum=timedelta(seconds=1))
    return perdure.model(Scripted(say=fail), name="broken", retry=once)


def test_outside_of_a_run_the_clock_is_the_machines() -> None:
    chance.install()

    stamp = datetime.fromisoformat(files.create_file_data("x")["created_at"])

    assert type(stamp) is datetime
    assert stamp.year >= 2024
