"""The agent of the README, as it stands there, with its model at llmock."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from llmock.pytest_plugin import LLMock
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

import perdure
from perdure.client.poll import until
from perdure.core.names import AGENT_WORKFLOW, DECIDE_UPDATE, QUESTIONS_QUERY
from perdure.testing import assert_run_replays

README = Path(__file__).parents[2] / "README.md"
MOST_LINES = 25

pytestmark = pytest.mark.usefixtures("fresh_declarations")


def code() -> str:
    found = re.search(r"```python\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    assert found
    return found[1]


def test_it_is_short():
    assert len([line for line in code().splitlines() if line.strip()]) < MOST_LINES


async def test_it_runs_and_waits_for_a_person_before_it_refunds(
    skipping: WorkflowEnvironment, llmock: LLMock
):
    llmock.call_tool("refund", {"charge": "ch_1", "amount": 42}).reply("Done.")
    names: dict[str, Any] = {"__name__": "app"}
    exec(compile(code(), str(README), "exec"), names)  # noqa: S102 - our own page
    agents: perdure.Agents = names["agents"]
    start = {"agent": "refunds", "input": {"messages": [{"role": "user", "content": "Refund"}]}}
    queue = uuid4().hex
    async with Worker(skipping.client, task_queue=queue, plugins=[perdure.Plugin(agents)]):
        run = await skipping.client.start_workflow(
            AGENT_WORKFLOW, start, id=queue, task_queue=queue
        )

        async def look() -> Any:
            return await run.query(QUESTIONS_QUERY) or None

        asked = await until(look, within=timedelta(seconds=20))
        assert [one["args"] for one in asked] == [{"charge": "ch_1", "amount": 42}]
        assert len(llmock.requests) == 1
        await run.execute_update(DECIDE_UPDATE, {"type": "approve", "by": "ann"})
        messages = (await run.result())["messages"]
    assert messages[-2]["content"].startswith("refunded 42 of ch_1 under key ")
    assert messages[-1]["content"]
    await assert_run_replays(agents, skipping.client, run.id)
