"""Agents for the tests of the command line and the client: offline, quick, one trait each."""

import asyncio
from datetime import timedelta
from typing import TypedDict

from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from langgraph.types import interrupt

import perdure


class State(TypedDict, total=False):
    text: str
    said: str
    answer: object


class Who(TypedDict):
    user: str


def endless(text):
    while True:
        yield AIMessage(
            content=text,
            response_metadata={"stop_reason": "end_turn"},
            usage_metadata={"input_tokens": 7, "output_tokens": 3, "total_tokens": 10},
        )


agents = perdure.Agents()
model = perdure.model(GenericFakeChatModel(messages=endless("done so")), name="fake")


async def send(to: str, body: str, copies: int = 1) -> str:
    """Send a mail."""
    return f"sent {copies} to {to}: {body}"


async def wait_long() -> str:
    """Wait until somebody cancels."""
    await asyncio.sleep(3600)
    return "never"


async def break_down(why: str) -> str:
    """Fail for good."""
    raise ValueError(why)


send_tool = perdure.tool(send, effect=True, approve=perdure.Approve(within=timedelta(hours=1)))
wait_tool = perdure.tool(wait_long)
break_tool = perdure.tool(break_down)


def graph(node, context=None):
    made = StateGraph(State, context_schema=context)
    made.add_node("work", node)
    made.add_edge(START, "work")
    made.add_edge("work", END)
    return made


@agents.register("echo")
def echo():
    async def work(state: State):
        reply = await model.ainvoke([HumanMessage(state.get("text", ""))])
        return {"said": reply.text}

    return graph(work)


@agents.register("mail")
def mail():
    async def work(state: State):
        wanted = {"to": "ann@example.com", "body": state.get("text", "")}
        return {"said": await send_tool.ainvoke(wanted)}

    return graph(work)


@agents.register("choose")
def choose():
    def work(state: State):
        decision = perdure.ask("Go on?", action="go", args={"text": state.get("text", "")})
        return {"said": decision.type, "answer": dict(decision.args or {})}

    return graph(work)


@agents.register("free")
def free():
    def work(state: State):
        return {"answer": interrupt("Which colour?")}

    return graph(work)


@agents.register("slow")
def slow():
    async def work(state: State):
        return {"said": await wait_tool.ainvoke({})}

    return graph(work)


@agents.register("broken")
def broken():
    async def work(state: State):
        return {"said": await break_tool.ainvoke({"why": "it is broken"})}

    return graph(work)


@agents.register("twice")
def twice():
    async def work(state: State):
        first = await send_tool.ainvoke({"to": "ann@example.com", "body": "1"})
        return {"said": first + await send_tool.ainvoke({"to": "ann@example.com", "body": "2"})}

    return graph(work)


@agents.register("who")
def who():
    def work(state: State, runtime: Runtime[Who], config: RunnableConfig):
        return {"said": f"{runtime.context['user']} in {config['configurable']['town']}"}

    return graph(work, Who)
