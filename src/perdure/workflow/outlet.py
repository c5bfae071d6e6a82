"""What a run sends to the worker's sink, numbered the same on every replay. Workflow side."""

from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import cast
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import BaseMessage
from langchain_core.runnables.config import var_child_runnable_config
from temporalio import workflow

from perdure.core.frames import Frame, FrameKind, Live, can_be_live
from perdure.core.jsons import Json, JsonObject, Raw, plain
from perdure.core.ports import Host
from perdure.errors import Unserializable
from perdure.workflow.privates import message_stream

_MODEL_RUN: ContextVar[UUID | None] = ContextVar("perdure_model_run", default=None)
"""LangChain's id of the model call that is being made here."""

_TOLD_AGAIN = ("values", "checkpoints", "debug")


class Watch(BaseCallbackHandler):
    """Note which model call is being made, for the code of the call itself to see."""

    run_inline = True

    def on_chat_model_start(self, *_: Raw, run_id: UUID, **__: Raw) -> None:
        """Note the call; it goes on in the same context."""
        _MODEL_RUN.set(run_id)


@dataclass
class Outlet:
    """The frames of one run's graph."""

    number: int = 0
    calls: dict[str, str] = field(default_factory=dict[str, str])
    """By the id of a model's message: the call that it is from."""
    tools: int = 0
    again: dict[tuple[str, ...], list[str]] = field(
        default_factory=dict[tuple[str, ...], list[str]]
    )
    """By the path of a graph, what it tells once more where a new execution goes on."""
    written: dict[int, tuple[str, Raw]] = field(default_factory=dict[int, tuple[str, Raw]])
    """By identity: the call of a tool that wrote it to its stream, and told it already."""

    def go_on(self, namespaces: Iterable[str]) -> None:
        """Expect graphs to tell once more where they stand, as they do when they are resumed."""
        for one in namespaces:
            self.again[tuple(one.split("|")) if one else ()] = [*_TOLD_AGAIN]

    def _is_known(self, mode: str, ns: tuple[str, ...], part: Raw) -> bool:
        """Tell whether a part was told in the execution before."""
        due = self.again.get(ns)
        if not due or mode not in due:
            return False
        if mode == "debug" and cast("Mapping[str, Raw]", part).get("type") != "checkpoint":
            return False
        due.remove(mode)
        return True

    def live_tool(self, configurable: Mapping[str, Raw]) -> Live:
        """Say how a call of a tool tells what it writes to its stream."""
        self.tools += 1
        path = str(configurable.get("checkpoint_ns") or "")
        return Live(call=f"tool-{self.tools}", ns=tuple(path.split("|")[:-1]))

    def note_written(self, part: Raw, live: Live) -> None:
        """Note a part that a tool told while it ran and that the graph's stream tells again."""
        if can_be_live(part):
            self.written[id(part)] = (live.call, part)

    def send_part(self, host: Host, mode: str, ns: tuple[str, ...], part: Raw) -> None:
        """Send one part of a stream mode."""
        if self.again and self._is_known(mode, ns, part):
            return
        if mode == "messages":
            message, metadata = cast("tuple[BaseMessage, dict[str, Raw]]", part)
            call = self.calls.get(message.id or "", "")
            self.send(host, "message", mode=mode, ns=ns, call=call, body=(message, metadata))
            return
        call, _ = self.written.pop(id(part), ("", None)) if mode == "custom" else ("", None)
        self.send(host, "message" if call else "chunk", mode=mode, ns=ns, call=call, body=part)

    def send(
        self,
        host: Host,
        kind: FrameKind,
        *,
        mode: str = "",
        ns: tuple[str, ...] = (),
        call: str = "",
        body: Raw = None,
    ) -> None:
        """Send a frame; during a replay it is counted only."""
        number, self.number = self.number, self.number + 1
        if workflow.unsafe.is_replaying():
            return
        info = workflow.info()
        host.publish(
            Frame(
                run=info.workflow_id,
                execution=info.run_id,
                kind=kind,
                mode=mode,
                ns=ns,
                call=call,
                seq=number,
                data=_data(host, mode, body),
            )
        )


def _data(host: Host, mode: str, body: Raw) -> JsonObject:
    if mode == "messages":
        message, metadata = body
        return {"parts": [_json(host, message)], "metadata": plain(metadata)}
    return {"parts": [_json(host, body)]}


def _json(host: Host, value: Raw) -> Json:
    """Write a part; what has no JSON form is shown as text, since a stream is for looking at."""
    try:
        return host.codec.encode(value, what="a part of a stream")
    except Unserializable:
        return plain(value)


def live_of(call: str) -> Live | None:
    """Say how the model call that is being made here streams; None if nobody listens."""
    run_id = _MODEL_RUN.get()
    config = var_child_runnable_config.get()
    if run_id is None or config is None:
        return None
    found = message_stream(config.get("callbacks"), run_id)
    if found is None:
        return None
    ns, metadata = found
    return Live(call=call, ns=ns, metadata=cast("JsonObject", plain(metadata)))
