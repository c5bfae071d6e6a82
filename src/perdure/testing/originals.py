"""LangGraph's own methods, kept when this is imported.

A test-suite is pointed at `durable` by putting other methods into `Pregel`. In the workflow the
graph must run by LangGraph's own ones all the same, or each call would begin another.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, cast

from langgraph.pregel import Pregel

from perdure.core.jsons import Raw
from perdure.workflow import bridge, nodebinding

TWINS: Final[Mapping[str, str]] = {
    "invoke": "ainvoke",
    "stream": "astream",
    "get_state": "aget_state",
    "get_state_history": "aget_state_history",
    "update_state": "aupdate_state",
    "bulk_update_state": "abulk_update_state",
}
"""Each sync method, with its async one."""
_STREAMS: Final = frozenset({"astream", "aget_state_history"})
_KEPT: Final[Mapping[str, Callable[..., Raw]]] = {
    name: cast("Callable[..., Raw]", getattr(cast("Raw", Pregel), name))
    for pair in TWINS.items()
    for name in pair
}


def original(graph: Raw, name: str) -> Callable[..., Raw]:
    """Return a method of a graph as LangGraph, or the graph's own class, wrote it."""
    owner = next(kind for kind in type(graph).__mro__ if name in vars(kind))
    if owner is not Pregel:
        return getattr(graph, name)
    kept = _KEPT[name]
    return partial(nodebinding.bound(kept) if name == "astream" else kept, graph)


def call_in_run(graph: Raw, name: str, args: tuple[Raw, ...], options: Mapping[str, Raw]) -> Raw:
    """Call a method of a graph in code of a run; a sync one waits. Workflow side."""
    if name not in TWINS or not bridge.in_strand() or not bridge.is_sync():
        return original(graph, name)(*args, **options)
    twin = TWINS[name]
    made = original(graph, twin)(*args, **options)
    what = f"graph.{name}()"
    return bridge.drain(made, what=what) if twin in _STREAMS else bridge.wait_for(made, what=what)
