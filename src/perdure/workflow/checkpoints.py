"""Checkpoints as values: what the saver holds, and what a thread remembers of a run."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import Checkpoint, CheckpointMetadata

from perdure.core.jsons import Raw

Place = tuple[str, str]
"""Thread id and checkpoint namespace."""


@dataclass(frozen=True, kw_only=True)
class Write:
    """One value that a task wrote before its super-step was complete."""

    task: str
    path: str
    index: int
    channel: str
    value: Raw


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One checkpoint, as it goes to a thread's saver and comes back."""

    place: Place
    checkpoint: Checkpoint
    metadata: CheckpointMetadata
    parent: str | None = None
    """The checkpoint before it."""
    new_versions: Mapping[str, int | float | str] = field(
        default_factory=dict[str, int | float | str]
    )
    """The channels whose values the thread's saver does not have yet."""
    writes: tuple[Write, ...] = ()
    whole: bool = True
    """False if the saver has the checkpoint already and the writes alone are new."""


def place_of(config: RunnableConfig) -> Place:
    """Name the thread and namespace that a config points to."""
    parts = config.get("configurable", {})
    return str(parts["thread_id"]), str(parts.get("checkpoint_ns", ""))


def pointer(place: Place, checkpoint_id: str) -> RunnableConfig:
    """Write the config that points to one checkpoint."""
    return {
        "configurable": {
            "thread_id": place[0],
            "checkpoint_ns": place[1],
            "checkpoint_id": checkpoint_id,
        }
    }


def thaw(value: Raw) -> Raw:
    """Copy the containers of a state; what they hold is shared.

    A node that changes one in place and is then interrupted starts again from what was saved.
    """
    if type(value) is dict:
        held = cast("dict[Raw, Raw]", value)
        return {key: thaw(item) for key, item in held.items()}
    if type(value) is list:
        return [thaw(item) for item in cast("list[Raw]", value)]
    return set(cast("set[Raw]", value)) if type(value) is set else value


def copy_of(checkpoint: Checkpoint) -> Checkpoint:
    """Copy what LangGraph changes in place: a mere look at the state marks tasks as seen."""
    seen = checkpoint["versions_seen"]
    parts: dict[str, Raw] = {
        **checkpoint,
        "channel_values": thaw(checkpoint["channel_values"]),
        "channel_versions": dict(checkpoint["channel_versions"]),
        "versions_seen": {node: dict(versions) for node, versions in seen.items()},
    }
    return cast("Checkpoint", parts)
