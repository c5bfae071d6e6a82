"""The floor: temporalio alone, a loop in a workflow that sends the whole list with each call.

options: sandbox=0 runs the workflow unsandboxed; delta=1 is the bound below the floor: the model's
activity gets only its turn number, so nothing is sent twice.
"""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from temporalio import activity, workflow

with workflow.unsafe.imports_passed_through():
    from benchmarks import workload
    from benchmarks.peers.base import TemporalPeer
    from benchmarks.workload import Counters


@dataclass
class ToolCall:
    id: str
    name: str
    args: dict


@dataclass
class Message:
    role: str
    content: str
    tool_calls: list[ToolCall] = field(default_factory=list)
    tool_call_id: str | None = None


@dataclass
class Ask:
    turns: int
    payload: int
    approval: bool = False
    delta: bool = False


def script(turn: int, turns: int, payload: int) -> Message:
    if turn >= turns:
        return Message("assistant", "done")
    return Message(
        "assistant",
        workload.MODEL_TEXT,
        [ToolCall(f"call_{turn}", "observe", {"step": turn, "size": payload})],
    )


@activity.defn
async def call_llm(messages: list[Message]) -> Message:
    turns, payload = workload.parse(messages[0].content)
    turn = sum(1 for m in messages if m.role == "assistant")
    Counters.hit("model")
    return script(turn, turns, payload)


@activity.defn
async def call_llm_delta(turn: int, turns: int, payload: int) -> Message:
    Counters.hit("model")
    return script(turn, turns, payload)


@activity.defn
async def call_tool(call: ToolCall) -> Message:
    Counters.hit("tool")
    return Message(
        "tool", workload.observation(call.args["step"], call.args["size"]), tool_call_id=call.id
    )


TIMEOUT = {"start_to_close_timeout": timedelta(seconds=60)}


@workflow.defn
class RawAgent:
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
    async def run(self, ask: Ask) -> int:
        messages = [Message("user", workload.request(ask.turns, ask.payload))]
        turn = 0
        while True:
            if ask.delta:
                reply = await workflow.execute_activity(
                    call_llm_delta, args=[turn, ask.turns, ask.payload], **TIMEOUT
                )
            else:
                reply = await workflow.execute_activity(call_llm, messages, **TIMEOUT)
            messages.append(reply)
            turn += 1
            if not reply.tool_calls:
                return len(messages)
            if ask.approval:
                self.waiting = True
                await workflow.wait_condition(
                    lambda: self.approved is not None, timeout=timedelta(hours=24)
                )
                self.waiting = False
            for call in reply.tool_calls:
                messages.append(await workflow.execute_activity(call_tool, call, **TIMEOUT))


class RawPeer(TemporalPeer):
    packages = ("temporalio",)

    def worker_options(self) -> dict[str, Any]:
        kw: dict[str, Any] = {
            "workflows": [RawAgent],
            "activities": [call_llm, call_llm_delta, call_tool],
        }
        if self.options.get("sandbox") == "0":
            from temporalio.worker import UnsandboxedWorkflowRunner

            kw["workflow_runner"] = UnsandboxedWorkflowRunner()
        return kw

    async def start(self, run_id: str, turns: int, payload: int, *, approval: bool = False) -> Any:
        ask = Ask(turns, payload, approval, self.options.get("delta") == "1")
        return await self.client.start_workflow(RawAgent.run, ask, id=run_id, task_queue=self.queue)

    async def park_one(self, run_id: str, payload: int) -> Any:
        handle = await self.start(run_id, 1, payload, approval=True)
        await self.until(handle, RawAgent.is_waiting, bool)
        return handle

    async def release_one(self, token: Any) -> int:
        await token.signal(RawAgent.decide, True)
        return await token.result()


PEER = RawPeer
