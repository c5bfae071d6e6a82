"""An app as it is written for Temporal's own plugin; which plugin, a test chooses."""

from datetime import timedelta
from typing import Any

from langgraph.checkpoint.memory import InMemorySaver
from langgraph.func import entrypoint, task
from langgraph.graph import START, StateGraph
from langgraph.runtime import Runtime
from langgraph.types import Command, interrupt
from temporalio import workflow
from temporalio.common import RetryPolicy
from typing_extensions import TypedDict


class State(TypedDict, total=False):
    text: str
    user: str
    answer: str


class Context(TypedDict):
    user_id: str


async def shout(state: State, runtime: Runtime[Context]) -> State:
    return {"text": state.get("text", "").upper(), "user": runtime.context["user_id"]}


def mark(state: State) -> State:
    return {"text": state.get("text", "") + "!"}


async def ask(state: State) -> State:
    return {"answer": interrupt("sure?")}


def label(args: Any, _: Any) -> str:
    return f"shouting {args[0]['text']}"


def shouting() -> Any:
    made = StateGraph(State, context_schema=Context)
    options = {
        "execute_in": "activity",
        "start_to_close_timeout": timedelta(seconds=30),
        "retry_policy": RetryPolicy(maximum_attempts=3),
        "summary_fn": label,
    }
    made.add_node("shout", shout, metadata=options)
    made.add_node("mark", mark, metadata={"execute_in": "workflow"})
    return made.add_edge(START, "shout").add_edge("shout", "mark")


def asking() -> Any:
    made = StateGraph(State)
    made.add_node("ask", ask, metadata={"execute_in": "activity"})
    return made.add_edge(START, "ask")


@task
async def add(number: int) -> int:
    return number + 1


@task
def times(number: int) -> int:
    return number * 10


@entrypoint()
async def calculate(number: int) -> int:
    return await times(await add(number))


def arguments() -> dict[str, Any]:
    """Return the arguments of the plugin, fresh: Temporal's own changes what it is given."""
    return {
        "graphs": {"shouting": shouting(), "asking": asking()},
        "entrypoints": {"calculate": calculate},
        "tasks": [add, times],
        "activity_options": {
            "add": {"execute_in": "activity", "summary": "adding"},
            "times": {"execute_in": "workflow"},
        },
        "default_activity_options": {"start_to_close_timeout": timedelta(seconds=10)},
    }


CHOSEN: dict[str, Any] = {}
"""The module under "parts" is the plugin whose `graph` and `entrypoint` the workflows use."""


@workflow.defn(name="Shout", sandboxed=False)
class Shout:
    @workflow.run
    async def run(self, text: str) -> Any:
        made = CHOSEN["parts"].graph("shouting").compile()
        return await made.ainvoke({"text": text}, context=Context(user_id="ann"))


@workflow.defn(name="Ask", sandboxed=False)
class Ask:
    @workflow.run
    async def run(self, answer: str) -> Any:
        made = CHOSEN["parts"].graph("asking").compile(checkpointer=InMemorySaver())
        config: Any = {"configurable": {"thread_id": "t"}}
        paused = await made.ainvoke({"text": "x"}, config)
        asked = paused["__interrupt__"][0].value
        done = await made.ainvoke(Command(resume=answer), config)
        return [asked, done]


@workflow.defn(name="Calculate", sandboxed=False)
class Calculate:
    @workflow.run
    async def run(self, number: int) -> Any:
        return await CHOSEN["parts"].entrypoint("calculate").ainvoke(number)


@workflow.defn(name="Remember", sandboxed=False)
class Remember:
    @workflow.run
    async def run(self, cache: dict[str, Any] | None = None) -> Any:
        done = await CHOSEN["parts"].entrypoint("calculate", cache=cache).ainvoke(1)
        if cache is None:
            workflow.continue_as_new(CHOSEN["parts"].cache())
        return done


WORKFLOWS = (Shout, Ask, Calculate, Remember)
