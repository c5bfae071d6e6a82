"""What belongs to one run, hung on the run's own event loop."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import cast

from temporalio import workflow
from temporalio.worker import WorkflowInstance

from perdure.core.ahead import AHEAD
from perdure.core.jsons import Json, Raw
from perdure.core.ports import Host
from perdure.core.wire import RunInput
from perdure.errors import Incompatible, NotInRun
from perdure.workflow import bridge
from perdure.workflow.chain import Chain
from perdure.workflow.desk import Desk
from perdure.workflow.family import Family
from perdure.workflow.fusing import Fused
from perdure.workflow.interrupting import Pauses, configuration
from perdure.workflow.journal import Journal
from perdure.workflow.lead import Lead
from perdure.workflow.ledger import Ledger
from perdure.workflow.ordering import in_order
from perdure.workflow.outlet import Outlet
from perdure.workflow.quick import Quick
from perdure.workflow.runcache import Results, RunCache
from perdure.workflow.saver import Saver
from perdure.workflow.taming import Tamed, tame
from perdure.workflow.toollists import ToolLists

_ATTRIBUTE = "perdure_run"


@dataclass
class Run:
    """The state of one run in the workflow; lost with it and rebuilt by replay."""

    host: Host
    codec: Chain = field(init=False)
    """The worker's codec, which knows what this run's history holds."""
    start: RunInput = field(default_factory=lambda: RunInput(agent=""))
    desk: Desk = field(default_factory=Desk)
    saver: Saver = field(default_factory=Saver)
    drive: Raw = None
    """The graph on its way (`perdure.workflow.driving.Drive`), or at its end."""
    thread: Raw = None
    """What the run knows of its thread (`perdure.workflow.threads.Thread`), if it has one."""
    ledger: Ledger = field(default_factory=Ledger)
    outlet: Outlet = field(default_factory=Outlet)
    cache: RunCache = field(default_factory=RunCache)
    results: Results = field(default_factory=Results)
    family: Family = field(default_factory=Family)
    lead: Lead = field(default_factory=Lead)
    home: str = ""
    """The agent whose graph runs; empty for a graph that has no name."""
    journal: Journal = field(default_factory=Journal)
    leaving: Raw = None
    """Watches how long the execution is (`perdure.workflow.leaving.Leaving`), if it may end."""
    resumes: Mapping[str, Json] | None = None
    """How the execution before left its graph; None if there was none, or it is taken over."""
    inner_graphs: dict[int, dict[str, None]] = field(default_factory=dict[int, dict[str, None]])
    """By identity, graphs that are nodes of others, and the names of those nodes."""
    executions: int = 1
    """The number of this execution of the run."""
    again: dict[str, int] = field(default_factory=dict[str, int])
    """What was counted more than once, since nodes ran again in a new execution."""
    pauses: Pauses = field(default_factory=Pauses)
    tool_lists: ToolLists = field(default_factory=ToolLists)
    quick: Quick = field(default_factory=Quick)
    fused: Fused = field(default_factory=Fused)
    adapt: Callable[[Raw], Mapping[str, Raw]] | None = None
    """Tells which parts of a graph are others in this run; for tests."""
    places: dict[str, bool] = field(default_factory=dict[str, bool])
    """Whether a tool's body runs in the workflow, by its name."""
    turns: int = 0
    """Model calls so far, repairs not counted."""
    tool_calls: int = 0
    tokens: dict[str, int] = field(default_factory=dict[str, int])

    def __post_init__(self) -> None:
        self.codec = Chain(codec=self.host.codec, seal=self.host.seal)

    def is_called_by_hand(self, graph: object) -> bool:
        """Tell whether code of a node called a graph, which is no node itself."""
        metadata = cast("Mapping[str, Raw]", configuration().get("metadata") or {})
        return metadata.get("langgraph_node") not in self.inner_graphs.get(id(graph), {})

    def next_turn(self) -> int:
        """Count a model call; returns its number, from 1."""
        self.turns += 1
        self.journal.count("model_calls")
        return self.turns

    def next_tool_call(self) -> int:
        """Count a tool call; returns its number, from 1, allocated when the call starts."""
        self.tool_calls += 1
        self.journal.count("tool_calls")
        return self.tool_calls

    def add_usage(self, usage: Mapping[str, Json]) -> None:
        """Add the tokens of one reply to the run's total."""
        for name in ("input_tokens", "output_tokens"):
            count = usage.get(name)
            if isinstance(count, int):
                self.tokens[name] = self.tokens.get(name, 0) + count


def prepare(host: Host) -> Callable[[WorkflowInstance], None]:
    """Return what makes a new workflow instance able to run LangGraph. Runs on the worker.

    LangChain hands every sync callable (routers, nodes, parsers) to the loop's
    `run_in_executor`, which Temporal's loop lacks. Ours calls it at once, on the loop itself
    (on a greenlet, so that it may wait for a model): a workflow has no threads, and the order
    of calls stays the same on replay. What no code catches, such as `SystemExit`, is tamed on
    its way out of a task or a sync callable.
    """
    bridged = host.bridge and bridge.is_available()

    def hang(instance: WorkflowInstance) -> None:
        loop = cast("Raw", instance)

        def run_in_executor(_: object, call: Callable[..., Raw], *args: Raw) -> Raw:
            if bridged:
                return bridge.start(loop, call, args)
            future = loop.create_future()
            try:
                future.set_result(call(*args))
            except (StopIteration, GeneratorExit) as error:
                future.set_exception(RuntimeError(f"a sync callable raised {error!r}"))
            except BaseException as error:  # noqa: BLE001 - it belongs to who awaits the future
                future.set_exception(tame(error))
            return future

        create_task = in_order(loop)

        def create_tamed_task(coro: Raw, **options: Raw) -> Raw:
            if not isinstance(coro, Coroutine):
                return create_task(coro, **options)
            inner = cast("Coroutine[Raw, Raw, Raw]", coro)
            if not bridged:
                return create_task(Tamed(inner), **options)
            context = options.pop("context", None) or copy_context()
            stranded = bridge.Stranded(inner, loop, context)
            return create_task(stranded, context=context, **options)

        loop.run_in_executor = run_in_executor
        # There is one thread only; LangGraph calls this to stream out of a sub-graph.
        loop.call_soon_threadsafe = loop.call_soon
        loop.create_task = create_tamed_task
        setattr(loop, _ATTRIBUTE, Run(host=host))

    return hang


def current_run() -> Run | None:
    """Return the run that this code is part of; None outside a workflow."""
    if not workflow.in_workflow():
        return None
    run = getattr(asyncio.get_running_loop(), _ATTRIBUTE, None)
    if run is None:
        raise Incompatible(
            "this workflow runs on a worker without Perdure's plugin; "
            "write: Worker(client, ..., plugins=[perdure.Plugin(agents)])"
        )
    return cast("Run", run)


def find_run() -> Run | None:
    """Return the run that this code is part of; None also in a workflow without Perdure."""
    if not workflow.in_workflow():
        return None
    return cast("Run | None", getattr(asyncio.get_running_loop(), _ATTRIBUTE, None))


def is_inside() -> bool:
    """Tell whether this code is part of a run, or of a graph that runs ahead of one."""
    return current_run() is not None or AHEAD.get() is not None


def need_run(what: str) -> Run:
    """Return the current run.

    Raises:
        NotInRun: Called outside a workflow; `what` names the caller.
    """
    run = current_run()
    if run is None:
        raise NotInRun(f"{what} works inside a workflow only")
    return run
