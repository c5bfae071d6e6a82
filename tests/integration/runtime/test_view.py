"""An operator sees what a run does, in Temporal's own tools."""

from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.common import SearchAttributeKey

import perdure
from integration.runtime.fakes import calls, model, pay, paying, sole
from integration.runtime.harness import Lab, Started, eventually

pytestmark = pytest.mark.timeout(60)
AGENT = SearchAttributeKey.for_keyword("PerdureAgent")
STATUS = SearchAttributeKey.for_keyword("PerdureStatus")
TENANT = SearchAttributeKey.for_keyword("PerdureTenant")
WAITING = SearchAttributeKey.for_int("PerdureWaiting")
ASK = perdure.Approve()


async def details(run: Started) -> str:
    metadata = await run.handle.query("__temporal_workflow_metadata", result_type=WorkflowMetadata)
    return metadata.current_details


async def test_the_details_say_what_is_waited_for(lab: Lab) -> None:
    async with lab.worker(paying(42, approve=ASK)) as runs:
        run = await runs.start("payer")
        await run.question()
        text = await details(run)
        assert text.startswith("**payer** is **waiting**")
        assert "### Waiting for a person: tool: pay(amount=42)" in text
        assert "- answers: approve, edit, reject, respond" in text
        assert "- id: `call-1.1`" in text


async def test_the_details_say_who_decided_what(lab: Lab) -> None:
    async with lab.worker(paying(42, approve=ASK)) as runs:
        run = await runs.start("payer")
        await run.question()
        await run.decide({"type": "reject", "by": "ann"})
        await run.result()
        text = await details(run)
        assert text.startswith("**payer** is **done**")
        assert "- tool: pay(amount=42): **reject** by ann " in text


async def test_the_details_count_calls_and_tokens(lab: Lab) -> None:
    usage = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}
    first = calls("pay", {"amount": 1}).model_copy(update={"usage_metadata": usage})
    answer = AIMessage("done", usage_metadata=usage)
    tool = perdure.tool(pay, effect=True)
    async with lab.worker(sole(create_agent(model(first, answer), [tool]))) as runs:
        run = await runs.start("graph")
        await run.result()
        text = await details(run)
        assert "- model calls: 2" in text
        assert "- tool calls: 1" in text
        assert "- tokens: 20 in, 10 out" in text


async def attributes(run: Started, *, status: str) -> dict[str, Any]:
    """Wait until the server lists the run under a status; return what it lists."""

    async def look() -> dict[str, Any] | None:
        found = (await run.handle.describe()).typed_search_attributes
        if found.get(STATUS) != status:
            return None
        return {key.name: found.get(key) for key in (AGENT, STATUS, WAITING, TENANT)}

    return await eventually(look, what=f"PerdureStatus={status}")


async def test_search_attributes_follow_the_life_of_a_run(real: Lab) -> None:
    async with real.worker(paying(42, approve=ASK)) as runs:
        run = await runs.start("payer", index=True, tenant="acme")
        await run.question()
        own = {"PerdureAgent": "payer", "PerdureTenant": "acme"}
        waiting = await attributes(run, status="waiting")
        assert waiting == {**own, "PerdureStatus": "waiting", "PerdureWaiting": 1}
        await run.decide({"type": "approve"})
        await run.result()
        done = await attributes(run, status="done")
        assert done == {**own, "PerdureStatus": "done", "PerdureWaiting": 0}


async def test_a_failed_run_is_listed_as_failed(real: Lab) -> None:
    terms = perdure.Approve(within=perdure.TOOL_RETRY.initial, on_deadline="fail")
    async with real.worker(paying(42, approve=terms)) as runs:
        run = await runs.start("payer", index=True)
        await run.failure()
        assert (await attributes(run, status="failed"))["PerdureAgent"] == "payer"


async def test_the_memo_holds_the_open_questions(real: Lab) -> None:
    async with real.worker(paying(42, approve=ASK)) as runs:
        run = await runs.start("payer", index=True)
        asked = await run.question()

        async def memo() -> Any:
            return (await (await run.handle.describe()).memo()).get("perdure.questions")

        (held,) = await eventually(memo, what="the memo")
        assert {key: held[key] for key in ("id", "title", "args")} == {
            key: asked[key] for key in ("id", "title", "args")
        }


async def test_without_an_index_the_server_is_told_nothing(real: Lab) -> None:
    async with real.worker(paying(42, approve=ASK)) as runs:
        run = await runs.start("payer")
        await run.question()
        assert await run.events("UPSERT_WORKFLOW_SEARCH_ATTRIBUTES") == []
        assert await run.events("WORKFLOW_PROPERTIES_MODIFIED") == []
