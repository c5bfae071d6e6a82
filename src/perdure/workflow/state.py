"""Show and change the state of a run's graph from outside. Workflow side."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import cast

from langchain_core.runnables import RunnableConfig
from langgraph.types import StateSnapshot

from perdure.core.jsons import Json, JsonObject, Raw, as_object, shorten
from perdure.core.wire import PAYLOAD_LIMIT
from perdure.errors import BadInput, NothingWaiting, RunBusy
from perdure.workflow.current import Run
from perdure.workflow.driving import Drive
from perdure.workflow.entries import write_entries

MOST = 100
"""States that one answer lists at most."""


def show_state(run: Run, raw: Raw = None) -> JsonObject:
    """Describe the graph's state, the newest or that of a step or checkpoint.

    Raises:
        NothingWaiting: The run has no state yet.
        BadInput: There is no such step or checkpoint.
    """
    drive = _drive(run)
    return _describe(run, _find(run, drive, as_object(raw or {}, what="a request")))


def list_states(run: Run, raw: Raw = None) -> JsonObject:
    """List the states of the graph, newest first, as many as one answer carries.

    `more` is the checkpoint to ask for next (`before`), if there are more.
    """
    request = as_object(raw or {}, what="a request")
    drive = _drive(run)
    before = request.get("before")
    pointer: RunnableConfig | None = None
    if before is not None:
        pointer = {"configurable": {"checkpoint_id": str(before)}}
    limit = request.get("limit")
    most = min(limit, MOST) if isinstance(limit, int) else MOST
    states: list[Json] = []
    size = 0
    for snapshot in drive.graph.get_state_history(_root(drive), before=pointer):
        described = _describe(run, snapshot)
        size += run.host.codec.size(described)
        if len(states) >= most or (states and size > PAYLOAD_LIMIT // 2):
            last = cast("JsonObject", states[-1])
            return {"states": states, "more": last["checkpoint"]}
        states.append(described)
    return {"states": states, "more": None}


def cut_seed(run: Run, raw: Raw = None) -> JsonObject:
    """Cut what a fork starts from: the checkpoint of a step, and the effects done since.

    Raises:
        NothingWaiting: The run has no state yet.
        BadInput: There is no such step or checkpoint.
    """
    drive = _drive(run)
    request = as_object(raw or {}, what="a request")
    snapshot = _find(run, drive, request)
    chosen = str(_parts(snapshot.config)["checkpoint_id"])
    newest = str(_parts(drive.graph.get_state(_root(drive)).config)["checkpoint_id"])
    entries = run.saver.dump(until=None if chosen == newest else chosen)
    return {
        "agent": run.start.agent,
        "checkpoint": chosen,
        "superseded": chosen != newest,
        "step": _step(snapshot),
        "start": replace(run.start, carry=None).to_json(),
        "entries": write_entries(run, entries, what="a checkpoint"),
        "effects": [deed.to_json() for deed in run.ledger.after(chosen)],
    }


def check_change(run: Run, raw: Raw) -> None:
    """Refuse a change of the state that cannot be made now.

    Raises:
        RunBusy: A node is running.
        BadInput: The request lacks values, or names a node that is not there.
    """
    request = as_object(raw, what="a change of the state")
    drive = _drive(run)
    if not drive.waiting:
        raise RunBusy(
            "the run is between two waits: its state can be changed only while it waits for a "
            "person. Fork it instead, or wait"
        )
    if "values" not in request:
        raise BadInput("a change of the state needs 'values'")
    node = request.get("as_node")
    if node is not None and node not in drive.graph.nodes:
        known = ", ".join(name for name in drive.graph.nodes if not name.startswith("__"))
        raise BadInput(f"as_node={shorten(repr(node))}: the graph has {known}")


async def change_state(run: Run, raw: Raw) -> JsonObject:
    """Change the state as `graph.update_state` does; the run goes on from there.

    Raises:
        As `check_change`.
    """
    check_change(run, raw)
    request = as_object(raw, what="a change of the state")
    drive = _drive(run)
    values = run.host.codec.decode(request.get("values"))
    wanted = request.get("checkpoint")
    where = _root(drive) if wanted is None else _at(drive, str(wanted))
    change = cast("Raw", drive.graph.aupdate_state)
    written = await asyncio.shield(change(where, values, request.get("as_node")))
    drive.moved = True
    return {"checkpoint": _parts(written).get("checkpoint_id")}


def _drive(run: Run) -> Drive:
    if run.drive is None:
        raise NothingWaiting("the run has not begun yet; it has no state")
    return cast("Drive", run.drive)


def _root(drive: Drive) -> RunnableConfig:
    parts = {k: v for k, v in _parts(drive.where).items() if k not in _POINTERS}
    return {"configurable": parts}


_POINTERS = ("checkpoint_id", "checkpoint_ns")


def _at(drive: Drive, checkpoint: str) -> RunnableConfig:
    return {"configurable": {**_parts(_root(drive)), "checkpoint_id": checkpoint}}


def _parts(config: RunnableConfig) -> dict[str, Raw]:
    return config.get("configurable") or {}


def _find(run: Run, drive: Drive, request: Mapping[str, Json]) -> StateSnapshot:
    checkpoint, step = request.get("checkpoint"), request.get("step")
    if checkpoint is None and step is None:
        return drive.graph.get_state(_root(drive))
    known: list[str] = []
    for held in run.saver.list(_root(drive)):
        parts = _parts(held.config)
        if parts["checkpoint_ns"]:
            continue
        number = held.metadata.get("step")
        known.append(str(number))
        if parts["checkpoint_id"] == checkpoint or (checkpoint is None and number == step):
            return drive.graph.get_state(_at(drive, str(parts["checkpoint_id"])))
    what = f"checkpoint {checkpoint!r}" if checkpoint is not None else f"step {step!r}"
    raise BadInput(f"the run has no {what}; its steps are {', '.join(reversed(known)) or 'none'}")


def _step(snapshot: StateSnapshot) -> Json:
    return cast("Json", (snapshot.metadata or {}).get("step"))


def _describe(run: Run, snapshot: StateSnapshot) -> JsonObject:
    codec = run.host.codec
    parent = snapshot.parent_config
    metadata = cast("dict[str, Raw]", snapshot.metadata or {})
    tasks: list[Json] = [
        {
            "id": task.id,
            "name": task.name,
            "error": None if task.error is None else str(task.error),
            "interrupts": [
                {"id": one.id, "value": codec.encode(one.value, what="an interrupt")}
                for one in task.interrupts
            ],
        }
        for task in snapshot.tasks
    ]
    return {
        "values": codec.encode(snapshot.values, what="the state"),
        "next": list(snapshot.next),
        "checkpoint": _parts(snapshot.config).get("checkpoint_id"),
        "parent": None if parent is None else _parts(parent).get("checkpoint_id"),
        "step": _step(snapshot),
        "source": metadata.get("source"),
        "created_at": snapshot.created_at,
        "tasks": tasks,
    }
