"""A LangGraph checkpointer that lives in the workflow: live objects, nothing serialised.

The workflow's history is the durable store; a checkpoint survives a crash because replay makes
it again. What a thread must remember after the run is handed out by `unsaved` and brought back
by `restore`.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    get_checkpoint_metadata,
    writes_sort_key,
)
from langgraph.checkpoint.serde.types import RESUME

from perdure.core.jsons import Raw
from perdure.core.wire import Checkpoints
from perdure.workflow.checkpoints import Entry, Place, Write, copy_of, place_of, pointer

KEEP = 100
"""Checkpoints kept in memory per thread and namespace."""
_DELTA = "counters_since_delta_snapshot"
"""Metadata of a graph with delta channels: their values are spread over all ancestors."""

Version = int | str


@dataclass
class _Held:
    """One checkpoint with the writes that its tasks made so far."""

    entry: CheckpointTuple
    writes: dict[tuple[str, int], Write] = field(default_factory=dict[tuple[str, int], Write])
    dirty: bool = False
    fresh: dict[tuple[str, int], Write] = field(default_factory=dict[tuple[str, int], Write])
    """Writes that `unsaved` has not handed out yet."""


class Saver(BaseCheckpointSaver[str]):
    """Keep the checkpoints of one run, by thread and namespace."""

    def __init__(self) -> None:
        super().__init__()
        self.salt: str | None = None
        """Set for threads that outlive the run: versions become texts that no other run uses."""
        self._held: dict[Place, dict[str, _Held]] = {}
        self._early: dict[tuple[Place, str], dict[tuple[str, int], Write]] = {}
        """Writes that came before their checkpoint."""
        self._saved: dict[Place, dict[str, Version]] = {}
        self.count = 0
        """Versions given so far."""
        self.puts = 0
        """Checkpoints kept so far, those of sub-graphs included."""
        self.resumed: dict[str, None] = {}
        """Tasks that took an answer, since somebody emptied it."""
        self.on_put: Callable[[Place], None] | None = None
        """Told of a super-step that is complete."""

    @property
    def newest(self) -> str:
        """The newest checkpoint of all; empty if there is none yet."""
        return max((max(held) for held in self._held.values() if held), default="")

    def get_next_version(self, current: Raw, channel: None) -> Raw:  # noqa: ARG002
        """Count a channel's version up.

        Savers keep a channel's values by version, so two branches of one thread must not make
        the same one; LangGraph's own savers add a random number to it.
        """
        number = int(current.split(".")[0]) if isinstance(current, str) else int(current or 0)
        if self.salt is None and not isinstance(current, str):
            return number + 1
        self.count += 1
        return f"{number + 1:032}.{self.count:08}{self.salt or ''}"

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Return the checkpoint that is asked for, or the newest; None if there is none."""
        place = place_of(config)
        held = self._held.get(place)
        if not held:
            return None
        wanted = _configurable(config).get("checkpoint_id")
        found = held.get(str(wanted)) if wanted else held[max(held)]
        return None if found is None else _read(found)

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,  # noqa: ARG002 - all values are kept as they are
    ) -> RunnableConfig:
        """Keep a checkpoint."""
        place = place_of(config)
        parent = _configurable(config).get("checkpoint_id")
        own = pointer(place, checkpoint["id"])
        held = self._held.setdefault(place, {})
        known = held.get(checkpoint["id"])
        early = self._early.pop((place, checkpoint["id"]), {})
        held[checkpoint["id"]] = _Held(
            entry=CheckpointTuple(
                config=own,
                checkpoint=copy_of(checkpoint),
                metadata=get_checkpoint_metadata(config, metadata),
                parent_config=pointer(place, parent) if parent else None,
            ),
            writes=known.writes if known else early,
            fresh=known.fresh if known else dict(early),
            dirty=True,
        )
        if len(held) > KEEP and _DELTA not in metadata:
            oldest = min(held)
            if not held[oldest].dirty or self.salt is None:
                del held[oldest]
        self.puts += 1
        if self.on_put is not None:
            self.on_put(place)
        return own

    @property
    def places(self) -> "list[Place]":
        """List the threads and namespaces that have checkpoints."""
        return [place for place, held in self._held.items() if held]

    def step_of(self, place: Place) -> int:
        """Return the number of a namespace's newest super-step; -2 if it has none."""
        held = self._held.get(place)
        return -2 if not held else int(held[max(held)].entry.metadata.get("step", -2))

    def forget(self, place: Place) -> None:
        """Drop the checkpoints of a namespace whose graph is not wanted any more."""
        self._held.pop(place, None)

    def earlier(self, place: Place) -> "Iterator[Entry]":
        """Copy the checkpoints of a namespace before the newest, newest first."""
        held = self._held.get(place, {})
        for one in sorted(held, reverse=True)[1:]:
            yield self._entry_of(place, held[one], tuple(held[one].writes.values()))

    def put_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Raw]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        """Keep what a task wrote before its super-step was complete."""
        place, checkpoint = place_of(config), str(_configurable(config)["checkpoint_id"])
        held = self._held.get(place, {}).get(checkpoint)
        known = self._early.setdefault((place, checkpoint), {}) if held is None else held.writes
        for index, (channel, value) in enumerate(writes):
            slot = (task_id, WRITES_IDX_MAP.get(channel, index))
            if slot[1] >= 0 and slot in known:
                continue  # a task's own writes are final; special ones may be replaced
            if channel == RESUME:
                self.resumed[task_id] = None
            known[slot] = Write(
                task=task_id, path=task_path, index=slot[1], channel=channel, value=value
            )
            if held is not None:
                held.fresh[slot] = known[slot]

    def list(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Raw] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        """Yield checkpoints, newest first."""
        parts = _configurable(config) if config is not None else {}
        wanted, namespace = parts.get("checkpoint_id"), parts.get("checkpoint_ns")
        last = _configurable(before).get("checkpoint_id") if before is not None else None
        left = limit
        for place in list(self._held):
            if config is not None and place[0] != str(parts["thread_id"]):
                continue
            if namespace is not None and place[1] != namespace:
                continue
            for one in sorted(self._held[place], reverse=True):
                found = self._held[place][one]
                if (wanted and one != wanted) or (last and one >= last):
                    continue
                metadata = cast("dict[str, Raw]", found.entry.metadata)
                if any(metadata.get(key) != value for key, value in (filter or {}).items()):
                    continue
                if left is not None and left <= 0:
                    return
                left = None if left is None else left - 1
                yield _read(found)

    def delete_thread(self, thread_id: str) -> None:
        """Forget a thread."""
        for place in [p for p in self._held if p[0] == thread_id]:
            del self._held[place]

    def restore(self, entries: Iterable[Entry]) -> None:
        """Bring back what an earlier run left; it counts as saved."""
        for entry in entries:
            own = pointer(entry.place, entry.checkpoint["id"])
            parent = pointer(entry.place, entry.parent) if entry.parent else None
            held = _Held(
                entry=CheckpointTuple(
                    config=own,
                    checkpoint=copy_of(entry.checkpoint),
                    metadata=entry.metadata,
                    parent_config=parent,
                ),
                writes={(w.task, w.index): w for w in entry.writes},
            )
            self._held.setdefault(entry.place, {})[entry.checkpoint["id"]] = held
            self._mark(entry.place, entry.checkpoint)

    def dump(self, *, until: str | None = None) -> "list[Entry]":
        """Copy the newest checkpoint of each namespace; `until` means: of those up to that one.

        Without `until` the writes of tasks that are done already come along; with a delta
        channel also the ancestors that its value is made of.
        """
        entries: list[Entry] = []
        for place, held in self._held.items():
            eligible = [one for one in held if until is None or one <= until]
            if eligible:
                found = held[max(eligible)]
                writes = () if until is not None else tuple(found.writes.values())
                entries += self._ancestors(place, found)
                entries.append(self._entry_of(place, found, writes))
        return entries

    def _ancestors(self, place: Place, held: _Held) -> "list[Entry]":
        """Copy the checkpoints back to the one that has the value of each delta channel."""
        counters: Raw = cast("Raw", held.entry.metadata).get(_DELTA) or {}
        values = held.entry.checkpoint["channel_values"]
        missing = [channel for channel in counters if channel not in values]
        found: list[Entry] = []
        while missing and held.entry.parent_config is not None:
            parent = str(_configurable(held.entry.parent_config)["checkpoint_id"])
            if parent not in self._held[place]:
                break
            held = self._held[place][parent]
            found.append(self._entry_of(place, held, tuple(held.writes.values())))
            values = held.entry.checkpoint["channel_values"]
            missing = [channel for channel in missing if channel not in values]
        return found[::-1]

    def unsaved(self, which: Checkpoints = "latest") -> "list[Entry]":
        """Hand out what came since the last time, oldest first, and count it as saved.

        "latest" hands out the newest checkpoint of each namespace only. `new_versions` of an
        entry names the channels whose values have not been handed out before.
        """
        entries: list[Entry] = []
        for place, held in self._held.items():
            newest = max(held) if held else ""
            for one in sorted(held):
                found = held[one]
                if not found.dirty and not found.fresh:
                    continue
                if which == "all" or one == newest:
                    entries.append(self._entry(place, found))
                found.dirty = False
                found.fresh = {}
        entries.sort(key=lambda entry: entry.checkpoint["id"])
        return entries

    def _entry(self, place: Place, held: _Held) -> Entry:
        checkpoint = held.entry.checkpoint
        saved = self._saved.get(place, {})
        fresh = {k: v for k, v in checkpoint["channel_versions"].items() if saved.get(k) != v}
        self._mark(place, checkpoint)
        entry = self._entry_of(place, held, tuple(held.fresh.values()))
        return replace(entry, new_versions=fresh, whole=held.dirty)

    def _entry_of(self, place: Place, held: _Held, writes: tuple[Write, ...]) -> Entry:
        parent = held.entry.parent_config
        return Entry(
            place=place,
            checkpoint=copy_of(held.entry.checkpoint),
            metadata=held.entry.metadata,
            parent=None if parent is None else str(_configurable(parent)["checkpoint_id"]),
            new_versions=dict(held.entry.checkpoint["channel_versions"]),
            writes=writes,
        )

    def _mark(self, place: Place, checkpoint: Checkpoint) -> None:
        versions = cast("dict[str, Version]", checkpoint["channel_versions"])
        self._saved.setdefault(place, {}).update(versions)

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Return a checkpoint."""
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

    async def adelete_thread(self, thread_id: str) -> None:
        """Forget a thread."""
        self.delete_thread(thread_id)

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Raw] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """Yield checkpoints, newest first."""
        for held in self.list(config, filter=filter, before=before, limit=limit):
            yield held


def _configurable(config: RunnableConfig) -> dict[str, Raw]:
    return config.get("configurable", {})


def _read(held: _Held) -> CheckpointTuple:
    """Copy what LangGraph may change; its order is the one that a live super-step applies."""
    writes = sorted(held.writes.values(), key=lambda w: writes_sort_key(w.path, w.task, w.index))
    return held.entry._replace(
        checkpoint=copy_of(held.entry.checkpoint),
        pending_writes=[(w.task, w.channel, w.value) for w in writes],
    )
