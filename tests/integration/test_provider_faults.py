"""One attempt of a model call against real HTTP: the clients are real, the provider is llmock."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from langchain_core.messages import HumanMessage
from llmock.pytest_plugin import LLMock

from integration.faults import (
    CASES,
    CHAT,
    ROWS,
    Expected,
    Peers,
    Provider,
    Row,
    attempt,
    chat,
    with_tool,
)
from integration.raw_server import RawServer
from perdure.activity.failure import as_application_error
from perdure.activity.provider import tune
from perdure.activity.replies import collect

every_provider = pytest.mark.parametrize("provider", CHAT)


@pytest.fixture
async def peers(llmock: LLMock) -> AsyncIterator[Peers]:
    async with RawServer(llmock.url).running() as raw:
        yield Peers(llmock=llmock, raw=raw)


@pytest.mark.parametrize(
    ("row", "provider"), CASES, ids=[f"{row.id}-{provider}" for row, provider in CASES]
)
async def test_one_attempt_ends_as_the_table_says(peers: Peers, row: Row, provider: Provider):
    model = chat(provider, base_url=row.base_url(peers, provider), streaming=row.streaming)

    outcome = await attempt(model, kwargs=row.bind(model), timeout=row.timeout)

    verdict = outcome.verdict
    assert row.expected == Expected(
        act=verdict and verdict.act,
        after=verdict and verdict.after,
        faults=tuple(fault.kind for fault in outcome.faults),
        requests=peers.requests,
    )


def test_the_rows_have_different_ids():
    assert len({row.id for row in ROWS}) == len(ROWS)


@every_provider
async def test_an_untuned_client_repeats_a_request_by_itself(llmock: LLMock, provider: Provider):
    llmock.rate_limit(times=None, retry_after=0.01)
    model = chat(provider, base_url=llmock.base_url(provider))

    with pytest.raises(Exception, match="Rate limit"):
        await model.ainvoke("hello")

    assert len(llmock.requests) == 3


@every_provider
async def test_a_tuned_client_makes_one_request(llmock: LLMock, provider: Provider):
    llmock.rate_limit(times=None, retry_after=0.01)
    model = chat(provider, base_url=llmock.base_url(provider))

    with pytest.raises(Exception, match="Rate limit"):
        await tune(model, timeout=timedelta(seconds=20)).ainvoke("hello")

    assert len(llmock.requests) == 1


@every_provider
def test_a_tuned_client_makes_one_request_also_when_called_without_a_loop(
    llmock: LLMock, provider: Provider
):
    llmock.rate_limit(times=None, retry_after=0.01)
    model = chat(provider, base_url=llmock.base_url(provider))

    with pytest.raises(Exception, match="Rate limit"):
        tune(model, timeout=timedelta(seconds=20)).invoke("hello")

    assert len(llmock.requests) == 1


@every_provider
async def test_the_failure_for_temporal_names_provider_text_and_status(
    llmock: LLMock, provider: Provider
):
    llmock.fail(503, message="The model is down for an hour.")
    model = chat(provider, base_url=llmock.base_url(provider))
    outcome = await attempt(model, kwargs={}, timeout=timedelta(seconds=20))

    failure = as_application_error(
        outcome.error, outcome.verdict, code="model_failed", subject="model 'm'"
    )

    assert failure.message.startswith("model 'm' failed: The model is down for an hour.")
    assert failure.details[0]["status"] == 503


@every_provider
async def test_streamed_arguments_that_were_cut_are_not_mended(llmock: LLMock, provider: Provider):
    llmock.call_tool("refund", {"charge_id": "ch_1", "amount": 42}).break_tool_call()
    model = chat(provider, base_url=llmock.base_url(provider), streaming=True)
    bound = tune(model, timeout=timedelta(seconds=20)).bind(**with_tool(model))

    message = await collect(bound, [HumanMessage("Refund it.")])

    assert [message.tool_calls, message.invalid_tool_calls[0]["args"]] == [[], '{"charge_id": "ch']


@every_provider
async def test_a_streamed_answer_counts_its_tokens(llmock: LLMock, provider: Provider):
    llmock.reply("Done.")
    model = chat(provider, base_url=llmock.base_url(provider), streaming=True)
    if provider == "openai":
        model = model.model_copy(update={"stream_usage": True})

    message = await collect(tune(model, timeout=timedelta(seconds=20)), [HumanMessage("Hi.")])

    assert message.usage_metadata["output_tokens"] > 0
