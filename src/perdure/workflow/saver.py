"""A LangGraph checkpointer that lives in the workflow: live objects, the latest only.

The workflow's history is the durable store, so nothing is serialised here. A checkpoint
survives a crash because replay makes it again.
"""

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
)

from perdure.core.jsons import Raw

Place = tuple[str, str]
"""Thread id and checkpoint namespace."""


class Saver(BaseCheckpointSaver[int]):
    """Keep the newest checkpoint of each thread and namespace of one run."""

    def __init__(self) -> None:
        super().__init__()
        self._checkpoints: dict[Place, CheckpointTuple] = {}
        self._writes: dict[tuple[str, str, str], dict[tuple[str, int], tuple[str, str, Raw]]] = {}

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Return the newest checkpoint; None if there is none, or an older one was asked for."""
        place = _place(config)
        held = self._checkpoints.get(place)
        if held is None:
            return None
        wanted = _configurable(config).get("checkpoint_id")
        if wanted and wanted != held.checkpoint["id"]:
            return None
        writes = self._writes.get((*place, held.checkpoint["id"]), {})
        return held._replace(
            checkpoint=_copy(held.checkpoint), pending_writes=list(writes.values())
        )

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,  # noqa: ARG002 - all values are kept as they are
    ) -> RunnableConfig:
        """Keep a checkpoint in place of the one before."""
        place = _place(config)
        parent = _configurable(config).get("checkpoint_id")
        held = self._checkpoints.get(place)
        if held is not None and held.checkpoint["id"] != checkpoint["id"]:
            self._writes.pop((*place, held.checkpoint["id"]), None)
        own = _config(place, checkpoint["id"])
        self._checkpoints[place] = CheckpointTuple(
            config=own,
            checkpoint=_copy(checkpoint),
            metadata=metadata,
            parent_config=_config(place, parent) if parent else None,
        )
        return own

    def put_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Raw]],
        task_id: str,
        task_path: str = "",  # noqa: ARG002 - order of writes does not depend on it here
    ) -> None:
        """Keep what a task wrote before its super-step was complete."""
        key = (*_place(config), str(_configurable(config)["checkpoint_id"]))
        held = self._writes.setdefault(key, {})
        for index, (channel, value) in enumerate(writes):
            slot = (task_id, WRITES_IDX_MAP.get(channel, index))
            if slot[1] >= 0 and slot in held:
                continue  # a task's own writes are final; special ones may be replaced
            held[slot] = (task_id, channel, value)

    def list(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Raw] | None = None,  # noqa: ARG002 - LangGraph's signature
        before: RunnableConfig | None = None,  # noqa: ARG002
        limit: int | None = None,  # noqa: ARG002
    ) -> Iterator[CheckpointTuple]:
        """Yield the newest checkpoint, if any."""
        held = self.get_tuple(config) if config is not None else None
        if held is not None:
            yield held

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Return the newest checkpoint."""
        return self.get_tuple(config)

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Keep a checkpoint."""
        return self.put(config, checkpoint, metadata, new_versions)

    async def aput_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Raw]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        """Keep what a task wrote."""
        self.put_writes(config, writes, task_id, task_path)

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Raw] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """Yield the newest checkpoint, if any."""
        for held in self.list(config, filter=filter, before=before, limit=limit):
            yield held


def _configurable(config: RunnableConfig) -> dict[str, Raw]:
    return config.get("configurable", {})


def _thaw(value: Raw) -> Raw:
    """Copy the containers of a state; what they hold is shared.

    A node that changes one in place and is then interrupted starts again from what was saved.
    """
    if type(value) is dict:
        held = cast("dict[Raw, Raw]", value)
        return {key: _thaw(item) for key, item in held.items()}
    if type(value) is list:
        return [_thaw(item) for item in cast("list[Raw]", value)]
    return set(cast("set[Raw]", value)) if type(value) is set else value


def _copy(checkpoint: Checkpoint) -> Checkpoint:
    """Copy what LangGraph changes in place: a mere look at the state marks tasks as seen."""
    seen = checkpoint["versions_seen"]
    parts: dict[str, Raw] = {
        **checkpoint,
        "channel_values": _thaw(checkpoint["channel_values"]),
        "channel_versions": dict(checkpoint["channel_versions"]),
        "versions_seen": {node: dict(versions) for node, versions in seen.items()},
    }
    return cast("Checkpoint", parts)


def _place(config: RunnableConfig) -> Place:
    parts = _configurable(config)
    return str(parts["thread_id"]), str(parts.get("checkpoint_ns", ""))


def _config(place: Place, checkpoint_id: str) -> RunnableConfig:
    return {
        "configurable": {
            "thread_id": place[0],
            "checkpoint_ns": place[1],
            "checkpoint_id": checkpoint_id,
        }
    }
