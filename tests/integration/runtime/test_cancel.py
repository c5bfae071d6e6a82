"""Cancelling a run reaches the request that is on its way."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from time import monotonic

import pytest
from langchain.agents import create_agent
from langchain_anthropic import ChatAnthropic
from langchain_openai import ChatOpenAI
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError
from temporalio.exceptions import CancelledError

import perdure
from integration.runtime.fakes import chain, sole
from integration.runtime.harness import WITHIN, Lab

pytestmark = pytest.mark.timeout(60)


class Silent:
    """A provider that takes a request and never answers."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.left = asyncio.Event()
        self.requests = 0
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.requests += 1
        self.asked.set()
        while await reader.read(65536):
            pass
        self.left.set()
        writer.close()


@asynccontextmanager
async def silent() -> AsyncGenerator[Silent]:
    provider = Silent()
    server = await asyncio.start_server(provider.serve, "127.0.0.1", 0)
    provider.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield provider


def anthropic(url: str) -> ChatAnthropic:
    return ChatAnthropic(model_name="claude", base_url=url, api_key="none")  # type: ignore[call-arg]


def openai(url: str) -> ChatOpenAI:
    return ChatOpenAI(model="gpt", base_url=url, api_key="none")  # type: ignore[arg-type]


@pytest.mark.parametrize("make", [anthropic, openai])
async def test_a_cancelled_run_aborts_the_request_within_two_seconds(real: Lab, make) -> None:
    async with silent() as provider:
        agent = create_agent(perdure.model(make(provider.url), name="m"), [])
        async with real.worker(sole(agent)) as runs:
            run = await runs.start("graph")
            async with asyncio.timeout(WITHIN.total_seconds()):
                await provider.asked.wait()
                asked_at = monotonic()
                await run.handle.cancel()
                await provider.left.wait()
            assert monotonic() - asked_at < 2.5  # half a second for a busy machine
            with pytest.raises(WorkflowFailureError) as failed:
                await run.result()
            assert isinstance(failed.value.cause, CancelledError)
            assert await run.status() == WorkflowExecutionStatus.CANCELED
            assert provider.requests == 1


async def test_a_run_that_waits_for_a_person_can_be_cancelled(lab: Lab) -> None:
    def node(state: object) -> None:
        perdure.ask("go on?")

    async with lab.worker(chain(node)) as runs:
        run = await runs.start("graph")
        await run.question()
        await run.handle.cancel()
        with pytest.raises(WorkflowFailureError):
            await run.result()
        assert await run.status() == WorkflowExecutionStatus.CANCELED


async def test_an_effect_that_was_cut_off_by_a_cancel_is_unknown(real: Lab) -> None:
    begun = asyncio.Event()

    async def transfer() -> str:
        """Transfer money until somebody cuts it off."""
        begun.set()
        await asyncio.get_running_loop().create_future()
        return "never"

    tool = perdure.tool(transfer, effect=True, idempotent=False)

    async def node(state: object) -> None:
        await tool.ainvoke({})

    async with real.worker(chain(node)) as runs:
        run = await runs.start("graph")
        async with asyncio.timeout(WITHIN.total_seconds()):
            await begun.wait()
        await run.handle.cancel()
        assert (await run.failure()).type == "effect_unknown"


async def test_an_effect_on_its_way_is_waited_for_when_the_run_is_cancelled(real: Lab) -> None:
    begun, proceed = asyncio.Event(), asyncio.Event()

    async def transfer() -> str:
        """Transfer money, whatever happens."""
        begun.set()
        try:
            await proceed.wait()
        except asyncio.CancelledError:
            await proceed.wait()
        return "transferred"

    tool = perdure.tool(transfer, effect=True)

    async def node(state: object) -> None:
        await tool.ainvoke({})

    async def after(state: object) -> None:
        await tool.ainvoke({})

    async with real.worker(chain(node, after)) as runs:
        run = await runs.start("graph")
        async with asyncio.timeout(WITHIN.total_seconds()):
            await begun.wait()
        await run.handle.cancel()
        assert await run.status() == WorkflowExecutionStatus.RUNNING
        proceed.set()
        with pytest.raises(WorkflowFailureError):
            await run.result()
        assert await run.status() == WorkflowExecutionStatus.CANCELED
        assert len(await run.events("ACTIVITY_TASK_COMPLETED")) == 1
        assert len(await run.calls()) == 1
