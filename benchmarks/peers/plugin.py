"""temporalio-langgraph, the official plugin: both nodes are activities."""

from datetime import timedelta
from typing import Any

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from langgraph.checkpoint.memory import InMemorySaver
    from langgraph.types import Command, interrupt
    from temporalio.langgraph import LangGraphPlugin, graph

    from benchmarks.peers import lgnodes
    from benchmarks.peers.base import TemporalPeer


async def approval(state: lgnodes.State) -> dict[str, Any]:
    interrupt("call the tool?")
    return {}


META = {"execute_in": "activity", "start_to_close_timeout": timedelta(seconds=60)}


@workflow.defn
class PluginAgent:
    @workflow.run
    async def run(self, turns: int, payload: int) -> int:
        app = graph("toolloop").compile()
        out = await app.ainvoke(lgnodes.first(turns, payload), {"recursion_limit": 4 * turns + 10})
        return len(out["messages"])


@workflow.defn
class PluginApproval:
    """The plugin's documented pattern: interrupt(), wait for a signal, Command(resume)."""

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
        app = graph("approval").compile(checkpointer=InMemorySaver())
        config = {"recursion_limit": 4 * turns + 10, "configurable": {"thread_id": "1"}}
        out = await app.ainvoke(lgnodes.first(turns, payload), config)
        while "__interrupt__" in out:
            self.waiting = True
            await workflow.wait_condition(
                lambda: self.approved is not None, timeout=timedelta(hours=24)
            )
            self.waiting = False
            out = await app.ainvoke(Command(resume=self.approved), config)
        return len(out["messages"])


class PluginPeer(TemporalPeer):
    packages = ("temporalio-langgraph", "temporalio", "langgraph", "langchain-core")

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        where = options.get("approval_in", "workflow")
        self.plugin = LangGraphPlugin(
            graphs={
                "toolloop": lgnodes.build(
                    meta=META,
                    route=lgnodes.route_sync if options.get("route") == "sync" else lgnodes.route,
                ),
                "approval": lgnodes.build(
                    meta=META,
                    approval=approval,
                    approval_meta={"execute_in": "workflow"} if where == "workflow" else META,
                ),
            }
        )

    def client_options(self) -> dict[str, Any]:
        if self.options.get("converter") == "pydantic":
            from temporalio.contrib.pydantic import pydantic_data_converter

            return {"data_converter": pydantic_data_converter}
        return {}

    def worker_options(self) -> dict[str, Any]:
        kw: dict[str, Any] = {"workflows": [PluginAgent, PluginApproval], "plugins": [self.plugin]}
        if self.options.get("sandbox") == "0":
            from temporalio.worker import UnsandboxedWorkflowRunner

            kw["workflow_runner"] = UnsandboxedWorkflowRunner()
        return kw

    async def start(self, run_id: str, turns: int, payload: int, *, approval: bool = False) -> Any:
        wf = PluginApproval if approval else PluginAgent
        return await self.client.start_workflow(
            wf.run, args=[turns, payload], id=run_id, task_queue=self.queue
        )

    async def park_one(self, run_id: str, payload: int) -> Any:
        handle = await self.start(run_id, 1, payload, approval=True)
        await self.until(handle, PluginApproval.is_waiting, bool)
        return handle

    async def release_one(self, token: Any) -> int:
        await token.signal(PluginApproval.decide, True)
        return await token.result()


PEER = PluginPeer
