"""Run a LangGraph graph inside a workflow, until it is done. Workflow side."""

import hashlib
from typing import cast

from langchain_core.runnables import RunnableConfig
from langsmith import run_helpers
from temporalio import workflow

from perdure.core.jsons import Raw
from perdure.workflow.current import Run, need_run
from perdure.workflow.driving import Drive, Graph
from perdure.workflow.memory import Memory
from perdure.workflow.nodebinding import with_parts
from perdure.workflow.nodes import HOME
from perdure.workflow.seeds import plant
from perdure.workflow.threads import load_thread


async def run_graph(
    graph: str | Graph,
    input: Raw,
    *,
    config: RunnableConfig | None = None,
    context: Raw = None,
) -> Raw:
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
    where = _config(run, config)
    run.home = graph if isinstance(graph, str) else ""
    if run.start.context is not None and context is None:
        context = run.host.codec.decode(run.start.context)
    if run.start.thread is not None:
        run.saver.salt = salt_of()
    drive = Drive(run=run, graph=_bind(run, compiled), where=where, context=context)
    with cast("Raw", run_helpers).tracing_context(enabled=False):
        await load_thread(run)
        payload = await plant(drive, input)
        home = HOME.set(graph if isinstance(graph, str) else HOME.get())
        try:
            return await drive.to_end(payload)
        finally:
            HOME.reset(home)


def _bind(run: Run, compiled: Graph) -> Graph:
    """Copy the graph, with the run's own parts in it; the app's object stays as it is."""
    parts: dict[str, Raw] = {"checkpointer": run.saver}
    if compiled.store is not None or run.host.remembers:
        parts["store"] = Memory(run.host.codec)
    return cast("Graph", with_parts(compiled, parts))


def salt_of() -> str:
    """Return what tells the channel versions of this run from those of any other."""
    info = workflow.info()
    text = f"{info.workflow_id}/{info.first_execution_run_id}"
    return hashlib.blake2b(text.encode(), digest_size=4).hexdigest()


def _config(run: Run, config: RunnableConfig | None) -> RunnableConfig:
    start = run.start
    merged: RunnableConfig = {**(config or {})}
    given: dict[str, Raw] = merged.get("configurable") or {}
    merged["configurable"] = {
        **start.configurable,
        **given,
        "thread_id": start.thread or workflow.info().workflow_id,
    }
    if start.recursion_limit is not None:
        merged["recursion_limit"] = start.recursion_limit
    if start.tags:
        merged["tags"] = [*start.tags, *(merged.get("tags") or ())]
    if start.metadata:
        merged["metadata"] = {**start.metadata, **(merged.get("metadata") or {})}
    return merged
