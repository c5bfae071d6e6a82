"""Start a run where another one stood: seeds of forks and rewinds. Workflow side."""

from collections.abc import Mapping
from dataclasses import replace
from typing import cast

from langgraph.checkpoint.base import Checkpoint, CheckpointMetadata

from perdure.core.jsons import Json, JsonObject, Raw, as_object
from perdure.errors import BadInput
from perdure.workflow.checkpoints import Entry, Place, Write
from perdure.workflow.current import Run
from perdure.workflow.driving import Drive


async def plant(drive: Drive, input: Raw) -> Raw:
    """Bring back what the run starts from; returns what the graph is called with.

    Raises:
        BadInput: The seed is none.
    """
    run = drive.run
    if run.start.seed is None:
        return input
    seed = as_object(run.start.seed, what="the seed of a run")
    thread = str((drive.where.get("configurable") or {})["thread_id"])
    run.saver.restore(
        replace(entry, place=(thread, entry.place[1]))
        for entry in read_entries(run, cast("Raw", seed.get("entries") or []))
    )
    run.ledger.inherit(cast("list[Raw]", seed.get("effects") or []))
    update = seed.get("update")
    if isinstance(update, Mapping):
        change = cast("Mapping[str, Json]", update)
        values = run.host.codec.decode(change.get("values"))
        await cast("Raw", drive.graph.aupdate_state)(drive.where, values, change.get("as_node"))
    return input


def write_entries(run: Run, entries: list[Entry], *, what: str) -> list[Json]:
    """Write checkpoints as JSON, by the worker's codec."""
    return [_write(run, entry, what) for entry in entries]


def _write(run: Run, entry: Entry, what: str) -> JsonObject:
    codec = run.host.codec
    return {
        "namespace": entry.place[1],
        "checkpoint": codec.encode(dict(entry.checkpoint), what=what),
        "metadata": codec.encode(dict(entry.metadata), what=what),
        "parent": entry.parent,
        "writes": [
            {
                "task": write.task,
                "path": write.path,
                "index": write.index,
                "channel": write.channel,
                "value": codec.encode(write.value, what=f"{what}, channel {write.channel!r}"),
            }
            for write in entry.writes
        ],
    }


def read_entries(run: Run, raw: list[Raw]) -> list[Entry]:
    """Read checkpoints that `write_entries` wrote.

    Raises:
        BadInput: A part is missing or has the wrong type.
    """
    try:
        return [_read(run, as_object(one, what="a checkpoint")) for one in raw]
    except (KeyError, TypeError) as error:
        raise BadInput(f"a checkpoint of the seed cannot be read: {error!r}") from error


def _read(run: Run, data: JsonObject) -> Entry:
    codec = run.host.codec
    place: Place = ("", str(data["namespace"]))
    parent = data.get("parent")
    return Entry(
        place=place,
        checkpoint=cast("Checkpoint", codec.decode(data["checkpoint"])),
        metadata=cast("CheckpointMetadata", codec.decode(data["metadata"])),
        parent=None if parent is None else str(parent),
        writes=tuple(
            Write(
                task=str(write["task"]),
                path=str(write["path"]),
                index=int(write["index"]),
                channel=str(write["channel"]),
                value=codec.decode(write["value"]),
            )
            for write in cast("list[Raw]", data.get("writes") or [])
        ),
    )
