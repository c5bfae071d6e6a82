"""Temporal plugin: makes a Client's workers run registered agents."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import cast

import temporalio.client
from temporalio.plugin import SimplePlugin
from temporalio.worker import (
    ReplayerConfig,
    UnsandboxedWorkflowRunner,
    Worker,
    WorkerConfig,
    WorkflowRunner,
)
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from perdure.activity import interrupting
from perdure.activity.ahead import AheadActivity
from perdure.activity.calls import Activities
from perdure.activity.mcptools import ToolServers
from perdure.activity.memory import MemoryActivities
from perdure.activity.nodes import NodeActivities
from perdure.activity.pacing import Pacer
from perdure.activity.resolver import Resolver
from perdure.activity.threads import ThreadActivities
from perdure.core.frames import StreamSink
from perdure.core.ports import Notify
from perdure.core.shelf import Shelf
from perdure.core.wire import PAYLOAD_LIMIT
from perdure.errors import BadOption, PerdureError
from perdure.worker import guard as guards
from perdure.worker.affinity import AffinityExecutor, prove_bridge, workflow_threads
from perdure.worker.agents import Agents
from perdure.worker.carrying import carry_for_client, carry_for_replayer, carry_for_worker
from perdure.worker.discover import discover
from perdure.worker.keyorder import KeepOrder
from perdure.worker.kin import check_agent_tools, store_of
from perdure.worker.resting import REST, resting
from perdure.worker.scan import Guard, scan
from perdure.workflow import (
    bridge,
    chance,
    hooks,
    intercept,
    mcpclients,
    nodebinding,
    ordering,
    redirects,
    toolnodes,
)
from perdure.workflow.agent import AgentWorkflow
from perdure.workflow.loop import LendHost, Runner
from perdure.workflow.privates import evict, give_time, install
from perdure.workflow.turns import ThreadWorkflow

PASSTHROUGH = (
    "perdure", "langgraph", "langchain", "langchain_core", "langchain_protocol", "langsmith",
    "pydantic", "pydantic_core", "annotated_types", "typing_inspection", "jsonschema",
    "jsonschema_specifications", "referencing", "rpds", "attr", "attrs", "orjson", "ormsgpack",
    "xxhash", "uuid_utils", "httpx", "httpx2", "anyio", "sniffio", "tenacity", "yaml",
    "packaging", "jsonpatch", "jsonpointer", "requests", "urllib3", "zstandard", "numpy",
    "typing_extensions", "greenlet", "mcp", "langchain_mcp_adapters", "httpx_sse", "starlette",
    "sse_starlette", "pydantic_settings", "uvicorn",
)  # fmt: skip
"""Modules that a sandboxed workflow shares with its worker; importing LangChain inside the
sandbox fails, and would cost seconds for every workflow."""

STICKY_DEFAULT = timedelta(seconds=10)
STICKY = timedelta(seconds=2)
"""How long a task waits for the worker that knows the run; a dead one costs this much."""
LARGE_STEP = 8.0
"""Seconds that a step may compute where large values are carried; Temporal gives a task ten."""
PACING = timedelta(seconds=30)
THROTTLE = timedelta(seconds=0.2)
"""Heartbeats are sent this often at most; their answers carry a cancel, and they save a reply."""


class Plugin(SimplePlugin):
    """Let a Temporal client or worker run the agents of an app.

    Give it to `Client.connect(..., plugins=[...])` or `Worker(..., plugins=[...])`. It adds the
    agent workflow and the two activities, makes LangGraph's loop run inside workflows, and
    sets Temporal's knobs for agents: a dead worker is replaced within seconds, a cancel reaches
    a call within two.

    `guard` says what happens when a node does I/O or reads the clock: "error" (default),
    "warn" or "off". `pacing` is how long a provider's "too many requests" holds back the other
    calls of the same model on this worker at most; zero switches that off. `sink` is where
    parts of streams go, instead of the one that the agents name. `rest` is how long a run that
    waits for a person stays in this worker's memory at least; it is rebuilt from its history
    when something happens. Zero keeps all.
    """

    def __init__(
        self,
        agents: Agents,
        *,
        guard: Guard = "error",
        pacing: timedelta = PACING,
        notify: Notify | None = None,
        sink: StreamSink | None = None,
        rest: timedelta = REST,
    ) -> None:
        if guard not in ("error", "warn", "off"):
            raise BadOption(f"guard={guard!r}: choose 'error', 'warn' or 'off'")
        self._agents = agents
        self._guard: Guard = guard
        self._ready = False
        self._rest = rest
        if sink is not None:
            agents.sink = sink
        servers = self._servers = ToolServers(declared=agents.declared, codec=agents.codec)
        self._shelf = Shelf(seal=agents.seal)
        resolver = Resolver(shelf=self._shelf)
        activities = Activities(
            declared=agents.declared,
            codec=agents.codec,
            pacer=Pacer(cap=pacing),
            notify=notify,
            sink=agents.sink,
            memory=agents.places.store,
            servers=servers.tool,
            resolver=resolver,
        )
        memory = MemoryActivities(store=agents.places.store, codec=agents.codec)
        threads = ThreadActivities(
            threads=agents.places.threads, codec=agents.codec, resolver=resolver
        )
        nodes = NodeActivities(
            graph=agents.graph,
            declared=agents.declared,
            codec=agents.codec,
            store=lambda: store_of(agents),
            resolver=resolver,
        )
        ahead = AheadActivity(
            graph=agents.graph,
            codec=agents.codec,
            ask=activities.once,
            perform=activities.alone,
            found=lambda: agents.found,
            resolver=resolver,
        )
        super().__init__(
            "perdure.Plugin",
            activities=[
                ahead.ahead,
                activities.model,
                activities.tool,
                servers.tools,
                nodes.node,
                memory.store,
                threads.load,
                threads.save,
            ],
            workflows=[AgentWorkflow, ThreadWorkflow, *agents.workflows],
            interceptors=[LendHost(agents), KeepOrder()],
            workflow_runner=_runner,
            workflow_failure_exception_types=[PerdureError],
        )

    def configure_client(
        self, config: temporalio.client.ClientConfig
    ) -> temporalio.client.ClientConfig:
        """Let a client carry payloads as the agents say."""
        return carry_for_client(self._agents, super().configure_client(config))

    def configure_worker(self, config: WorkerConfig) -> WorkerConfig:
        """Add workflows, activities and settings to a worker."""
        self._prepare_process()
        if self._guard != "off":
            check_agent_tools(self._agents)
        config = carry_for_worker(self._agents, super().configure_worker(config))
        self._shelf.seal = self._agents.seal  # that of the client's keys, known only now
        config["unsandboxed_workflow_runner"] = Runner()
        config["workflow_task_executor"] = self._threads(config.get("workflow_task_executor"))
        if config.get("sticky_queue_schedule_to_start_timeout") == STICKY_DEFAULT:
            config["sticky_queue_schedule_to_start_timeout"] = STICKY
        for name in ("max_heartbeat_throttle_interval", "default_heartbeat_throttle_interval"):
            config[name] = min(config.get(name) or THROTTLE, THROTTLE)
        return config

    async def run_worker(self, worker: Worker, next: Callable[[Worker], Awaitable[None]]) -> None:
        """Run a worker; when it stops, end the runs that it holds in memory."""
        if self._agents.largest > PAYLOAD_LIMIT:
            give_time(worker, LARGE_STEP)
        if self._agents.sink is not None:
            self._agents.sink.open()
        try:
            async with (
                self._agents.places.serving(),
                self._servers.serving(),
                resting(worker, after=self._rest),
            ):
                await super().run_worker(worker, next)
        finally:
            await asyncio.to_thread(evict, worker)

    def configure_replayer(self, config: ReplayerConfig) -> ReplayerConfig:
        """Add workflows and settings to a replayer."""
        self._prepare_process()
        config = carry_for_replayer(self._agents, super().configure_replayer(config))
        config["unsandboxed_workflow_runner"] = Runner()
        # By now the replayer has made threads of its own, which a workflow may change.
        config["workflow_task_executor"] = self._threads(None)
        return config

    def _threads(self, given: Executor | None) -> ThreadPoolExecutor | None:
        """Choose the threads of workflow tasks; sync code can go on only where it began."""
        if not self._agents.bridge or isinstance(given, AffinityExecutor):
            return cast("ThreadPoolExecutor | None", given)
        if given is not None:
            raise BadOption(
                f"workflow_task_executor={given!r}: with sync nodes a run must stay on one thread; "
                "leave the option out, or switch the bridge off: perdure.Agents(bridge=False)"
            )
        return cast("ThreadPoolExecutor", workflow_threads())

    def _prepare_process(self) -> None:
        if self._ready:
            return
        install()
        redirects.refuse_threads()
        if self._agents.bridge and bridge.is_available():
            redirects.install()
            prove_bridge()
        interrupting.check()
        intercept.install()
        self._agents.build()
        discover(self._agents)
        hooks.install()
        toolnodes.install()
        mcpclients.install()
        chance.install()
        ordering.install()
        nodebinding.install()
        scan(self._agents, guard=self._guard)
        if self._guard != "off":
            guards.install(warn_only=self._guard == "warn")
        self._ready = True


def _runner(runner: WorkflowRunner | None) -> WorkflowRunner:
    if isinstance(runner, SandboxedWorkflowRunner):
        return replace(
            runner,
            restrictions=runner.restrictions.with_passthrough_modules(*PASSTHROUGH),
            runner_class=Runner,
        )
    if runner is None or type(runner) is UnsandboxedWorkflowRunner:
        return Runner()
    return runner
