"""A test's own checkpointer and cache, as the workflow of a call sees them.

Each call of them is a deed: it happens where the caller waits, and replay has its result.
"""

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping
from collections.abc import Sequence as Seq
from typing import cast

from langchain_core.runnables import RunnableConfig
from langgraph.cache.base import FullKey, Namespace
from langgraph.checkpoint.base import (
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
)

from perdure.core.jsons import Raw
from perdure.workflow import bridge
from perdure.workflow.checkpoints import thaw
from perdure.workflow.runcache import RunCache

Ask = Callable[[Callable[[], Raw]], Awaitable[Raw]]
"""Makes a deed of a call, which may return an awaitable."""


class SaverProxy(BaseCheckpointSaver[Raw]):
    """Stands for a checkpointer. Workflow side.

    `sync` says which half of its methods the caller would have it called by.
    """

    def __init__(self, own: Raw, *, ask: Ask, sync: bool) -> None:
        super().__init__(serde=own.serde)
        self._own = own
        self._ask = ask
        self._sync = sync

    @property
    def config_specs(self) -> list[Raw]:
        """What the checkpointer reads of a config."""
        return self._own.config_specs

    def get_next_version(self, current: Raw, channel: None) -> Raw:
        """Count a channel's version up."""
        return self._own.get_next_version(current, channel)

    def with_allowlist(self, extra_allowlist: Collection[tuple[str, ...]]) -> Raw:
        """Return the same, with more types that it may read."""
        own = self._own.with_allowlist(extra_allowlist)
        return SaverProxy(own, ask=self._ask, sync=self._sync)

    async def _call(self, name: str, *args: Raw, **options: Raw) -> Raw:
        call = getattr(self._own, name if self._sync else f"a{name}")
        return await self._ask(lambda: call(*args, **options))

    def _wait(self, awaitable: Awaitable[Raw], name: str) -> Raw:
        return bridge.wait_for(awaitable, what=f"checkpointer.{name}()")

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Read a checkpoint."""
        return fresh(await self._call("get_tuple", config))

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Read a checkpoint."""
        return self._wait(self.aget_tuple(config), "get_tuple")

    async def alist(
        self, config: RunnableConfig | None, **options: Raw
    ) -> AsyncIterator[CheckpointTuple]:
        """List checkpoints."""

        async def collect() -> list[CheckpointTuple]:
            return [one async for one in self._own.alist(config, **options)]

        def look() -> Raw:
            return list(self._own.list(config, **options)) if self._sync else collect()

        for one in await self._ask(look):
            yield cast("CheckpointTuple", fresh(one))

    def list(self, config: RunnableConfig | None, **options: Raw) -> Iterator[CheckpointTuple]:
        """List checkpoints."""
        yield from bridge.drain(self.alist(config, **options), what="checkpointer.list()")

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Write a checkpoint."""
        # Copies, for the deed happens a little later.
        parts = (thaw(checkpoint), thaw(metadata), thaw(new_versions))
        return await self._call("put", config, *parts)

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Write a checkpoint."""
        return self._wait(self.aput(config, checkpoint, metadata, new_versions), "put")

    async def aput_writes(
        self,
        config: RunnableConfig,
        writes: Seq[tuple[str, Raw]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        """Write what a task wrote."""
        call = self._own.put_writes if self._sync else self._own.aput_writes
        takes_path = "task_path" in inspect.signature(call).parameters
        path = (task_path,) if takes_path else ()
        await self._ask(lambda: call(config, writes, task_id, *path))

    def put_writes(self, *args: Raw, **options: Raw) -> None:
        """Write what a task wrote."""
        self._wait(self.aput_writes(*args, **options), "put_writes")

    async def adelete_thread(self, thread_id: str) -> None:
        """Forget a thread."""
        await self._call("delete_thread", thread_id)

    def delete_thread(self, thread_id: str) -> None:
        """Forget a thread."""
        self._wait(self.adelete_thread(thread_id), "delete_thread")

    async def aget_delta_channel_history(self, **options: Raw) -> Raw:
        """Read what the delta channels of a thread are made of."""
        return await self._call("get_delta_channel_history", **options)

    def get_delta_channel_history(self, **options: Raw) -> Raw:
        """Read what the delta channels of a thread are made of."""
        what = "get_delta_channel_history"
        return self._wait(self.aget_delta_channel_history(**options), what)


def fresh(held: CheckpointTuple | None) -> CheckpointTuple | None:
    """Copy what LangGraph may change: replay must find it as it was read."""
    if held is None:
        return None
    parts = {"checkpoint": thaw(held.checkpoint), "metadata": thaw(held.metadata)}
    writes = None if held.pending_writes is None else [*held.pending_writes]
    return held._replace(**parts, pending_writes=writes)


class CacheProxy(RunCache):
    """Stands for a node cache. Workflow side."""

    def __init__(self, own: Raw, *, ask: Ask) -> None:
        super().__init__()
        self._own = own
        self._ask = ask

    def standing_for(self, own: Raw) -> "RunCache":
        """Return what stands for the cache of a graph."""
        return CacheProxy(own, ask=self._ask)

    async def aget(self, keys: Seq[FullKey]) -> dict[FullKey, Raw]:
        """Return what is known and not too old."""
        return await self._ask(lambda: self._own.aget(keys))

    def get(self, keys: Seq[FullKey]) -> dict[FullKey, Raw]:
        """Return what is known and not too old."""
        return bridge.wait_for(self.aget(keys), what="cache.get()")

    async def aset(self, pairs: Mapping[FullKey, tuple[Raw, int | None]]) -> None:
        """Keep results, each for as many seconds as it says."""
        await self._ask(lambda: self._own.aset(pairs))

    def set(self, pairs: Mapping[FullKey, tuple[Raw, int | None]]) -> None:
        """Keep results, each for as many seconds as it says."""
        bridge.wait_for(self.aset(pairs), what="cache.set()")

    async def aclear(self, namespaces: Seq[Namespace] | None = None) -> None:
        """Forget some results, or all."""
        await self._ask(lambda: self._own.aclear(namespaces))

    def clear(self, namespaces: Seq[Namespace] | None = None) -> None:
        """Forget some results, or all."""
        bridge.wait_for(self.aclear(namespaces), what="cache.clear()")
