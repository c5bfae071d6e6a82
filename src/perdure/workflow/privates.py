"""The only module that touches private names of langgraph, langchain and temporalio.

LangGraph and LangChain draw ids from clock and chance. Inside a workflow they must come from
the run's own recorded time and seed, or checkpoint ids, and with them interrupt ids, change on
every replay. `install` puts thin wrappers in place that do nothing outside a workflow.
`check` fails loudly when a name is gone; the worker calls it when it starts.
"""

import asyncio
import importlib
import uuid
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import cast
from uuid import UUID

from langchain_core.language_models import BaseChatModel
from temporalio import workflow
from temporalio.bridge.proto.workflow_activation import (
    RemoveFromCache,
    WorkflowActivation,
    WorkflowActivationJob,
)
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.worker import UnsandboxedWorkflowRunner, Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from perdure.core.jsons import Raw
from perdure.core.scenes import NAMESPACE, RUNTIME, SCRATCHPAD, SEND
from perdure.errors import Incompatible

UUID6_MODULES = (
    "langgraph.pregel._checkpoint",
    "langgraph.checkpoint.base",
    "langgraph.checkpoint.base.id",
)
UUID4_MODULES = ("langgraph.pregel._messages", "uuid")
UUID7_MODULES = ("langchain_core.utils.uuid", "langchain_core.callbacks.manager")
PRIVATE_NAMES: Mapping[str, tuple[str, ...]] = {
    "uuid6": UUID6_MODULES,
    "uuid4": UUID4_MODULES,
    "uuid7": UUID7_MODULES,
}

MODEL_METHODS = (
    "_generate_with_cache", "_agenerate_with_cache", "_iter_v2_events", "_aiter_v2_events",
    "stream", "astream",
)  # fmt: skip
"""Methods of LangChain's `BaseChatModel` in each of which one request begins."""
MESSAGES_HANDLER = ("langgraph.pregel._messages", "StreamMessagesHandler")
"""Knows by LangChain's id of a model call under which metadata it is streamed."""

TASK = ("langgraph.func", "_TaskFunction")
"""What LangGraph's `@task` makes of a function."""
WORKER_LOGGERS = (
    "temporalio.worker._activity",
    "temporalio.worker._workflow",
    "temporalio.worker._workflow_instance",
)
"""Modules of Temporal's SDK that log the exceptions and heartbeats of runs."""
INSTANCE = ("temporalio.worker._workflow_instance", "_WorkflowInstanceImpl")
REGISTER = "_register_task"
"""How a workflow's loop keeps hold of a task that it made itself."""

CONSTANTS = "langgraph._internal._constants"
CONFIG_KEYS: Mapping[str, str] = {
    "CONFIG_KEY_RUNTIME": RUNTIME,
    "CONFIG_KEY_SCRATCHPAD": SCRATCHPAD,
    "CONFIG_KEY_SEND": SEND,
    "CONFIG_KEY_CHECKPOINT_NS": NAMESPACE,
}
"""Where a node's config holds what a tool's surroundings are read from."""

RECURSION_LIMIT = ("langgraph._internal._config", "DEFAULT_RECURSION_LIMIT")
"""How many super-steps a graph may take if nothing else is said."""

CLIENT = "temporalio.client._impl"
"""Draws the ids of requests."""
_UUID4 = uuid.uuid4

_EPOCH_1582 = 0x01B21DD213814000
"""100 ns ticks between the UUID epoch and 1970 (RFC 9562)."""
_MARK = "__perdure__"
_WORKER = "temporalio.worker._workflow"
"""Hands each step of a workflow to the worker's threads, as a method of the workflow."""
_LAST_TICK = "perdure_last_tick"

Make = Callable[..., UUID]


