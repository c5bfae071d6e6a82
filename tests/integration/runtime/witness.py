"""Models that remember what they were given, on workers that share nothing."""

import random
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from langchain.tools import ToolRuntime
from langchain_core.messages import AIMessage, BaseMessage
from temporalio.client import Client
from temporalio.plugin import SimplePlugin
from temporalio.worker import Worker, WorkerConfig

import perdure
from integration.runtime.fakes import Scripted, calls
from integration.runtime.harness import Lab, Runs
from perdure.activity.resolver import Resolver
from perdure.core.shelf import Shelf
from perdure.testing.replay import assert_replays
from perdure.worker.plugin import Plugin

LONG = "what is known for long. " * 30


@dataclass
class Witness:
    """A model that looks things up so many times, then answers."""

    turns: int
    tool: str = "look"
    seen: list[list[BaseMessage]] = field(default_factory=list[list[BaseMessage]])
    said: int = 0

    def say(self, messages: list[BaseMessage]) -> AIMessage:
        self.seen.append([message.model_copy(deep=True) for message in messages])
        for message in messages:
            message.additional_kwargs["spoilt"] = True  # nobody else may see this
        if "<role>" in messages[0].text:
            return AIMessage("in short: " + LONG)
        self.said += 1
        arguments = {"n": self.said} if self.tool == "look" else {}
        over = self.said > self.turns
        return AIMessage("done") if over else calls(self.tool, arguments, turn=self.said)

    def model(self) -> Scripted:
        return Scripted(say=self.say)

    def told(self) -> list[list[tuple[str, Any, Any]]]:
        """List what each call was given; ids are made by chance outside of a run."""
        return [
            [(m.type, m.content, getattr(m, "tool_calls", None)) for m in one] for one in self.seen
        ]


def look(n: int) -> str:
    """Look something up."""
    return f"{n:04}" + random.Random(n).randbytes(510).hex()  # noqa: S311


def count(runtime: ToolRuntime) -> str:
    """Tell how long the talk is."""
    said = runtime.state["messages"]
    return f"{len(said)} messages of {sum(len(m.text) for m in said)} letters. " + LONG


class _ActivitiesOnly(SimplePlugin):
    def configure_worker(self, config: WorkerConfig) -> WorkerConfig:
        config["workflows"] = []
        return config


def own_resolvers(monkeypatch: Any, *, capacity: int) -> list[Resolver]:
    """List the resolvers of all workers that are made from now on, with room for so much."""
    made: list[Resolver] = []

    def note(**_: Any) -> Resolver:
        made.append(Resolver(shelf=Shelf(capacity=capacity, room_for_lists=capacity)))
        return made[-1]

    monkeypatch.setattr("perdure.worker.plugin.Resolver", note)
    return made


async def working(lab: Lab, queue: str, agents: perdure.Agents) -> Worker:
    """Make a worker for activities only, on a connection of its own."""
    client = await Client.connect(lab.client.service_client.config.target_host)
    plugins = [Plugin(agents), _ActivitiesOnly("activities only")]
    return Worker(client, task_queue=queue, plugins=plugins)


def deciding(lab: Lab, queue: str, agents: perdure.Agents) -> Worker:
    """Make a worker for workflows only."""
    return Worker(
        lab.client,
        task_queue=queue,
        plugins=[Plugin(agents)],
        no_remote_activities=True,
        max_cached_workflows=lab.cache,
    )


@asynccontextmanager
async def fleet(
    lab: Lab, make: Callable[[], perdure.Agents], *, work: int = 2
) -> AsyncGenerator[Runs]:
    """Run one worker for workflows and some for activities; replay every run at the end."""
    queue = f"queue-{uuid4().hex[:12]}"
    agents = make()
    decider = deciding(lab, queue, agents)
    runs = Runs(
        client=lab.client, agents=agents, queue=queue, worker=decider, environment=lab.environment
    )
    workers = [await working(lab, queue, make()) for _ in range(work)]
    async with decider, workers[0], workers[1] if work > 1 else nullcontext():
        yield runs
        for run in runs.started:
            await assert_replays(agents, await run.handle.fetch_history())
