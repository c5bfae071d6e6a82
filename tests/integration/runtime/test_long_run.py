"""One run of very many turns. PERDURE_LONG=1 makes it 10,000."""

import os
from collections import Counter
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, BaseMessage

import perdure
from integration.runtime.fakes import Scripted, calls, sole
from integration.runtime.harness import Lab
from perdure.client import Client

LONG = os.environ.get("PERDURE_LONG") == "1"
TURNS = 10_000 if LONG else 150
LIMITS = {} if LONG else {"events": 200}


@pytest.mark.timeout(20_000 if LONG else 120)
@pytest.mark.parametrize("cache", [100], ids=["cached"])
async def test_a_run_of_very_many_turns_ends_with_all_of_them(real: Lab):
    bodies = Counter[str]()

    def say(messages: list[BaseMessage]) -> AIMessage:
        bodies["model"] += 1
        number = bodies["model"]
        return (
            calls("look", {"q": str(number)}, turn=number) if number <= TURNS else AIMessage("end")
        )

    def look(q: str) -> str:
        """Look something up."""
        bodies["tool"] += 1
        return f"found {q}"

    model = perdure.model(Scripted(say=say), name="m")
    async with real.worker(sole(create_agent(model, [perdure.tool(look, quick=True)]))) as runs:
        run = await runs.start("graph", continues=LIMITS, recursion_limit=3 * TURNS)
        await run.handle.result()
        output: Any = await Client(runs.client).result(run.id)
        assert bodies == {"model": TURNS + 1, "tool": TURNS}
        assert len(output["messages"]) == 2 * TURNS + 2
        assert len(await run.histories()) > 3
        if LONG:
            runs.started.clear()  # replaying all of them takes as long again
