"""langgraph-temporal: TemporalGraph around the same graph, unsandboxed as its README says.

Its activities call the writers of a node synchronously, so the router is a plain function.
"""

from typing import Any

from langgraph.temporal import TemporalGraph
from langgraph.temporal.workflow import LangGraphWorkflow
from langgraph.types import interrupt
from temporalio.worker import UnsandboxedWorkflowRunner

from benchmarks.peers import lgnodes
from benchmarks.peers.base import TemporalPeer


async def approval(state: lgnodes.State) -> dict[str, Any]:
    interrupt("call the tool?")
    return {}


class LgTemporalPeer(TemporalPeer):
    packages = ("langgraph-temporal", "temporalio", "langgraph", "langchain-core")

    def client_options(self) -> dict[str, Any]:
        if self.options.get("converter") == "pydantic":
            from temporalio.contrib.pydantic import pydantic_data_converter

            return {"data_converter": pydantic_data_converter}
        return {}

    def worker_options(self) -> dict[str, Any]:
        return {"workflows": [LangGraphWorkflow], "workflow_runner": UnsandboxedWorkflowRunner()}

    def make_worker(self) -> Any:
        self.tg = TemporalGraph(
            lgnodes.build(route=lgnodes.route_sync).compile(), self.client, task_queue=self.queue
        )
        self.tga = TemporalGraph(
            lgnodes.build(approval=approval, route=lgnodes.route_sync).compile(),
            self.client,
            task_queue=self.queue,
        )
        # one worker serves both: the graphs live in a process-wide registry
        return self.tg.create_worker(workflow_runner=UnsandboxedWorkflowRunner())

    def count_messages(self, result: Any) -> int:
        values = (
            result.channel_values if hasattr(result, "channel_values") else result["channel_values"]
        )
        return len(values["messages"])

    async def start(self, run_id: str, turns: int, payload: int, *, approval: bool = False) -> Any:
        tg = self.tga if approval else self.tg
        return await tg.astart(
            lgnodes.first(turns, payload),
            {"configurable": {"thread_id": run_id}, "recursion_limit": 4 * turns + 10},
        )

    async def park_one(self, run_id: str, payload: int) -> Any:
        handle = await self.start(run_id, 1, payload, approval=True)
        await self.until(
            handle, LangGraphWorkflow.get_current_state, lambda q: q.status == "interrupted"
        )
        return handle

    async def release_one(self, token: Any) -> int:
        await token.signal(LangGraphWorkflow.resume_signal, True)
        return self.count_messages(await token.result())


PEER = LgTemporalPeer
