"""The activities of threads: what a run left is kept by LangGraph's own saver."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from typing import cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import WRITES_IDX_MAP, BaseCheckpointSaver, CheckpointTuple
from temporalio import activity

from perdure.activity.keeping import keeping
from perdure.activity.resolver import Resolver
from perdure.activity.undoing import delete_after, delete_slowly, is_sorted
from perdure.core.jsons import Json, JsonObject, Raw, as_object
from perdure.core.names import LOAD_THREAD_ACTIVITY, SAVE_THREAD_ACTIVITY
from perdure.core.ports import Codec
from perdure.errors import PayloadTooLarge

_PAGE = 20
_DELTA = "counters_since_delta_snapshot"
Saver = BaseCheckpointSaver[Raw]


class ThreadActivities:
    """The activities of the worker's threads; `threads` opens the saver, or returns it."""

    def __init__(
        self,
        *,
        threads: Callable[[], Awaitable[object]],
        codec: Codec,
        resolver: Resolver | None = None,
    ) -> None:
        self._resolver = resolver or Resolver()
        self._threads = threads
        self._codec = codec

    @activity.defn(name=LOAD_THREAD_ACTIVITY)
    async def load(self, raw: Raw) -> Raw:
        """Read where a thread stands: the newest checkpoint of each namespace.

        Raises:
            ApplicationError: See `perdure.activity.keeping`.
        """
        request = as_object(raw, what="a request for a thread")
        thread = str(request["thread"])
        async with keeping(f"reading thread {thread!r}"):
            saver = cast("Saver", await self._threads())
            namespaces = cast("list[str]", request.get("namespaces") or [])
            found = await _newest(saver, thread, namespaces)
            entries: list[Json] = [self._write(one) for one in found]
            if self._codec.size(entries) > self._codec.largest:
                raise PayloadTooLarge(
                    f"the state of thread {thread!r} takes more than "
                    f"{self._codec.largest:,} bytes; keep large texts outside of the state"
                )
            return {"entries": entries}

    @activity.defn(name=SAVE_THREAD_ACTIVITY)
    async def save(self, raw: Raw) -> Raw:
        """Write what a run left. Repeated, or out of order, it leaves the same.

        A checkpoint is found by its id, which grows with time: an older one that comes late
        goes to its place in the history and does not become the newest.

        Raises:
            ApplicationError: See `perdure.activity.keeping`.
        """
        told = as_object(raw, what="a request to save a thread")
        thread = str(told["thread"])
        async with keeping(f"saving thread {thread!r}"):
            request = await self._resolver.grow(told)
            saver = cast("Saver", await self._threads())
            if request.get("drop") is not None:
                await self._drop(saver, thread, as_object(request["drop"], what="what to drop"))
            for entry in cast("list[JsonObject]", request.get("entries") or []):
                await self._put(saver, thread, entry, run=str(request["run"]))
        return None

    async def _put(self, saver: Saver, thread: str, entry: JsonObject, *, run: str) -> None:
        checkpoint = cast("Raw", self._codec.decode(entry["checkpoint"]))
        namespace = entry["namespace"]
        own = {"thread_id": thread, "checkpoint_ns": namespace, "checkpoint_id": checkpoint["id"]}
        if entry.get("whole", True):
            parent: dict[str, Raw] = {"thread_id": thread, "checkpoint_ns": namespace}
            if entry.get("parent") is not None:
                parent["checkpoint_id"] = entry["parent"]
            metadata: Raw = self._codec.decode(entry["metadata"])
            metadata = {**metadata, "run_id": run} if run else metadata
            # All versions, not only new ones: savers that keep values by version skip those
            # that they have, and one that was lost is mended.
            versions = checkpoint["channel_versions"]
            await saver.aput({"configurable": parent}, checkpoint, metadata, versions)
        for task, path, writes in self._by_task(cast("list[JsonObject]", entry["writes"])):
            await saver.aput_writes({"configurable": own}, writes, task, path)

    def _by_task(
        self, writes: Iterable[JsonObject]
    ) -> Iterable[tuple[str, str, list[tuple[str, Raw]]]]:
        """Group writes as the tasks made them; the special ones apart, for they may change."""
        groups: dict[tuple[str, str, bool], list[tuple[int, str, Raw]]] = {}
        for write in writes:
            index = cast("int", write["index"])
            key = (str(write["task"]), str(write["path"]), index < 0)
            value = self._codec.decode(write["value"])
            groups.setdefault(key, []).append((index, str(write["channel"]), value))
        for (task, path, _), made in groups.items():
            made.sort(key=lambda one: one[0])
            yield task, path, [(channel, value) for _, channel, value in made]

    async def _drop(self, saver: Saver, thread: str, drop: JsonObject) -> None:
        """Put a thread back to where a run found it."""
        after = str(drop["after"])
        writes = cast("list[list[Raw]]", drop.get("writes") or [])
        if not await delete_after(saver, thread, after=after, writes=writes):
            await delete_slowly(saver, thread, after=after, writes=writes)
        for entry in cast("list[JsonObject]", drop.get("base") or []):
            await self._put(saver, thread, entry, run="")

    def _write(self, found: CheckpointTuple) -> JsonObject:
        parts = cast("dict[str, Raw]", found.config.get("configurable"))
        parent = (found.parent_config or {}).get("configurable") or {}
        encode, what = self._codec.encode, "the state of a thread"
        writes: list[Json] = []
        counted: dict[str, int] = {}
        for task, channel, value in found.pending_writes or []:
            index = WRITES_IDX_MAP.get(channel)
            if index is None:
                index = counted.get(task, 0)
                counted[task] = index + 1
            writes.append(
                {
                    "task": task,
                    "path": "",
                    "index": index,
                    "channel": channel,
                    "value": encode(value, what=what),
                }
            )
        return {
            "namespace": str(parts.get("checkpoint_ns", "")),
            "checkpoint": encode(dict(found.checkpoint), what=what),
            "metadata": encode(dict(found.metadata), what=what),
            "parent": parent.get("checkpoint_id"),
            "writes": writes,
        }


