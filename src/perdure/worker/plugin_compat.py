"""Temporal's own LangGraph plugin, on Perdure: switch with one import.

```python
from perdure.worker.plugin_compat import LangGraphPlugin, graph  # was: temporalio.langgraph
```

Graphs, tasks, options and hand-written workflows stay as they are written for it.
"""

import logging
from collections.abc import Iterable, Mapping
from copy import copy
from dataclasses import replace
from datetime import timedelta
from typing import cast

from langgraph.graph import StateGraph
from langgraph.pregel import Pregel

from perdure.core.declared import DECLARED
from perdure.core.jsons import Json, Raw
from perdure.core.nodes import LABEL, METADATA, PLACE, TEMPORAL_OPTIONS, foreign_terms
from perdure.errors import BadOption, UnknownAgent
from perdure.worker.agents import Agents
from perdure.worker.plugin import Plugin
from perdure.worker.scan import Guard
from perdure.workflow.current import need_run
from perdure.workflow.nodes import declaration

Graph = StateGraph[Raw, Raw, Raw, Raw]
Entrypoint = Pregel[Raw, Raw, Raw, Raw]
Options = Mapping[str, Raw]
BATCH = timedelta(milliseconds=100)

log = logging.getLogger("perdure.compat")


class LangGraphPlugin(Plugin):
    """Stand in for `temporalio.langgraph.LangGraphPlugin`, with the same arguments.

    `types` are the app's own classes in states, as for `perdure.Agents`; `guard` is as for
    `perdure.Plugin`. Both are Perdure's own.

    Raises:
        BadOption: `execute_in` is missing or wrong, an option is set in two forms, or
            `streaming_topic` is set: read streams with Perdure's client instead.
    """

    def __init__(  # noqa: PLR0917 - as the plugin that it stands in for
        self,
        graphs: Mapping[str, Graph] | None = None,
        entrypoints: Mapping[str, Entrypoint] | None = None,
        tasks: Iterable[Raw] | None = None,
        activity_options: Mapping[str, Options] | None = None,
        default_activity_options: Options | None = None,
        streaming_topic: str | None = None,
        streaming_batch_interval: timedelta = BATCH,
        *,
        types: Iterable[type] = (),
        guard: Guard = "warn",
    ) -> None:
        if streaming_topic is not None:
            raise BadOption(
                f"streaming_topic={streaming_topic!r} cannot be kept: Perdure does not send "
                "streams through the history. Leave it out, and read the run's custom stream "
                "with Perdure's client"
            )
        if streaming_batch_interval != BATCH:
            log.warning("streaming_batch_interval has no effect without a streaming_topic")
        defaults = dict(default_activity_options or {})
        agents = ForeignAgents(types=types)
        for name, made in (graphs or {}).items():
            agents.add_foreign(name, made, defaults)
        for name, made in (entrypoints or {}).items():
            agents.add(name, made)
        for task in tasks or ():
            _declare(task, activity_options or {}, defaults)
        self.agents = agents
        super().__init__(agents, guard=guard)


class ForeignAgents(Agents):
    """Graphs with the options of Temporal's plugin."""

    def __init__(self, *, types: Iterable[type]) -> None:
        super().__init__(types=types)
        self._prepared: dict[str, Graph] = {}

    def add_foreign(self, name: str, graph: Graph, defaults: Options) -> None:
        """Keep a graph, and a copy of it whose nodes have their options complete."""
        self.add(name, graph)
        prepared = copy(graph)
        prepared.nodes = {
            node: replace(spec, metadata=_complete(f"{name}.{node}", name, spec.metadata, defaults))
            for node, spec in graph.nodes.items()
        }
        self._prepared[name] = prepared

    def prepared(self, name: str) -> Graph:
        """Return a copy of a graph, to be compiled by a workflow.

        Raises:
            UnknownAgent: The text lists the known graphs.
        """
        held = self._prepared.get(name)
        if held is None:
            known = ", ".join(self._prepared) or "none"
            raise UnknownAgent(f"no graph {name!r} on this worker; known: {known}")
        return copy(held)


def _merged(what: str, own: Options, defaults: Options) -> dict[str, Raw]:
    """Put a node's own options over the defaults; the two forms of a summary are one."""
    if PLACE not in own:
        raise BadOption(f"{what} lacks 'execute_in': set it to 'activity' or 'workflow'")
    if own[PLACE] not in ("activity", "workflow"):
        raise BadOption(f"execute_in={own[PLACE]!r} of {what}: 'activity' or 'workflow'")
    merged = {k: v for k, v in defaults.items() if k in TEMPORAL_OPTIONS or k == LABEL}
    if "summary" in own or LABEL in own:
        merged.pop("summary", None)
        merged.pop(LABEL, None)
    merged.update(own)
    if own[PLACE] == "workflow" and LABEL in own:
        log.warning("summary_fn of %s has no effect: it runs in the workflow", what)
    if own[PLACE] == "activity":
        foreign_terms(merged, what=what)
    return merged


def _complete(what: str, agent: str, metadata: Options | None, defaults: Options) -> dict[str, Raw]:
    merged = _merged(f"node {what}", metadata or {}, defaults)
    return {**merged, METADATA: {"agent": agent}}


def _declare(task: Raw, options: Mapping[str, Options], defaults: Options) -> None:
    name = cast("str", task.func.__name__)
    what = f"task {name!r}"
    merged = _merged(f"{what} in activity_options", options.get(name, {}), defaults)
    if merged[PLACE] == "activity":
        DECLARED.add(declaration(task.func, foreign_terms(merged, what=what)))


def graph(name: str, cache: Mapping[str, Json] | None = None) -> Graph:
    """Return a registered graph inside a workflow, to be compiled and called there.

    `cache` is what `cache()` returned in the run that this one continues.

    Raises:
        UnknownAgent: There is no graph of that name.
        NotInRun: Called outside a workflow.
    """
    run = need_run("perdure.worker.plugin_compat.graph()")
    run.results.restore(cast("Raw", cache) or {})
    return cast("ForeignAgents", run.host).prepared(name)


def entrypoint(name: str, cache: Mapping[str, Json] | None = None) -> Entrypoint:
    """Return a registered entrypoint inside a workflow.

    Raises:
        UnknownAgent: There is no entrypoint of that name.
        NotInRun: Called outside a workflow.
    """
    run = need_run("perdure.worker.plugin_compat.entrypoint()")
    run.results.restore(cast("Raw", cache) or {})
    return cast("Entrypoint", run.host.graph(name))


def cache() -> dict[str, Json] | None:
    """Return the results of nodes and tasks so far, for a run that continues as new."""
    kept = need_run("perdure.worker.plugin_compat.cache()").results.kept
    return cast("dict[str, Json]", kept) or None
