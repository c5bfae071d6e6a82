"""Threads: what a run starts from, and what it leaves to the next one. Workflow side."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import cast

from langgraph.pregel import Pregel
from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

from perdure.core.causes import words
from perdure.core.jsons import Json, JsonObject, Raw
from perdure.core.names import LOAD_THREAD_ACTIVITY, SAVE_THREAD_ACTIVITY, TURN_SIGNAL
from perdure.core.options import STORE_HEARTBEAT, STORE_RETRY
from perdure.core.wire import PAYLOAD_LIMIT, Checkpoints
from perdure.errors import PerdureError, StorageFailed, UsageError
from perdure.workflow.calls import retry_policy
from perdure.workflow.checkpoints import Entry
from perdure.workflow.current import Run
from perdure.workflow.entries import read_entries, write_entries
from perdure.workflow.packing import sent
from perdure.workflow.privates import move_clock

TIMEOUT = timedelta(seconds=60)
_DELTA = "counters_since_delta_snapshot"
_WHAT = "the state of the thread"


@dataclass
class Thread:
    """What a run knows of its thread; hangs on `Run.thread`."""

    turn: bool = False
    """The thread is this run's; before that it waits for the runs before it."""
    rollback: bool = False
    """What this run writes is to be dropped: another one takes its place."""
    base: list[Json] = field(default_factory=list[Json])
    """The checkpoints that the run found, encoded."""
    after: str = ""
    """The newest of them."""
    touched: list[Json] = field(default_factory=list[Json])
    """What the run wrote to checkpoints that it found."""

    def told(self, raw: Raw) -> None:
        """Take a word of the workflow that orders the thread's runs."""
        word = cast("Mapping[str, Raw]", raw).get("word") if isinstance(raw, Mapping) else None
        self.turn = self.turn or word == "go"
        self.rollback = self.rollback or word == "rollback"


async def load_thread(run: Run) -> None:
    """Wait for the thread to be free, and bring back what the last run on it left.

    Raises:
        StorageFailed: The worker's threads cannot be read.
        PayloadTooLarge: The state is larger than what can be carried.
    """
    thread = run.start.thread
    if thread is None:
        return
    if run.thread is not None:  # taken over from the execution before
        workflow.set_signal_handler(TURN_SIGNAL, cast("Thread", run.thread).told)
        return
    held = run.thread = Thread(turn=not run.start.turn)
    workflow.set_signal_handler(TURN_SIGNAL, held.told)
    await workflow.wait_condition(lambda: held.turn)
    request: JsonObject = {"thread": thread, "namespaces": _lasting(run)}
    answer = await _execute(LOAD_THREAD_ACTIVITY, request, summary=f"thread {thread}: load")
    held.base = cast("list[Json]", answer["entries"])
    entries = [
        _tidied(replace(entry, place=(thread, entry.place[1])))
        for entry in read_entries(run, cast("list[Raw]", held.base))
    ]
    run.saver.restore(entries)
    held.after = max((entry.checkpoint["id"] for entry in entries), default="")
    if held.after:
        move_clock(held.after)


async def save_thread(run: Run) -> None:
    """Write what came since the last time to the thread's saver.

    Once begun it is not cut off by a cancel of the run.

    Raises:
        StorageFailed: The worker's threads cannot be written.
        PayloadTooLarge: The state is larger than what can be carried.
    """
    held = cast("Thread | None", run.thread)
    if held is None or not held.turn:
        return
    task = asyncio.create_task(_save(run, held))
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await task
        raise


async def save_last(run: Run, error: BaseException) -> None:
    """Write how far a run got that ends with an error; a failure of it is noted on the error."""
    if not isinstance(error, Exception | asyncio.CancelledError):
        return  # the worker drops the run from memory; nothing ends here
    try:
        await save_thread(run)
    except PerdureError as failed:
        error.add_note(f"the thread was not saved: {failed}")
        workflow.logger.warning("the thread was not saved: %s", failed)


