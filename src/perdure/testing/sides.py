"""Which of its two functions a node is called by: a sync call of a graph takes the sync one."""

from copy import copy
from functools import partial
from typing import cast

from langchain_core.runnables import Runnable, RunnableLambda
from langchain_core.runnables.config import run_in_executor

from perdure.core.jsons import Raw


def sync_sides(graph: Raw) -> dict[str, Raw]:
    """Return the nodes of a graph, by their sync functions where they have both.

    A run calls the async side of a graph. Nodes of agents have a function for each side, and
    what these call, such as the hooks of a middleware, may differ.
    """
    changed = {name: bound for name, spec in graph.nodes.items() if (bound := _sync(spec.bound))}
    if not changed:
        return {}
    nodes = {
        name: spec.copy({"bound": changed[name]}) if name in changed else spec
        for name, spec in graph.nodes.items()
    }
    return {"nodes": nodes}


def _sync(bound: Raw) -> Raw | None:
    if not isinstance(bound, Runnable) or isinstance(bound, RunnableLambda):
        return None
    node = cast("Raw", bound)
    call, later = getattr(node, "func", None), getattr(node, "afunc", None)
    if call is None or later is None or _is_same(later):
        return None
    made = copy(node)
    made.afunc = partial(run_in_executor, None, call)
    return made


def _is_same(later: Raw) -> bool:
    """Tell whether an async function is the sync one, called as one that may block."""
    return isinstance(later, partial) and cast("partial[Raw]", later).func is run_in_executor
