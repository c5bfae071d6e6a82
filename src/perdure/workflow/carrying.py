"""What one execution of a run hands to the next, as JSON. Workflow side."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import cast

from perdure.core.continuing import VERSION, items, part, unpack
from perdure.core.jsons import Json, JsonObject, Raw
from perdure.core.toolservers import ServerTool, ToolCard
from perdure.workflow.checkpoints import Entry, Place
from perdure.workflow.current import Run
from perdure.workflow.deskcarry import dump_desk, restore_desk
from perdure.workflow.entries import read_entries, write_entries
from perdure.workflow.family import Child
from perdure.workflow.interrupting import Held, is_inside
from perdure.workflow.privates import move_clock
from perdure.workflow.threads import Thread

HISTORY = 20
"""Earlier checkpoints that go along, for `state_history` and forks."""
HISTORY_BYTES = 200_000
CHILDREN = 20
"""Sub-agents that ended, of those that go along for `status`."""
_WHAT = "what the run takes along"


def write_carry(run: Run, *, thread: str) -> JsonObject:
    """Write what the next execution of a run takes over.

    Raises:
        Unserializable: A part of the state has no JSON form.
    """
    drive = run.drive
    entries = _open_entries(run, thread)
    oldest = min((entry.checkpoint["id"] for entry in entries if not entry.place[1]), default="")
    return {
        "version": VERSION,
        "executions": run.executions,
        "entries": write_entries(run, entries, what=_WHAT),
        "counts": {
            "model_calls": run.turns,
            "tool_calls": run.tool_calls,
            "tokens": dict[str, Json](run.tokens),
            "versions": run.saver.count,
            "frames": run.outlet.number,
            "streams": run.outlet.tools,
            "again": _again(run),
        },
        "desk": dump_desk(run.desk),
        "drive": {} if drive is None else drive.dump(),
        "journal": [] if drive is not None and drive.rests else run.journal.dump(),
        "held": _held(run),
        "effects": [deed.to_json() for deed in run.ledger.after(oldest)],
        "inherited": [deed.to_json() for deed in run.ledger.inherited],
        "family": _family(run),
        "tools": _tools(run),
        "quick": _quick(run),
        "cache": run.cache.dump(run.codec),
        "thread": _thread(run),
    }


def restore_carry(run: Run, *, thread: str) -> None:
    """Take over what the execution before left.

    Raises:
        BadInput: The carry cannot be read.
        Unserializable: It has a type that this worker does not know.
    """
    carry = unpack(run.start.carry)
    entries = [
        replace(entry, place=(thread, entry.place[1]))
        for entry in read_entries(run, items(carry, "entries"))
    ]
    run.saver.restore(entries)
    if entries:
        move_clock(max(entry.checkpoint["id"] for entry in entries))
    _restore_counts(run, part(carry, "counts"))
    run.executions = int(cast("int", carry.get("executions") or 1)) + 1
    restore_desk(run.desk, part(carry, "desk"))
    run.resumes = part(carry, "drive")
    run.journal.restore(items(carry, "journal"))
    for raw in items(carry, "held"):
        what = (str(raw["tool"]), str(raw["same"]))
        held = Held(key=raw["key"], questions=list(raw["questions"]))
        run.pauses.held[str(raw["at"]), (what, int(raw["number"]))] = held
    run.ledger.deeds = run.ledger.read(items(carry, "effects"))
    run.ledger.inherit(items(carry, "inherited"))
    _restore_family(run, part(carry, "family"))
    _restore_tools(run, part(carry, "tools"))
    _restore_quick(run, part(carry, "quick"))
    run.cache.restore(run.codec, items(carry, "cache"))
    told = part(carry, "thread")
    if told:
        run.thread = Thread(
            turn=told.get("turn") is True,
            rollback=told.get("rollback") is True,
            base=items(told, "base"),
            after=str(told.get("after") or ""),
            touched=items(told, "touched"),
        )


def close_places(run: Run, place: Place) -> None:
    """Drop what the tasks of a super-step left inside, now that it is complete."""
    for inner in run.saver.places:
        if inner[0] == place[0] and _passes(inner[1]) and is_inside(inner[1], place[1]):
            run.saver.forget(inner)


def _passes(namespace: str) -> bool:
    """Tell whether a namespace is of one task only; others are those of graphs that remember."""
    parts = [one for one in namespace.split("|") if not one.isdigit()]
    return all(":" in one for one in parts)


def _open_entries(run: Run, thread: str) -> list[Entry]:
    newest = {(entry.place, entry.checkpoint["id"]): entry for entry in run.saver.dump()}
    size = 0
    entries: list[Entry] = []
    for number, entry in enumerate(run.saver.earlier((thread, ""))):
        if number >= HISTORY or (entry.place, entry.checkpoint["id"]) in newest:
            break
        size += run.host.codec.size(write_entries(run, [entry], what=_WHAT))
        if size > HISTORY_BYTES:
            break
        entries.append(entry)
    return [*reversed(entries), *newest.values()]


def _again(run: Run) -> JsonObject:
    """Count what the nodes of the open super-steps will count once more."""
    again = dict(run.again)
    if not (run.drive is not None and run.drive.rests):
        for _, kind in run.journal.begun:
            again[kind] = again.get(kind, 0) + 1
    return dict[str, Json](again)


def _restore_counts(run: Run, counts: Mapping[str, Json]) -> None:
    def count(name: str) -> int:
        return int(cast("int", counts.get(name) or 0))

    run.turns, run.tool_calls = count("model_calls"), count("tool_calls")
    run.tokens = cast("dict[str, int]", part(counts, "tokens"))
    run.saver.count = count("versions")
    run.outlet.number, run.outlet.tools = count("frames"), count("streams")
    run.again = cast("dict[str, int]", part(counts, "again"))


def _held(run: Run) -> list[Json]:
    """Write what calls asked whose nodes start again when it is answered."""
    return list(_held_questions(run))


def _held_questions(run: Run) -> Iterator[JsonObject]:
    for key, held in run.pauses.held.items():
        namespace, ((tool, same), number) = cast("Raw", key)
        yield {
            "at": namespace,
            "tool": tool,
            "same": same,
            "number": number,
            "key": held.key,
            "questions": [*held.questions],
        }


def _family(run: Run) -> JsonObject:
    family = run.family
    children = [child for child in family.children.values() if child.status != "running"]
    return {
        "started": family.started,
        "totals": dict[str, Json](family.totals),
        "tokens": dict[str, Json](family.tokens),
        "children": [child.to_json() for child in children[-CHILDREN:]],
    }


def _restore_family(run: Run, told: Mapping[str, Json]) -> None:
    family = run.family
    family.started = int(cast("int", told.get("started") or 0))
    family.totals = cast("dict[str, int]", part(told, "totals"))
    family.tokens = cast("dict[str, int]", part(told, "tokens"))
    for raw in items(told, "children"):
        child = Child(id=str(raw["run"]), agent=str(raw["agent"]), status=str(raw["status"]))
        family.children[child.id] = child


def _tools(run: Run) -> JsonObject:
    lists = run.tool_lists
    return {
        "cards": {name: [card.to_json() for card in cards] for name, cards in lists.cards.items()},
        "called": {name: tool.to_json() for name, tool in lists.called.items()},
    }


def _restore_tools(run: Run, told: Mapping[str, Json]) -> None:
    for name, cards in part(told, "cards").items():
        run.tool_lists.cards[name] = tuple(
            ToolCard.from_json(card) for card in cast("list[Json]", cards)
        )
    for name, tool in part(told, "called").items():
        run.tool_lists.called[name] = ServerTool.from_json(tool)


def _quick(run: Run) -> JsonObject:
    known = run.quick.known
    return {
        "known": [[call_id, name, is_quick] for (call_id, name), is_quick in known.items()],
        "slow": [*run.quick.slow],
    }


def _restore_quick(run: Run, told: Mapping[str, Json]) -> None:
    for call_id, name, is_quick in items(told, "known"):
        run.quick.known[str(call_id), str(name)] = is_quick is True
    for name in items(told, "slow"):
        run.quick.slow[str(name)] = None


def _thread(run: Run) -> JsonObject | None:
    held = cast("Thread | None", run.thread)
    if held is None:
        return None
    return {
        "turn": held.turn,
        "rollback": held.rollback,
        "base": held.base,
        "after": held.after,
        "touched": held.touched,
    }
