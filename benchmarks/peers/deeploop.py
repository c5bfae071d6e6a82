"""temporalio-deepagents: the graph runs in the workflow, each model and tool call is an activity.

options: kind=react is LangChain's create_agent with its TemporalModel; kind=deep (default) is
create_temporal_deep_agent, a heavier agent with middleware of its own, whose tools travel with
every call.
"""

from datetime import timedelta
from typing import Any

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from langchain.agents import create_agent
    from langchain_core.language_models.chat_models import BaseChatModel
    from langchain_core.messages import AIMessage
    from langchain_core.outputs import ChatGeneration, ChatResult
    from langchain_core.tools import tool
    from temporalio.deepagents import (
        DeepAgentsPlugin,
        TemporalModel,
        create_temporal_deep_agent,
        tool_as_activity,
    )

    from benchmarks import workload
    from benchmarks.peers.base import TemporalPeer
    from benchmarks.workload import Counters


class Scripted(BaseChatModel):
    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
        return self

    def _generate(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        turns, payload = workload.parse(next(m for m in messages if m.type == "human").text)
        turn = sum(1 for m in messages if m.type == "ai")
        Counters.hit("model")
        if turn >= turns:
            msg = AIMessage("done", id=f"ai-{turn}")
        else:
            call = {
                "name": "observe",
                "args": {"step": turn, "size": payload},
                "id": f"call_{turn}",
            }
            msg = AIMessage(workload.MODEL_TEXT, tool_calls=[call], id=f"ai-{turn}")
        return ChatResult(generations=[ChatGeneration(message=msg)])

    async def _agenerate(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        return self._generate(messages)


@tool
async def observe(step: int, size: int) -> str:
    """Observe step `step`."""
    Counters.hit("tool")
    return workload.observation(step, size)


OBSERVE = tool_as_activity(observe, start_to_close_timeout=timedelta(seconds=60))


@workflow.defn
class DeepAgent:
    @workflow.run
    async def run(self, turns: int, payload: int, kind: str) -> int:
        if kind == "deep":
            agent = create_temporal_deep_agent(
                model="bench:scripted",
                tools=[OBSERVE],
                activity_options={"start_to_close_timeout": timedelta(seconds=60)},
            )
        else:
            model = TemporalModel(
                model="bench:scripted",
                activity_options={"start_to_close_timeout": timedelta(seconds=60)},
            )
            agent = create_agent(model, [OBSERVE])
        out = await agent.ainvoke(
            {"messages": [{"role": "user", "content": workload.request(turns, payload)}]},
            {"recursion_limit": 8 * turns + 30},
        )
        return len(out["messages"])


class DeepPeer(TemporalPeer):
    packages = (
        "temporalio-deepagents",
        "deepagents",
        "langchain",
        "langgraph",
        "langchain-core",
        "temporalio",
    )

    def client_options(self) -> dict[str, Any]:
        return {"plugins": [DeepAgentsPlugin(model_provider=lambda _: Scripted())]}

    def worker_options(self) -> dict[str, Any]:
        return {"workflows": [DeepAgent]}

    def replayer_options(self) -> dict[str, Any]:
        return {
            "workflows": [DeepAgent],
            "plugins": [DeepAgentsPlugin(model_provider=lambda _: Scripted())],
        }

    async def start(self, run_id: str, turns: int, payload: int, *, approval: bool = False) -> Any:
        return await self.client.start_workflow(
            DeepAgent.run,
            args=[turns, payload, self.options.get("kind", "deep")],
            id=run_id,
            task_queue=self.queue,
        )


PEER = DeepPeer
