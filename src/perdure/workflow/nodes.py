"""Whole nodes as activities: declare them, and carry them out in a run. Workflow side."""

from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from copy import copy
from dataclasses import dataclass, fields, is_dataclass
from datetime import timedelta
from functools import partial, wraps
from inspect import iscoroutinefunction
from typing import cast

from langchain_core.runnables import RunnableConfig
from langgraph.config import get_config
from langgraph.pregel import Pregel
from langgraph.runtime import Runtime
from langgraph.store.base import BaseStore
from pydantic import BaseModel

from perdure.core.ahead import end_here
from perdure.core.declared import DECLARED, Declaration
from perdure.core.jsons import Raw, shorten
from perdure.core.nodes import METADATA, NodeCall, NodeTerms, read_terms
from perdure.core.options import Override, Retry
from perdure.errors import BadOption
from perdure.workflow.bridge import wait_for
from perdure.workflow.current import Run, find_run
from perdure.workflow.identity import identity_of_call
from perdure.workflow.nodecalls import Work, execute
from perdure.workflow.privates import task_class

MARK = "perdure_node"
"""The attribute of a function that `perdure.node` made."""
HOME: ContextVar[str] = ContextVar("perdure_home", default="")
"""The agent whose graph runs, where that is not the run's own."""
Graph = Pregel[Raw, Raw, Raw, Raw]


def node(
    call: Raw = None,
    *,
    name: str | None = None,
    timeout: timedelta | None = None,
    heartbeat: timedelta | None = None,
    retry: Retry | None = None,
) -> Raw:
    """Let a whole node, or a `@task`, run as one activity on a worker.

    For nodes that do their own I/O. `call` is the node's function, sync or async, or what
    LangGraph's `@task` made of one; without it, this is a decorator. Outside a run the
    function is called straight through. A sync function runs in a thread and may block.

    An error that may pass is tried again as `retry` says; if the graph gives the node a
    `retry_policy` of its own and `retry` is not given, the node's own errors go to that at once.

    Raises:
        BadOption: `call` is no function.
        NameTaken: Another function has that name.
    """
    override = Override(timeout=timeout, heartbeat=heartbeat, retry=retry)
    if call is None:
        return partial(declare, terms=NodeTerms(override=override), name=name)
    return declare(call, NodeTerms(override=override), name=name)


def declare(call: Raw, terms: NodeTerms, *, name: str | None = None) -> Raw:
    """Declare a function or a task as a node activity; returns what stands for it."""
    if isinstance(call, task_class()):
        made = copy(call)
        made.func = declare(call.func, terms, name=name)
        return made
    if not callable(call) or isinstance(call, type) or hasattr(call, "ainvoke"):
        raise BadOption(
            f"{shorten(repr(call), 60)}: perdure.node() takes a function. For a graph or another "
            f'runnable write add_node(..., metadata={{"{METADATA}": {{"activity": True}}}})'
        )
    if entry_of(call) is not None:
        raise BadOption(f"{shorten(repr(call), 60)} is a perdure.node already; use it as it is")
    entry = DECLARED.add(declaration(call, terms, name=name))
    return stand_in(call, entry)


def declaration(call: Raw, terms: NodeTerms, *, name: str | None = None) -> Declaration:
    """Make the entry of a function for the table of declarations."""
    place = f"{getattr(call, '__module__', '')}.{getattr(call, '__qualname__', repr(call))}"
    return Declaration(
        kind="node",
        name=name or place,
        identity=identity_of_call(call),
        build=lambda: call,
        override=terms.override,
        terms=terms,
    )


def stand_in(call: Callable[..., Raw], entry: Declaration) -> Callable[..., Raw]:
    """Wrap a function so that in a run it is an activity."""
    if iscoroutinefunction(call):

        @wraps(call)
        async def later(*args: Raw, **kwargs: Raw) -> Raw:
            run = find_run()
            if run is None:
                end_here(f"node {entry.name!r}")
                return await call(*args, **kwargs)
            return await call_declared(run, entry, args, kwargs)

        setattr(later, MARK, entry)
        return later

    @wraps(call)
    def now(*args: Raw, **kwargs: Raw) -> Raw:
        run = find_run()
        if run is None:
            end_here(f"node {entry.name!r}")
            return call(*args, **kwargs)
        what = f"node {entry.name!r}"
        return wait_for(call_declared(run, entry, args, kwargs), what=what)

    setattr(now, MARK, entry)
    return now


