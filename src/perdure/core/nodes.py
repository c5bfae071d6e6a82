"""Whole-node activities: what an author says about one, and what crosses the wire."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import cast

from perdure.core.jsons import Json, JsonObject, Raw, as_object, shorten
from perdure.core.options import (
    KEEP,
    TOOL_RETRY,
    CallOptions,
    Override,
    override_from,
)
from perdure.errors import BadInput, BadOption

NODE_OPTIONS = CallOptions(
    timeout=timedelta(minutes=5), heartbeat=timedelta(seconds=10), retry=TOOL_RETRY
)
METADATA = "perdure"
"""The key of a node's metadata under which its author asks for an activity."""
TEMPORAL_OPTIONS = frozenset(
    {
        "task_queue", "schedule_to_close_timeout", "schedule_to_start_timeout",
        "start_to_close_timeout", "heartbeat_timeout", "retry_policy", "cancellation_type",
        "versioning_intent", "summary", "priority",
    }
)  # fmt: skip
"""Options of Temporal's own plugin that go to the activity as they are."""
PLACE = "execute_in"
LABEL = "summary_fn"
FOREIGN = frozenset({PLACE, LABEL, "activity_id", "result_type"}) | TEMPORAL_OPTIONS
"""Every key of a node's metadata that Temporal's own plugin takes for itself."""

Label = Callable[[Raw, Raw], str | None]


@dataclass(frozen=True, kw_only=True)
class NodeTerms:
    """How a whole node runs as one activity."""

    override: Override = KEEP
    agent: str | None = None
    """Where to look the node up, if not in the run's own agent."""
    foreign: bool = False
    """Written for Temporal's plugin: its options and its rules of failure hold."""
    options: Mapping[str, object] = field(default_factory=dict[str, object])
    """Options of Temporal's activity as they are; only with `foreign`."""
    label: Label | None = None
    """Makes the activity's summary of the node's arguments."""


def read_terms(metadata: Mapping[str, Raw] | None, *, node: str) -> NodeTerms | None:
    """Read the terms in a node's metadata; None if the node runs in the workflow.

    Raises:
        BadOption: An option is unknown or has a wrong value; the text names the node.
    """
    if not metadata:
        return None
    asked = metadata.get(METADATA)
    if PLACE in metadata:
        terms = _foreign(metadata, node=node)
        if terms is None or not isinstance(asked, Mapping):
            return terms
        return replace(terms, agent=str(cast("Mapping[str, Raw]", asked).get("agent") or ""))
    if asked is None:
        return None
    if not isinstance(asked, Mapping):
        raise BadOption(
            f"metadata[{METADATA!r}] of node {node!r} is {shorten(repr(asked), 60)}: write an "
            'object, as in {"timeout": 30}'
        )
    data = as_object(asked, what=f"metadata[{METADATA!r}] of node {node!r}")
    activity = data.pop("activity", True)
    agent = data.pop("agent", None)
    if activity is not True:
        return None
    if isinstance(asked.get("timeout"), timedelta):
        data["timeout"] = asked["timeout"].total_seconds()
    return NodeTerms(override=override_from(data), agent=None if agent is None else str(agent))


def _foreign(metadata: Mapping[str, Raw], *, node: str) -> NodeTerms | None:
    place = metadata[PLACE]
    if place == "workflow":
        return None
    if place != "activity":
        raise BadOption(f"execute_in={place!r} of node {node!r}: 'activity' or 'workflow'")
    return foreign_terms(metadata, what=f"node {node!r}")


def foreign_terms(options: Mapping[str, Raw], *, what: str) -> NodeTerms:
    """Read the options of Temporal's own plugin.

    Raises:
        BadOption: Two forms of one option, or one that cannot be kept.
    """
    for name in ("activity_id", "result_type"):
        if options.get(name) is not None:
            raise BadOption(f"{name} of {what} cannot be kept: a node may run more than once")
    if options.get("summary") is not None and options.get(LABEL) is not None:
        raise BadOption(f"{what}: set either 'summary' or 'summary_fn', not both")
    kept = {k: v for k, v in options.items() if k in TEMPORAL_OPTIONS and v is not None}
    return NodeTerms(foreign=True, options=kept, label=options.get(LABEL))


@dataclass(frozen=True, kw_only=True)
class NodeCall:
    """One execution of a node."""

    agent: str
    path: tuple[str, ...]
    """The node's name, the nodes that hold its graph before it; empty for a task."""
    name: str | None
    """The name under which `perdure.node` declared the function."""
    input: Json
    """The state, or a task's arguments, encoded."""
    mapped: bool = False
    """The state is to be turned into the node's own schema."""
    config: Json = None
    context: Json = None
    previous: Json = None
    info: Json = None
    """LangGraph's execution info."""
    answers: Json = None
    """What people answered to the interrupts of this node, in their order."""
    final: bool = False
    """An error of the node itself is not tried again here: its graph does that."""
    foreign: bool = False

    def to_json(self) -> JsonObject:
        """Write the call as JSON; what equals its default is left out."""
        data: JsonObject = {"agent": self.agent, "path": list(self.path), "input": self.input}
        for name in ("name", "config", "context", "previous", "info", "answers"):
            if (value := getattr(self, name)) is not None:
                data[name] = value
        for name in ("mapped", "final", "foreign"):
            if getattr(self, name):
                data[name] = True
        return data

    @classmethod
    def from_json(cls, raw: Raw) -> "NodeCall":
        """Read a call.

        Raises:
            BadInput: The node is not named.
        """
        data = as_object(raw, what="a node call")
        path, name = data.get("path"), data.get("name")
        if not isinstance(path, list) or (not path and name is None):
            raise BadInput(f"path={shorten(repr(path))} of a node call: must be a list of names")
        return cls(
            agent=str(data.get("agent") or ""),
            path=tuple(str(part) for part in path),
            name=None if name is None else str(name),
            input=data.get("input"),
            mapped=data.get("mapped") is True,
            config=data.get("config"),
            context=data.get("context"),
            previous=data.get("previous"),
            info=data.get("info"),
            answers=data.get("answers"),
            final=data.get("final") is True,
            foreign=data.get("foreign") is True,
        )


@dataclass(frozen=True, kw_only=True)
class NodeReply:
    """What one execution of a node brought back: a result, or a question."""

    result: Json = None
    asked: Json = None
    """The value of an interrupt, in a list of one."""
    chunks: tuple[Json, ...] = ()
    """What the node wrote to the custom stream."""

    def to_json(self) -> JsonObject:
        """Write the reply as JSON."""
        data: JsonObject = {"result": self.result} if self.asked is None else {"asked": self.asked}
        if self.chunks:
            data["chunks"] = list(self.chunks)
        return data

    @classmethod
    def from_json(cls, raw: Raw) -> "NodeReply":
        """Read a reply.

        Raises:
            BadInput: It is no object.
        """
        data = as_object(raw, what="a node's reply")
        chunks = data.get("chunks")
        return cls(
            result=data.get("result"),
            asked=data.get("asked"),
            chunks=tuple(chunks) if isinstance(chunks, list) else (),
        )
