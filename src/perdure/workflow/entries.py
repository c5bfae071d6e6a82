"""Write checkpoints as JSON for another process, and read them. Workflow side."""

from typing import cast

from langgraph.checkpoint.base import Checkpoint, CheckpointMetadata

from perdure.core.jsons import Json, JsonObject, Raw, as_object
from perdure.errors import BadInput
from perdure.workflow.checkpoints import Entry, Place, Write
from perdure.workflow.current import Run


def write_entries(run: Run, entries: list[Entry], *, what: str) -> list[Json]:
    """Write checkpoints as JSON, by the worker's codec."""
    return [_write(run, entry, what) for entry in entries]


def _write(run: Run, entry: Entry, what: str) -> JsonObject:
    codec = run.codec
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
        raise BadInput(f"a checkpoint cannot be read: {error!r}") from error


def _read(run: Run, data: JsonObject) -> Entry:
    codec = run.codec
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
