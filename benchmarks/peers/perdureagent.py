"""Perdure: `create_agent` with a declared model and a declared tool, as a user writes it.

options: quick=1 declares the tool quick, fused=1 lets a worker carry it out with the model's
reply, durability=... is the run's.
"""

import inspect
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from langchain.agents import create_agent
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult

import perdure
from benchmarks import workload
from benchmarks.peers.base import Finished, NotAvailable, TemporalPeer
from benchmarks.workload import Counters
from perdure.client import Client, connect


class Scripted(BaseChatModel):
    """The workload's model."""

    tool: str = "observe"

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
        return self

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: Any = None,
        **kwargs: Any,
    ) -> ChatResult:
        turns, payload = workload.parse(next(m for m in messages if m.type == "human").text)
        turn = sum(1 for message in messages if message.type == "ai")
        Counters.hit("model")
        calls = [{"name": self.tool, "args": {"step": turn, "size": payload}, "id": f"call_{turn}"}]
        message = (
            AIMessage("done") if turn >= turns else AIMessage(workload.MODEL_TEXT, tool_calls=calls)
        )
        return ChatResult(generations=[ChatGeneration(message=message)])

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: Any = None,
        **kwargs: Any,
    ) -> ChatResult:
        return self._generate(messages, stop, run_manager, **kwargs)


async def observe(step: int, size: int) -> str:
    """Observe one step."""
    Counters.hit("tool")
    return workload.observation(step, size)


async def observe_asked(step: int, size: int) -> str:
    """Observe one step, if a person agrees."""
    return await observe(step, size)


def has(function: Any, name: str) -> bool:
    return name in inspect.signature(function).parameters


def make_agents(options: Mapping[str, str]) -> perdure.Agents:
    """Build the app.

    Raises:
        NotAvailable: The options ask for what this version does not have.
    """
    terms: dict[str, Any] = {}
    fused = options.get("fused") == "1"
    if fused or options.get("quick") == "1":
        if not has(perdure.tool, "quick"):
            raise NotAvailable("this version has no quick tools: perdure.tool(quick=True)")
        terms["quick"] = True
    model = perdure.model(Scripted(), name="scripted")
    observing = perdure.tool(observe, **terms)
    cautious = perdure.model(Scripted(tool="observe_asked"), name="cautious")
    asking = perdure.tool(observe_asked, approve=perdure.Approve())
    agents = perdure.Agents(fuse=fused)
    agents.register("toolloop")(lambda: create_agent(model, [observing]))
    agents.register("approval")(lambda: create_agent(cautious, [asking]))
    return agents


class PerdurePeer(TemporalPeer):
    """The worker has Perdure's plugin; runs are started, asked and read with Perdure's client."""

    packages = ("perdure", "temporalio", "langgraph", "langchain", "langchain-core")

    def __init__(self, **options: str) -> None:
        super().__init__(**options)
        self.agents = make_agents(options)
        self.start_options: dict[str, Any] = {}
        if durability := options.get("durability"):
            if not has(Client.start, "durability"):
                raise NotAvailable(f"this version has no durability={durability!r}")
            self.start_options["durability"] = durability

    async def connect(self, url: str) -> Any:
        self.perdure = await connect(url)
        return self.perdure.temporal

    def worker_options(self) -> dict[str, Any]:
        return {"plugins": [perdure.Plugin(self.agents)]}

    def replayer_options(self) -> dict[str, Any]:
        return {"workflows": [], "plugins": [perdure.Plugin(self.agents)]}

    def count_messages(self, result: Any) -> int:
        return 0

    async def finished(self, token: Any) -> Finished:
        """Read the conversation as a caller does; the other peers return its length only."""
        found = await super().finished(token)
        return replace(found, messages=await self.read(token[0].id))

    async def read(self, run_id: str) -> int:
        result: Any = await self.perdure.result(run_id)
        return len(result["messages"])

    async def start(self, run_id: str, turns: int, payload: int, *, approval: bool = False) -> Any:
        asked = {"role": "user", "content": workload.request(turns, payload)}
        await self.perdure.start(
            "approval" if approval else "toolloop",
            {"messages": [asked]},
            run_id=run_id,
            recursion_limit=4 * turns + 10,
            task_queue=self.queue,
            **self.start_options,
        )
        return self.client.get_workflow_handle(run_id)

    async def park_one(self, run_id: str, payload: int) -> Any:
        run = await self.start(run_id, 1, payload, approval=True)
        await self.until(run, "questions", bool)
        return run

    async def release_one(self, token: Any) -> int:
        await self.perdure.decide(token.id, {"type": "approve", "by": "benchmark"})
        return await self.read(token.id)


PEER = PerdurePeer
