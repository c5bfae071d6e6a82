"""Start a run where another one stood: seeds of forks and rewinds. Workflow side."""

from collections.abc import Mapping
from dataclasses import replace
from typing import cast

from perdure.core.jsons import Json, Raw, as_object
from perdure.workflow.driving import Drive
from perdure.workflow.entries import read_entries


async def plant(drive: Drive, input: Raw) -> Raw:
    """Bring back what the run starts from; returns what the graph is called with.

    Raises:
        BadInput: The seed is none.
    """
    run = drive.run
    if run.resumes is not None:
        drive.resume(run.resumes)
        run.resumes = None
        return None
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
        values = run.codec.decode(change.get("values"))
        await cast("Raw", drive.graph.aupdate_state)(drive.where, values, change.get("as_node"))
    elif seed.get("superseded"):
        # Named, as LangGraph's own replay names it: what was answered after it is asked again.
        parts = drive.where.get("configurable") or {}
        drive.first = {
            **drive.where,
            "configurable": {**parts, "checkpoint_id": str(seed["checkpoint"])},
        }
    return input