def check() -> None:
    """Make sure that every private name is still there. Runs on the worker.

    Raises:
        Incompatible: The text names the missing ones.
    """
    gone = [
        f"{module}.{name}"
        for name, modules in PRIVATE_NAMES.items()
        for module in modules
        if not callable(_find(module, name))
    ]
    gone += [
        f"langchain_core.language_models.BaseChatModel.{name}"
        for name in MODEL_METHODS
        if not callable(getattr(BaseChatModel, name, None))
    ]
    gone += [
        f"{CONSTANTS}.{name} = {value!r}"
        for name, value in CONFIG_KEYS.items()
        if _find(CONSTANTS, name) != value
    ]
    if not callable(_find(*MESSAGES_HANDLER)):
        gone.append(".".join(MESSAGES_HANDLER))
    if not isinstance(_find(*RECURSION_LIMIT), int):
        gone.append(".".join(RECURSION_LIMIT))
    if not isinstance(_find(*TASK), type):
        gone.append(".".join(TASK))
    if not callable(getattr(_find(*INSTANCE), REGISTER, None)):
        gone.append(f"{'.'.join(INSTANCE)}.{REGISTER}")
    if not callable(getattr(UnsandboxedWorkflowRunner, "create_instance", None)):
        gone.append("temporalio.worker.UnsandboxedWorkflowRunner.create_instance")
    if "runner_class" not in getattr(SandboxedWorkflowRunner, "__dataclass_fields__", {}):
        gone.append("temporalio.worker.workflow_sandbox.SandboxedWorkflowRunner.runner_class")
    step = getattr(_find(_WORKER, "_WorkflowWorker"), "_handle_activation", None)
    if not {"run_in_executor", "activate"} <= set(
        getattr(step, "__code__", check.__code__).co_names
    ):
        gone.append(f"{_WORKER}._WorkflowWorker._handle_activation -> activate")
    gone += [f"{name}.logger" for name in WORKER_LOGGERS if _find(name, "logger") is None]
    if gone:
        raise Incompatible(
            f"this version of LangGraph, LangChain or Temporal lacks {', '.join(gone)}; "
            "install the versions of Perdure's constraints.txt, or a newer Perdure"
        )


def _find(module: str, name: str) -> Raw:
    try:
        return getattr(importlib.import_module(module), name, None)
    except ImportError:
        return None


def install() -> None:
    """Put the wrappers in place, once per process. Runs on the worker.

    Raises:
        Incompatible: A private name is gone.
    """
    check()
    _wrap("uuid6", UUID6_MODULES, _uuid6)
    _wrap("uuid4", UUID4_MODULES, _uuid4)
    _wrap("uuid7", UUID7_MODULES, _uuid4)


def _wrap(name: str, modules: tuple[str, ...], inside: Make) -> None:
    for module_name in modules:
        module = importlib.import_module(module_name)
        original = cast("Make", getattr(module, name))
        if not getattr(original, _MARK, False):
            setattr(module, name, _either(inside, original))


def _either(inside: Make, outside: Make) -> Make:
    def make(*args: Raw, **kwargs: Raw) -> UUID:
        if workflow.in_workflow():
            return inside(*args, **kwargs)
        return outside(*args, **kwargs)

    setattr(make, _MARK, True)
    return make


def _uuid4(*_: Raw, **__: Raw) -> UUID:
    return workflow.uuid4()


def _uuid6(node: int | None = None, clock_seq: int | None = None) -> UUID:
    """Make a time-ordered id from workflow time; strictly increasing within a run.

    A workflow's clock stands still within one task, and LangGraph takes the newest checkpoint
    by id, so equal ticks are counted up.
    """
    loop = asyncio.get_running_loop()
    tick = workflow.time_ns() // 100 + _EPOCH_1582
    tick = max(tick, cast("int", getattr(loop, _LAST_TICK, 0)) + 1)
    setattr(loop, _LAST_TICK, tick)
    random = workflow.random()
    sequence = random.getrandbits(14) if clock_seq is None else clock_seq & 0x3FFF
    host = random.getrandbits(48) if node is None else node
    high = ((tick >> 12) & 0xFFFFFFFFFFFF) << 80 | (tick & 0x0FFF) << 64
    # RFC 9562: version 6 in bits 76-79, variant 0b10 in bits 62-63; Python's UUID knows 1 to 5.
    return UUID(int=high | 6 << 76 | 0b10 << 62 | sequence << 48 | host)


