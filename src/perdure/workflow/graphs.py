"""Run a LangGraph graph inside a workflow, until it is done. Workflow side."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import cast

from langchain_core.runnables import RunnableConfig
from langgraph.pregel import Pregel
from langgraph.types import Command, Interrupt
from langsmith import run_helpers
from temporalio import workflow
from temporalio.exceptions import FailureError, is_cancelled_exception

from perdure.core.approvals import Decision, Question
from perdure.core.causes import as_cause, words
from perdure.core.jsons import Json, Raw
from perdure.errors import NodeFailed, PerdureError, Refused
from perdure.workflow.current import Run, need_run
from perdure.workflow.dialects import Asked, read_interrupt
from perdure.workflow.taming import tame

INTERRUPT = "__interrupt__"
Graph = Pregel[Raw, Raw, Raw, Raw]
_DAY = timedelta(hours=24)


async def run_graph(graph: str | Graph, input: Raw, *, config: RunnableConfig | None = None) -> Raw:
    """Run a graph to its end and return its output, waiting for people where it interrupts.

    Call it from a `@workflow.defn` of your own; `graph` is the name of a registered agent or a
    compiled graph. The graph's own checkpointer is not used: the workflow's history is the
    record. Nodes run in the workflow, model and tool calls as activities.

    Raises:
        NodeFailed: A node raised; the text names it, `__cause__` is its exception.
        UnknownAgent: No agent of that name is registered on the worker.
        NotInRun: Called outside a workflow.
    """
    run = need_run("perdure.workflow.run_graph()")
    compiled = cast("Graph", run.host.graph(graph)) if isinstance(graph, str) else graph
    bound = compiled.copy({"checkpointer": run.saver})
    where = _config(run, config)
    payload: Raw = input
    with cast("Raw", run_helpers).tracing_context(enabled=False):
        while True:
            output = await _invoke(bound, payload, where)
            pauses = await _pauses(bound, output, where)
            if not pauses:
                return output
            payload = await _resume(run, pauses)


async def _invoke(graph: Graph, payload: Raw, where: RunnableConfig) -> Raw:
    try:
        return await graph.ainvoke(payload, where, durability="sync")
    except (PerdureError, FailureError):
        raise
    except BaseException as error:
        tamed = tame(error)
        if not isinstance(tamed, Exception) or is_cancelled_exception(tamed):
            raise
        raise NodeFailed(_explain(tamed)) from as_cause(error)


async def _pauses(
    graph: Graph, output: Raw, where: RunnableConfig
) -> list[tuple[Interrupt | None, Asked]]:
    """List what the graph waits for: its interrupts, or a breakpoint before a node."""
    interrupts: Sequence[Interrupt] = ()
    if isinstance(output, dict):
        interrupts = cast("dict[str, Raw]", output).get(INTERRUPT) or ()
    breakpoints = graph.interrupt_before_nodes or graph.interrupt_after_nodes
    if not interrupts and not breakpoints:
        return []
    state = await graph.aget_state(where)
    now = workflow.now()
    if not interrupts:
        if not state.next:
            return []
        following = ", ".join(state.next)
        question = Question(
            id=f"pause-{_parts(state.config).get('checkpoint_id')}",
            title=f"paused before {following}",
            allowed=("approve", "reject"),
            asked_at=now,
            deadline=now + _DAY,
            on_deadline="fail",
            node=following,
        )
        return [(None, Asked(question=question, form="breakpoint"))]
    nodes = {i.id: task.name for task in state.tasks for i in task.interrupts}
    return [
        (i, read_interrupt(i.value, id=i.id, now=now, node=nodes.get(i.id))) for i in interrupts
    ]


async def _resume(run: Run, pauses: list[tuple[Interrupt | None, Asked]]) -> Raw:
    """Ask every open question at once; go on when all are decided."""
    decisions = await _gather(run, [asked for _, asked in pauses])
    answers: dict[str, Json] = {}
    for (interrupt, asked), decision in zip(pauses, decisions, strict=True):
        if interrupt is None:
            if decision.type != "approve":
                raise Refused(f"{asked.question.title}: rejected by {decision.by}")
            return None
        answers[interrupt.id] = asked.answer(decision)
    return Command(resume=answers)


async def _gather(run: Run, asked: list[Asked]) -> list[Decision]:
    return list(await asyncio.gather(*(run.desk.ask(one.question) for one in asked)))


def _parts(config: RunnableConfig) -> dict[str, Raw]:
    return config.get("configurable") or {}


def _config(run: Run, config: RunnableConfig | None) -> RunnableConfig:
    merged: RunnableConfig = {**(config or {})}
    given = _parts(merged)
    merged["configurable"] = {
        **run.start.configurable,
        **given,
        "thread_id": workflow.info().workflow_id,
    }
    if run.start.recursion_limit is not None:
        merged["recursion_limit"] = run.start.recursion_limit
    return merged


def _explain(error: Exception) -> str:
    """Name the node that raised; LangGraph notes it on the exception."""
    notes = [n for n in getattr(error, "__notes__", ()) if n.startswith("During task with name")]
    text = f"{type(error).__name__}: {words(error)}"
    if not notes:
        return f"the graph failed: {text}"
    return f"node {notes[0].split(chr(39))[1]!r} failed: {text}"