async def call_declared(
    run: Run, entry: Declaration, args: Sequence[Raw], kwargs: Mapping[str, Raw]
) -> Raw:
    """Run a declared function as an activity: a task, or a node that is called by hand."""
    config = current_config()
    plain = {k: v for k, v in kwargs.items() if not _is_injected(k, v)}
    call = NodeCall(agent=run.start.agent, path=(), name=entry.name, input=None)
    label = entry.name.rpartition(".")[2]
    work = Work(
        label=label,
        call=call,
        terms=cast("NodeTerms", entry.terms),
        given=[list(args), plain],
        config=config,
    )
    return await execute(run, work)


def current_config() -> RunnableConfig:
    """Return the config of the node that runs; an empty one outside of a graph."""
    try:
        return get_config()
    except RuntimeError:
        return {}


def _is_injected(name: str, value: Raw) -> bool:
    if isinstance(value, Runtime | BaseStore):
        return True
    if name == "writer":
        return callable(value)
    return name == "config" and isinstance(value, dict) and "configurable" in value


@dataclass(kw_only=True)
class NodeCaller:
    """Stands in for the function of one node, in the run's own copy of a graph."""

    name: str
    spec: Raw
    """LangGraph's node, as the app made it."""
    terms: NodeTerms
    declared: str | None
    final: bool

    async def __call__(self, input: Raw, config: RunnableConfig) -> Raw:
        """Run the node as an activity."""
        run = cast("Run", find_run())
        mapped = self.spec.mapper is not None
        terms = self.terms
        agent = terms.agent or HOME.get() or run.start.agent
        call = NodeCall(
            agent=agent,
            path=(*_above(config), self.name),
            name=self.declared,
            input=None,
            mapped=mapped,
            final=self.final,
            foreign=terms.foreign,
        )
        given = _fields(input) if mapped else input
        work = Work(label=self.name, call=call, terms=terms, given=given, config=config)
        return await execute(run, work)


def _above(config: RunnableConfig) -> tuple[str, ...]:
    """Name the nodes that hold this node's graph, as the namespace tells."""
    namespace = str((config.get("configurable") or {}).get("checkpoint_ns") or "")
    parts = [part for part in namespace.split("|") if part and not part.isdigit()]
    return tuple(part.partition(":")[0] for part in parts[:-1])


def _fields(state: Raw) -> Raw:
    """Take a state of the app's own class apart; the activity puts it together again."""
    if isinstance(state, BaseModel):
        return {name: getattr(state, name) for name in state.model_fields_set}
    if is_dataclass(state) and not isinstance(state, type):
        return {f.name: getattr(state, f.name) for f in fields(state)}
    return state


def entry_of(function: object) -> Declaration | None:
    """Return what a function was declared as; a mock has every attribute, and is nothing."""
    held = getattr(function, MARK, None)
    return held if isinstance(held, Declaration) else None


def terms_of(name: str, spec: Raw, *, retries: bool) -> NodeCaller | None:
    """Return what runs a node as an activity, or None if it runs in the workflow.

    Raises:
        BadOption: The node's metadata asks for what cannot be.
    """
    bound = spec.bound
    function = getattr(bound, "func", None) or getattr(bound, "afunc", None)
    entry = entry_of(function)
    terms = read_terms(spec.metadata, node=name)
    if terms is None and entry is None:
        return None
    if terms is None:
        terms = cast("NodeTerms", cast("Declaration", entry).terms)
    retries = retries or bool(spec.retry_policy)
    return NodeCaller(
        name=name,
        spec=spec,
        terms=terms,
        declared=entry.name if entry is not None else None,
        final=retries and not terms.foreign and terms.override.retry is None,
    )
