"""Give a run its own copy of every graph that it runs. Workflow side.

A graph reaches a run in many ways: by name, as a node, called inside a node. They all end in
`Pregel.astream`, so that is where the copy is made; the app's own graph is never changed.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from copy import copy
from functools import wraps
from typing import cast

from langchain_core.runnables import RunnableLambda
from langgraph.func import task as make_task
from langgraph.pregel import Pregel
from langgraph.runtime import RunControl

from perdure.core.ahead import AHEAD, end_here
from perdure.core.declared import DECLARED
from perdure.core.jsons import Raw
from perdure.workflow.bridge import wait_for
from perdure.workflow.current import Run, find_run
from perdure.workflow.nodes import NodeCaller, entry_of, stand_in, terms_of
from perdure.workflow.privates import task_class
from perdure.workflow.runcache import RunCache

_MARK = "__perdure_binding__"


def install() -> None:
    """Put the wrappers in place, once per process. Runs on the worker."""
    if not hasattr(cast("Raw", Pregel).astream, _MARK):
        _replace(cast("type", Pregel), "astream", bound)
    kind = task_class()
    if not hasattr(cast("Raw", kind).__call__, _MARK):
        _replace(kind, "__call__", _called)


def _replace(owner: type, name: str, wrap: Callable[[Callable[..., Raw]], Raw]) -> None:
    setattr(owner, name, wrap(getattr(owner, name)))


def bound(original: Callable[..., Raw]) -> Callable[..., Raw]:
    """Let `Pregel.astream` go on with the run's own copy of the graph."""
    if hasattr(original, _MARK):
        return original

    @wraps(original)
    def astream(graph: Raw, *args: Raw, **kwargs: Raw) -> AsyncIterator[Raw]:
        run = find_run()
        if run is None:
            if AHEAD.get() is not None and any(_callers(graph, graph.nodes)):
                end_here("a node that runs as an activity")
            return original(graph, *args, **kwargs)
        asked = kwargs.get("control")
        if run.leaving is not None and asked is None and run.is_called_by_hand(graph):
            # It would stop by raising, and the code that called it may take that for an error.
            kwargs["control"] = RunControl()
        return original(own_copy(run, graph), *args, **kwargs)

    setattr(astream, _MARK, True)
    return astream


def _called(original: Callable[..., Raw]) -> Callable[..., Raw]:
    @wraps(original)
    def call(task: Raw, *args: Raw, **kwargs: Raw) -> Raw:
        inside = find_run() is not None
        if not inside and AHEAD.get() is not None and _own_task(task) is not task:
            end_here("a task that runs as an activity")
        held = _own_task(task) if inside else task
        return original(held, *args, **kwargs)

    setattr(call, _MARK, True)
    return call


def _own_task(task: Raw) -> Raw:
    """Return the task as an activity, if its function was declared without changing it."""
    function = task.func
    if entry_of(function) is not None:
        return task
    place = f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', '')}"
    entry = DECLARED.find("node", place)
    if entry is None or entry.terms is None or entry.build() is not function:
        return task
    own = make_task(stand_in(function, entry))
    kept = {k: v for k, v in _held(task).items() if k not in ("func", "__wrapped__")}
    _held(own).update(kept)
    return own


def _held(thing: object) -> dict[str, Raw]:
    return vars(thing)


def own_copy(run: Run, graph: Raw) -> Raw:
    """Return the graph with its node activities and the run's cache in it, or as it is."""
    parts: dict[str, Raw] = {} if run.adapt is None else {**run.adapt(graph)}
    nodes = parts.get("nodes", graph.nodes)
    callers = _callers(graph, graph.nodes)
    if run.leaving is not None:
        for name, spec in nodes.items():
            if isinstance(spec.bound, Pregel):
                run.inner_graphs.setdefault(id(cast("object", spec.bound)), {})[name] = None
    if callers:
        parts["nodes"] = {
            name: _own_node(spec, callers[name]) if name in callers else spec
            for name, spec in nodes.items()
        }
    if graph.cache is not None and not isinstance(graph.cache, RunCache):
        parts["cache"] = run.cache.standing_for(graph.cache)
    return with_parts(graph, parts) if parts else graph


def _callers(graph: Raw, nodes: Mapping[str, Raw]) -> dict[str, NodeCaller]:
    """Find the nodes that are activities."""
    retries = bool(graph.retry_policy)
    return {
        name: caller
        for name, spec in nodes.items()
        if not getattr(spec.bound, _MARK, False)
        and (caller := terms_of(name, spec, retries=retries)) is not None
    }


def with_parts(graph: Raw, parts: Mapping[str, Raw]) -> Raw:
    """Copy a graph, with some of its fields changed.

    `Pregel.copy` makes a graph anew and forgets what `compile` added to it later, such as how
    a state becomes an object of the app's own class.
    """
    made = copy(graph)
    _held(made).update(parts)
    return made


def _own_node(spec: Raw, caller: NodeCaller) -> Raw:
    async def later(input: Raw, config: Raw) -> Raw:
        return await caller(input, config)

    def now(input: Raw, config: Raw) -> Raw:
        return wait_for(caller(input, config), what=f"node {caller.name!r}")

    bound = RunnableLambda(now, afunc=later, name=caller.name)
    setattr(bound, _MARK, True)
    return spec.copy({"bound": bound, "subgraphs": []})
