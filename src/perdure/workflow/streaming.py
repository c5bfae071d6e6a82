"""Run a graph and tell what its stream modes tell, beside the history. Workflow side."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import cast

from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import merge_configs
from langgraph.pregel import Pregel
from langgraph.types import Interrupt

from perdure.core.jsons import Raw
from perdure.core.wire import STREAM_MODES
from perdure.workflow.current import Run
from perdure.workflow.outlet import Watch

INTERRUPT = "__interrupt__"
_ALWAYS = ("updates", "values")
"""The modes from which LangGraph's own `ainvoke` makes its result."""


async def stream_graph(
    run: Run,
    graph: Pregel[Raw, Raw, Raw, Raw],
    payload: Raw,
    where: RunnableConfig,
    options: Mapping[str, Raw],
) -> Raw:
    """Run the graph as `ainvoke` does and return the same; each part goes to the sink.

    Sub-graphs are included. What the run did not ask for stays here.
    """
    wanted = run.start.stream
    if not run.outlet.number:
        run.outlet.send(run.host, "begin")
    modes = [mode for mode in STREAM_MODES if mode in wanted or mode in _ALWAYS]
    call = cast("Raw", graph.astream)
    parts = cast(
        "AsyncGenerator[tuple[tuple[str, ...], str, Raw], None]",
        call(
            payload,
            merge_configs(where, {"callbacks": [Watch()]}),
            stream_mode=modes,
            subgraphs=True,
            durability="sync",
            **options,
        ),
    )
    latest: Raw = None
    interrupts: list[Interrupt] = []
    async with aclosing(parts):
        async for ns, mode, part in parts:
            if mode in wanted:
                run.outlet.send_part(run.host, mode, ns, part)
            if ns:
                continue
            if mode == "values":
                latest = part
            elif mode == "updates" and isinstance(part, dict):
                interrupts += cast("dict[str, Raw]", part).get(INTERRUPT) or ()
    if not interrupts:
        return latest
    values = cast("dict[str, Raw]", latest) if isinstance(latest, dict) else {}
    return {**values, INTERRUPT: interrupts}
