"""Every public name, used as an app would use it. Only type-checked, never run."""

# pyright: reportUnknownVariableType=false
# LangChain's own signature of `create_agent` is partly unknown.

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TypedDict, assert_type

import temporalio.client
from langchain.agents import create_agent
from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.messages import AIMessage
from langchain_core.tools import BaseTool, StructuredTool
from langgraph.constants import START
from langgraph.graph import StateGraph
from temporalio import workflow
from temporalio.worker import Worker

import perdure
import perdure.client
import perdure.testing
import perdure.workflow
from perdure.core.jsons import Json, JsonObject
from perdure.errors import PerdureError, RunFailed
from perdure.testing.replay import assert_replays
from perdure.worker.apps import load_app
from perdure.worker.factory import make_worker, run_worker

# The example of the README


def refund(charge: str, amount: int) -> str:
    """Refund a charge, in cents."""
    return f"refunded {amount} of {charge} under key {perdure.effect_key()}"


model = perdure.model("anthropic:claude-sonnet-4-6")
pay_back = perdure.tool(refund, effect=True, approve=perdure.Approve(within=timedelta(hours=24)))

agents = perdure.Agents()


@agents.register("refunds")
def refunds() -> object:
    return create_agent(model, [pay_back], system_prompt="You handle refunds.")


# Models and tools


@dataclass(frozen=True)
class Order:
    """A type of the app's own."""

    number: int


async def look_up(number: int) -> Order:
    """Look up an order."""
    return Order(number)


retry = perdure.Retry(initial=timedelta(seconds=1), maximum=timedelta(minutes=1), attempts=3)
assert_type(perdure.LLM_RETRY, perdure.Retry)
assert_type(perdure.TOOL_RETRY, perdure.Retry)
assert_type(model, BaseChatModel)
assert_type(pay_back, BaseTool)
assert_type(perdure.effect_key(), str)

perdure.model("openai:gpt-4o", name="fast", temperature=0.2, timeout=timedelta(seconds=30))
perdure.model(FakeListChatModel(responses=["hi"]), retry=retry, repairs=0)
perdure.tool(look_up, name="order", timeout=timedelta(seconds=5), heartbeat=timedelta(seconds=2))
perdure.tool(StructuredTool.from_function(refund), effect=True, idempotent=False, retry=retry)
terms = perdure.Approve(
    within=timedelta(hours=2),
    allowed=("approve", "reject"),
    on_deadline="fail",
    reminders=(timedelta(hours=1),),
    approvers=("ann",),
)
servers = perdure.mcp(
    {"notes": {"transport": "stdio", "command": "python", "args": ["notes.py"]}},
    prefix=True,
    timeout=timedelta(seconds=30),
    retry=retry,
    effect=["notes_write"],
    approve={"notes_write": terms},
)
create_agent(model, middleware=[servers])


async def list_tools() -> None:
    assert_type(await servers.get_tools(), list[BaseTool])


# Graphs


class State(TypedDict):
    """The state of a graph."""

    order: int
    answer: str


async def decide(state: State) -> dict[str, str]:
    decision = perdure.ask(
        "ship it?",
        action="ship",
        args={"order": state["order"]},
        text="# Order",
        allowed=("approve", "reject"),
        within=timedelta(days=3),
        on_deadline="expire",
        reminders=(timedelta(days=1),),
        approvers=("ann", "bob"),
    )
    assert_type(decision, perdure.Decision)
    answer = await model.ainvoke(f"{decision.type} by {decision.by}: {decision.message}")
    assert_type(answer, AIMessage)
    return {"answer": answer.text}


@agents.register("shipping")
def shipping() -> object:
    graph = StateGraph(State)
    graph.add_node("decide", decide)
    graph.add_edge(START, "decide")
    return graph


typed = perdure.Agents(types=[Order])
typed.add("shipping", shipping())
assert_type(typed.names, list[str])


# A workflow of one's own


@workflow.defn
class Shipping:
    """Run a graph and ask a person, by hand."""

    def __init__(self) -> None:
        self.view = perdure.workflow.open_doors()

    @workflow.run
    async def run(self, order: int) -> str:
        await perdure.workflow.run_graph("shipping", {"order": order})
        decision = await perdure.workflow.ask("send it?", args={"order": order}, terms=terms)
        assert_type(decision, perdure.Decision)
        run = perdure.workflow.need_run("shipping")
        maybe = perdure.workflow.current_run()
        return f"{decision.type} {run.turns} {maybe is run}"


# Workers


async def work(temporal: temporalio.client.Client) -> None:
    plugin = perdure.Plugin(agents, guard="warn")
    async with Worker(temporal, task_queue="q", workflows=[Shipping], plugins=[plugin]):
        pass
    assert_type(load_app("app.py"), perdure.Agents)
    assert_type(make_worker(temporal, agents, task_queue="q", guard="off"), Worker)
    await run_worker(temporal, agents)


# Callers


async def call() -> None:
    target = perdure.client.find_target(address="localhost:7233")
    assert_type(target, perdure.client.Target)
    client = await perdure.client.connect("localhost:7233", namespace="default")
    assert_type(client, perdure.client.Client)
    run = await client.start(
        "refunds",
        {"messages": []},
        run_id="r1",
        tenant="acme",
        options={"models": {"*": {"timeout": 60}}},
        recursion_limit=50,
    )
    assert_type(run, perdure.client.RunHandle)
    inbox = await client.questions(run.run_id)
    assert_type(inbox, perdure.client.Inbox)
    assert_type(inbox.questions[0], perdure.client.Waiting)
    decision = perdure.Decision(type="edit", by="ann", args={"amount": 7})
    assert_type(await client.decide(run.run_id, decision), JsonObject)
    sent: Mapping[str, Json] = {"type": "approve", "by": "ann"}
    await run.decide(sent)
    try:
        assert_type(await run.result(), Json)
    except RunFailed as error:
        assert_type(error.code, str)
    except PerdureError:
        raise
    assert_type(await run.status(), perdure.client.RunStatus)
    assert_type(await client.ls(agent="refunds", status="waiting"), list[perdure.client.RunSummary])
    assert_type(await client.failure(run.run_id), perdure.client.Failure | None)
    assert_type(await client.find("r"), str)
    timeline = await client.timeline(run.run_id)
    assert_type(timeline, perdure.client.Timeline)
    for entry in timeline.entries:
        assert_type(entry, perdure.client.Call | perdure.client.Asked | perdure.client.Happening)
    await client.cancel(run.run_id, reason="no longer needed")
    missing = await perdure.client.missing_attributes(client.temporal)
    if missing:
        await perdure.client.add_attributes(client.temporal)


# Tests


async def test() -> None:
    plugin = perdure.Plugin(agents)
    async with perdure.testing.time_skipping(plugins=[plugin]) as environment:
        await work(environment.client)
    assert_type(perdure.testing.free_port(), int)
    assert_type(perdure.testing.find_binary("temporal"), Path)
    async with (
        perdure.testing.DevServer() as server,
        perdure.testing.WorkerProcess("app.py", address=server.address) as worker,
    ):
        worker.kill()
        temporal = await server.client()
        history = await temporal.get_workflow_handle("r1").fetch_history()
        await assert_replays(agents, history)


if __name__ == "__main__":
    perdure.client.quiet_runtime()
    perdure.client.run_main(call())
    asyncio.run(test())