async def _save(run: Run, held: Thread) -> None:
    thread = str(run.start.thread)
    which = _which(run)
    if held.rollback:
        run.saver.unsaved(which)
        drop: JsonObject = {"after": held.after, "writes": held.touched, "base": held.base}
        request = _request(run, [])
        request["drop"] = drop
        await _save_part(run, request, summary=f"thread {thread}: put back")
        return
    entries = [entry for entry in run.saver.unsaved(which) if entry.place[0] == thread]
    for part in _parts(run, entries):
        request = _request(run, part)
        await _save_part(run, request, summary=f"thread {thread}: save")
    for entry in entries:
        if entry.checkpoint["id"] <= held.after:
            namespace, own = entry.place[1], entry.checkpoint["id"]
            held.touched.extend([namespace, own, w.task, w.index] for w in entry.writes)


async def _save_part(run: Run, request: JsonObject, *, summary: str) -> None:
    with sent(run, request, parts=("entries", "drop"), what=_WHAT) as data:
        await _execute(SAVE_THREAD_ACTIVITY, data, summary=summary)


def _request(run: Run, entries: list[Json]) -> JsonObject:
    return {
        "thread": run.start.thread,
        "run": workflow.info().workflow_id,
        "entries": entries,
    }


def _parts(run: Run, entries: list[Entry]) -> list[list[Json]]:
    """Write entries as JSON, as many together as one activity carries."""
    plain = [
        replace(entry, writes=tuple(replace(w, value=_plain(w.value)) for w in entry.writes))
        for entry in entries
    ]
    parts: list[list[Json]] = []
    size = PAYLOAD_LIMIT
    for entry, data in zip(plain, write_entries(run, plain, what=_WHAT), strict=True):
        written: Json = {**cast("JsonObject", data), "whole": entry.whole}
        needed = run.host.codec.size(written)
        if size + needed > PAYLOAD_LIMIT // 2:
            parts.append([])
            size = 0
        parts[-1].append(written)
        size += needed
    return parts


def _plain(value: Raw) -> Raw:
    """Show an exception as LangGraph's serializer does: nobody reads it back."""
    return repr(value) if isinstance(value, BaseException) else value


def _which(run: Run) -> Checkpoints:
    """Save every checkpoint if values of channels are spread over them."""
    newest = run.saver.dump()
    if any(_DELTA in cast("Mapping[str, Raw]", entry.metadata) for entry in newest):
        return "all"
    return run.start.checkpoints


def _lasting(run: Run) -> list[Json]:
    """List the namespaces of sub-graphs that remember between runs."""
    graph = cast("Pregel[Raw, Raw, Raw, Raw]", run.host.graph(run.start.agent))
    inner = cast("Iterable[tuple[str, Raw]]", graph.get_subgraphs(recurse=True))
    return [name for name, one in inner if one.checkpointer is True]


def _tidied(entry: Entry) -> Entry:
    """Write versions as texts: those of a run are, and LangGraph compares them."""
    checkpoint = entry.checkpoint
    versions: dict[str, Raw] = checkpoint["channel_versions"]
    if all(isinstance(version, str) for version in versions.values()):
        return entry
    seen: dict[str, dict[str, Raw]] = checkpoint["versions_seen"]
    parts: Raw = {
        **checkpoint,
        "channel_versions": {name: _text(one) for name, one in versions.items()},
        "versions_seen": {
            node: {name: _text(one) for name, one in held.items()} for node, held in seen.items()
        },
    }
    return replace(entry, checkpoint=parts)


def _text(version: Raw) -> str:
    return version if isinstance(version, str) else f"{int(version):032}.0"


async def _execute(activity: str, request: JsonObject, *, summary: str) -> Raw:
    try:
        return await workflow.execute_activity(
            activity,
            request,
            start_to_close_timeout=TIMEOUT,
            heartbeat_timeout=STORE_HEARTBEAT,
            retry_policy=retry_policy(STORE_RETRY),
            summary=summary[:190],
        )
    except ActivityError as error:
        if is_cancelled_exception(error):
            raise
        cause = error.cause
        if not isinstance(cause, ApplicationError):
            raise StorageFailed(f"{summary}: {words(cause or error)}") from error
        kinds = {kind.code: kind for kind in UsageError.__subclasses__()}
        raise kinds.get(cause.type or "", StorageFailed)(cause.message) from error
