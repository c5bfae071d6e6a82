"""pydantic-ai on Temporal, with a scripted FunctionModel and the TemporalDurability capability."""

from datetime import timedelta
from typing import Any

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from pydantic_ai import Agent, DeferredToolRequests, DeferredToolResults
    from pydantic_ai.durable_exec.temporal import (
        PydanticAIPlugin,
        PydanticAIWorkflow,
        TemporalDurability,
    )
    from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart
    from pydantic_ai.models.function import AgentInfo, FunctionModel
    from pydantic_ai.usage import UsageLimits

    from benchmarks import workload
    from benchmarks.peers.base import TemporalPeer
    from benchmarks.workload import Counters


async def scripted(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    prompt = next(p.content for m in messages for p in m.parts if p.part_kind == "user-prompt")
    turns, payload = workload.parse(prompt)
    turn = sum(1 for m in messages if m.kind == "response")
    Counters.hit("model")
    if turn >= turns:
        return ModelResponse(parts=[TextPart("done")])
    return ModelResponse(
        parts=[
            TextPart(workload.MODEL_TEXT),
            ToolCallPart("observe", {"step": turn, "size": payload}, f"call_{turn}"),
        ]
    )


async def observe(step: int, size: int) -> str:
    """Observe step `step`."""
    Counters.hit("tool")
    return workload.observation(step, size)


def make(name: str, approval: bool) -> Any:
    agent = Agent(
        FunctionModel(scripted),
        name=name,
        output_type=[str, DeferredToolRequests] if approval else str,
        capabilities=[TemporalDurability()],
    )
    agent.tool_plain(observe, requires_approval=approval)
    return agent


AGENT = make("toolloop", False)
AGENT_APPROVAL = make("toolloop_approval", True)
LIMITS = UsageLimits(request_limit=None)


@workflow.defn
class PydaiAgent(PydanticAIWorkflow):
    __pydantic_ai_agents__ = [AGENT]

    @workflow.run
    async def run(self, turns: int, payload: int) -> int:
        result = await AGENT.run(workload.request(turns, payload), usage_limits=LIMITS)
        return len(result.all_messages())


@workflow.defn
class PydaiApproval(PydanticAIWorkflow):
    __pydantic_ai_agents__ = [AGENT_APPROVAL]

    def __init__(self) -> None:
        self.approved: bool | None = None
        self.waiting = False

    @workflow.signal
    def decide(self, ok: bool) -> None:
        self.approved = ok

    @workflow.query
    def is_waiting(self) -> bool:
        return self.waiting

    @workflow.run
    async def run(self, turns: int, payload: int) -> int:
        result = await AGENT_APPROVAL.run(workload.request(turns, payload), usage_limits=LIMITS)
        while isinstance(result.output, DeferredToolRequests):
            self.waiting = True
            await workflow.wait_condition(
                lambda: self.approved is not None, timeout=timedelta(hours=24)
            )
            self.waiting = False
            answers = DeferredToolResults(
                approvals={c.tool_call_id: True for c in result.output.approvals}
            )
            result = await AGENT_APPROVAL.run(
                message_history=result.all_messages(),
                deferred_tool_results=answers,
                usage_limits=LIMITS,
            )
        return len(result.all_messages())


class PydaiPeer(TemporalPeer):
    packages = ("pydantic-ai-slim", "temporalio", "pydantic")

    def client_options(self) -> dict[str, Any]:
        return {"plugins": [PydanticAIPlugin()]}

    def worker_options(self) -> dict[str, Any]:
        return {"workflows": [PydaiAgent, PydaiApproval]}

    def replayer_options(self) -> dict[str, Any]:
        return {"workflows": [PydaiAgent, PydaiApproval], "plugins": [PydanticAIPlugin()]}

    async def start(self, run_id: str, turns: int, payload: int, *, approval: bool = False) -> Any:
        wf = PydaiApproval if approval else PydaiAgent
        return await self.client.start_workflow(
            wf.run, args=[turns, payload], id=run_id, task_queue=self.queue
        )

    async def park_one(self, run_id: str, payload: int) -> Any:
        handle = await self.start(run_id, 1, payload, approval=True)
        await self.until(handle, PydaiApproval.is_waiting, bool)
        return handle

    async def release_one(self, token: Any) -> int:
        await token.signal(PydaiApproval.decide, True)
        return await token.result()


PEER = PydaiPeer
