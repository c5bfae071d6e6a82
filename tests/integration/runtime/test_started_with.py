"""What a client starts a run with reaches the nodes of its graph."""

from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.graph import START, StateGraph
from langgraph.runtime import Runtime
from typing_extensions import TypedDict

import perdure
from integration.runtime.harness import Lab, Runs, Started
from perdure.client import Client


class Who(TypedDict):
    user: str


class Told(TypedDict, total=False):
    told: Any


def sole(node: Any, *, context: type | None = None) -> perdure.Agents:
    agents = perdure.Agents()
    graph = StateGraph(Told, context_schema=context)
    agents.add("graph", graph.add_node("tell", node).add_edge(START, "tell"))
    return agents


async def output(runs: Runs, **more: Any) -> Any:
    client = Client(runs.client)
    run = await client.start("graph", {}, task_queue=runs.queue, **more)
    handle = runs.client.get_workflow_handle(run.run_id)
    runs.started.append(Started(handle=handle, agents=runs.agents, environment=None))
    return await run.result()


async def test_the_context_that_a_client_gives_reaches_the_node(real: Lab) -> None:
    def tell(state: Told, runtime: Runtime[Who]) -> Told:
        return {"told": runtime.context["user"]}

    async with real.worker(sole(tell, context=Who)) as runs:
        assert await output(runs, context={"user": "ben"}) == {"told": "ben"}


async def test_the_config_that_a_client_gives_reaches_the_node(real: Lab) -> None:
    def tell(state: Told, config: RunnableConfig) -> Told:
        parts, metadata = config.get("configurable", {}), config.get("metadata", {})
        return {"told": [parts["colour"], config.get("tags"), metadata["ticket"]]}

    async with real.worker(sole(tell)) as runs:
        config = {"configurable": {"colour": "red"}, "tags": ["a"], "metadata": {"ticket": 7}}
        assert await output(runs, config=config) == {"told": ["red", ["a"], 7]}


async def test_a_run_stops_where_the_client_says(real: Lab) -> None:
    def tell(state: Told) -> Told:
        return {"told": "after"}

    async with real.worker(sole(tell)) as runs:
        client = Client(runs.client)
        run = await client.start(
            "graph", {}, task_queue=runs.queue, interrupt_before=["tell"], on_pause="return"
        )
        handle = runs.client.get_workflow_handle(run.run_id)
        runs.started.append(Started(handle=handle, agents=runs.agents, environment=None))
        await run.result()
        assert (await client.state(run.run_id)).next == ("tell",)
