"""Put a thread back to where a run found it. Activity side.

LangGraph's savers forget whole threads only. On SQLite and PostgreSQL one transaction takes
out what came since; on any other saver the thread is written again without it.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    BaseCheckpointSaver,
    CheckpointTuple,
    PendingWrite,
)
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from perdure.core.jsons import Raw

Saver = BaseCheckpointSaver[Raw]
Gone = Sequence[Sequence[Raw]]
"""Writes to take out: namespace, checkpoint, task, index."""
_SQLITE = ("?", "checkpoints", "writes")
_POSTGRES = ("%s", "checkpoints", "checkpoint_writes")


def is_sorted(saver: Saver) -> bool:
    """Tell whether the saver lists all namespaces together, newest first."""
    return isinstance(saver, AsyncSqliteSaver) or _is_postgres(saver)


async def delete_after(saver: Saver, thread: str, *, after: str, writes: Gone) -> bool:
    """Delete what came after a checkpoint, at once; False if this saver has no SQL."""
    if isinstance(saver, AsyncSqliteSaver):
        await saver.setup()
        async with saver.lock:
            await _delete(saver.conn, _SQLITE, thread, after, writes)
            await saver.conn.commit()
        return True
    if _is_postgres(saver):
        async with _postgres(saver) as conn, conn.transaction():
            await _delete(conn, _POSTGRES, thread, after, writes)
        return True
    return False


async def delete_slowly(saver: Saver, thread: str, *, after: str, writes: Gone) -> None:
    """Write a thread again without what came after a checkpoint."""
    config: Raw = {"configurable": {"thread_id": thread}}
    kept = [one async for one in saver.alist(config) if one.checkpoint["id"] <= after]
    await saver.adelete_thread(thread)
    gone = {(str(n), str(c), str(t)) for n, c, t, _ in writes}
    for one in sorted(kept, key=lambda held: held.checkpoint["id"]):
        parts = _parts(one)
        place = {"thread_id": thread, "checkpoint_ns": parts.get("checkpoint_ns", "")}
        before = (one.parent_config or {}).get("configurable") or {}
        parent = dict(place)
        if before.get("checkpoint_id"):
            parent["checkpoint_id"] = before["checkpoint_id"]
        checkpoint = one.checkpoint
        versions = checkpoint["channel_versions"]
        await saver.aput({"configurable": parent}, checkpoint, one.metadata, versions)
        own: Raw = {"configurable": {**place, "checkpoint_id": checkpoint["id"]}}
        for task, made in _by_task(one.pending_writes or []).items():
            if (str(place["checkpoint_ns"]), checkpoint["id"], task) not in gone:
                for special in (True, False):
                    group = [w for w in made if (w[0] in WRITES_IDX_MAP) == special]
                    if group:
                        await saver.aput_writes(own, group, task)


def _by_task(writes: Sequence[PendingWrite]) -> dict[str, list[tuple[str, Raw]]]:
    groups: dict[str, list[tuple[str, Raw]]] = {}
    for task, channel, value in writes:
        groups.setdefault(task, []).append((channel, value))
    return groups


async def _delete(
    conn: Raw, sql: tuple[str, str, str], thread: str, after: str, writes: Gone
) -> None:
    mark, checkpoints, made = sql
    for table in (checkpoints, made):
        await conn.execute(
            f"DELETE FROM {table} WHERE thread_id = {mark} AND checkpoint_id > {mark}",  # noqa: S608 - names of ours
            (thread, after),
        )
    for namespace, checkpoint, task, index in writes:
        special = index < 0
        await conn.execute(
            f"DELETE FROM {made} WHERE thread_id = {mark} AND checkpoint_ns = {mark} "  # noqa: S608
            f"AND checkpoint_id = {mark} AND task_id = {mark} "
            + (f"AND idx = {mark}" if special else "AND idx >= 0"),
            (thread, namespace, checkpoint, task, *((index,) if special else ())),
        )


def _is_postgres(saver: Saver) -> bool:
    return any(kind.__name__ == "AsyncPostgresSaver" for kind in type(saver).__mro__)


@asynccontextmanager
async def _postgres(saver: Raw) -> AsyncGenerator[Raw]:
    """Lend a connection of the saver's, which has a pool or one of its own."""
    if hasattr(saver.conn, "getconn"):
        async with saver.conn.connection() as conn:
            yield conn
    else:
        async with saver.lock:
            yield saver.conn


def _parts(one: CheckpointTuple) -> dict[str, Raw]:
    return one.config.get("configurable") or {}