async def _newest(saver: Saver, thread: str, namespaces: Sequence[str]) -> list[CheckpointTuple]:
    """Find the newest checkpoint of each namespace that a run may go on from.

    A sub-graph that was interrupted began after the newest checkpoint of the whole; one that
    remembers between runs, in one of `namespaces`, may be older.
    """
    root = await saver.aget_tuple(_at(thread, ""))
    if root is None:
        return []
    found = {"": root}
    for namespace in namespaces:
        kept = await saver.aget_tuple(_at(thread, namespace))
        if kept is not None:
            found[namespace] = kept
    since = root.checkpoint["id"]
    async for one in _since(saver, thread, since):
        parts = cast("dict[str, Raw]", one.config.get("configurable"))
        namespace = str(parts.get("checkpoint_ns", ""))
        known = found.get(namespace)
        if known is None or known.checkpoint["id"] < one.checkpoint["id"]:
            found[namespace] = one
    ancestors = [one for held in found.values() for one in await _ancestors(saver, held)]
    return [*ancestors, *found.values()]


async def _since(saver: Saver, thread: str, oldest: str) -> AsyncGenerator[CheckpointTuple]:
    """Yield the checkpoints of all namespaces from one on."""
    before: RunnableConfig | None = None
    while True:
        limit = _PAGE if is_sorted(saver) else None
        page = [one async for one in saver.alist(_at(thread), before=before, limit=limit)]
        for one in page:
            if one.checkpoint["id"] >= oldest:
                yield one
        if limit is None or len(page) < limit or page[-1].checkpoint["id"] < oldest:
            return
        before = page[-1].config


async def _ancestors(saver: Saver, held: CheckpointTuple) -> list[CheckpointTuple]:
    """Find what a checkpoint with delta channels is put together from, oldest first."""
    counters = cast("dict[str, Raw]", cast("dict[str, Raw]", held.metadata).get(_DELTA) or {})
    missing = {name for name in counters if name not in held.checkpoint["channel_values"]}
    found: list[CheckpointTuple] = []
    one: CheckpointTuple | None = held
    while missing and one is not None and one.parent_config is not None:
        one = await saver.aget_tuple(one.parent_config)
        if one is not None:
            found.insert(0, one)
            missing -= set(one.checkpoint["channel_values"])
    return found


def _at(thread: str, namespace: str | None = None) -> RunnableConfig:
    parts: dict[str, Raw] = {"thread_id": thread}
    if namespace is not None:
        parts["checkpoint_ns"] = namespace
    return {"configurable": parts}