def message_stream(callbacks: Raw, run_id: UUID) -> tuple[tuple[str, ...], Raw] | None:
    """Return the sub-graph's path and the metadata under which a model call is streamed.

    None if no `messages` stream of LangGraph's listens to it, or its tags forbid it. The
    outermost stream decides. Workflow side.
    """
    kind = _find(*MESSAGES_HANDLER)
    for handler in getattr(callbacks, "handlers", None) or ():
        found = handler.metadata.get(run_id) if isinstance(handler, kind) else None
        if found is not None:
            return found
    return None


def move_clock(checkpoint: str) -> None:
    """Make every later id of this run greater than that of a checkpoint.

    A thread may have been written on a machine whose clock is ahead; without this the new
    checkpoints would count as older.
    """
    try:
        made = UUID(checkpoint)
    except ValueError:
        return  # another saver's own kind of id
    if made.version == 6:  # noqa: PLR2004
        number = made.int
        tick = (number >> 80 & 0xFFFFFFFFFFFF) << 12 | number >> 64 & 0x0FFF
        loop = asyncio.get_running_loop()
        setattr(loop, _LAST_TICK, max(tick, cast("int", getattr(loop, _LAST_TICK, 0))))


def default_recursion_limit() -> int:
    """Return how many super-steps a graph may take if nothing else is said."""
    return cast("int", _find(*RECURSION_LIMIT))


def task_class() -> type:
    """Return the class of what LangGraph's `@task` makes."""
    return cast("type", _find(*TASK))


def register_task(loop: Raw, task: Raw, name: str | None) -> None:
    """Let a workflow's loop hold a task, as it holds those that it makes. Workflow side."""
    getattr(loop, REGISTER)(task, name=name)


def evict(worker: Worker) -> None:
    """End the runs that a stopped worker holds in memory. Runs on the worker, in a thread.

    The SDK merely drops them; LangGraph's suspended generators then end whenever garbage is
    collected, in another run's loop or at exit, and complain.
    """
    job = WorkflowActivationJob(remove_from_cache=RemoveFromCache())
    inner = cast("Raw", getattr(worker, "_workflow_worker", None))
    held = cast("dict[str, Raw]", getattr(inner, "_running_workflows", {}))
    # On the run's own thread: sync code that waits there can be ended nowhere else.
    threads = cast("Raw", getattr(inner, "_workflow_task_executor", None))
    for run_id, running in list(held.items()):
        threads.submit(running.activate, WorkflowActivation(run_id=run_id, jobs=[job])).result()


def allow_long_steps(worker: Worker) -> None:
    """Let a step of a workflow take as long as it needs; for tests, whose nodes may compute."""
    inner = cast("Raw", worker)._workflow_worker  # noqa: SLF001 - there is no public way
    inner._deadlock_timeout_seconds = None  # noqa: SLF001


def give_time(worker: Worker, seconds: float) -> None:
    """Let a step of a workflow take longer than the SDK's two seconds, before it counts as stuck.

    Reading and writing 50 MB of JSON takes seconds, and is no deadlock.
    """
    inner = cast("Raw", worker)._workflow_worker  # noqa: SLF001 - there is no public way
    if inner is not None and inner._deadlock_timeout_seconds is not None:  # noqa: SLF001
        inner._deadlock_timeout_seconds = max(inner._deadlock_timeout_seconds, seconds)  # noqa: SLF001


def keep_request_ids() -> None:
    """Let Temporal's client draw its ids as ever while a test puts a mock into `uuid.uuid4`.

    The ids that the mock gives, and their order, belong to what is tested.
    """
    client = importlib.import_module(CLIENT)
    if getattr(client, "uuid", None) is uuid:
        setattr(client, "uuid", SimpleNamespace(uuid4=_UUID4))  # noqa: B010 - a private name


__all__ = [
    "WorkflowActivation",
    "WorkflowActivationCompletion",
    "allow_long_steps",
    "check",
    "evict",
    "give_time",
    "install",
    "keep_request_ids",
]
