"""Go on with a run's graph as plain LangGraph, until something comes that is the run's own to do.

Every reply and every result of a quick tool goes into a journal, which heartbeats carry: the next
attempt after a lost worker goes on with what the last one had. Effects, approvals, interrupts,
node activities and tools that are not quick end it; so does an error. Activity side.
"""

import asyncio
from collections import deque
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from time import monotonic
from typing import cast

from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
)
from langgraph.pregel import Pregel
from temporalio import activity

from perdure.activity.heartbeat import heartbeats
from perdure.activity.resolver import Resolver
from perdure.core.ahead import AHEAD, Journal, Kept, end_here, model_key, tool_key
from perdure.core.declared import Declaration
from perdure.core.jsons import Json, JsonObject, Raw
from perdure.core.names import AHEAD_ACTIVITY
from perdure.core.pieces import Held, hold
from perdure.core.ports import Codec
from perdure.core.wire import ModelReply

Graph = Pregel[Raw, Raw, Raw, Raw]
Ask = Callable[[str, float, Sequence[Raw], Mapping[str, Raw]], Awaitable[JsonObject]]
"""Make one request to a model; returns its reply as the run gets it."""
Perform = Callable[[Declaration, Raw, str | None], Awaitable[Json]]
"""Call a quick tool alone; None if it needs its graph, or failed."""
CALLS = 50
ROOM = 512 * 1024
"""Bytes of a journal, at most, about."""
LONGEST = timedelta(minutes=5)
STILL = timedelta(milliseconds=20)
"""A graph that waits and makes no call for so long goes no further."""
PAUSE = timedelta(milliseconds=300)
"""The journal is kept with a heartbeat this often; a lost worker costs what came since."""
ATTEMPT = 600.0


class AheadActivity:
    """The activity that runs ahead, with what it needs from the worker."""

    def __init__(
        self,
        *,
        graph: Callable[[str], object],
        codec: Codec,
        ask: Ask,
        perform: Perform,
        found: Callable[[], object],
        resolver: Resolver | None = None,
    ) -> None:
        self._graph = graph
        self._codec = codec
        self._ask = ask
        self._perform = perform
        self._found = found
        self._resolver = resolver or Resolver()

    @activity.defn(name=AHEAD_ACTIVITY)
    async def ahead(self, raw: Raw) -> Raw:
        """Run ahead; returns the journal.

        Never fails because of what the graph does: the run meets it again, and judges it.
        """
        async with heartbeats() as pulse:
            request = await self._resolver.grow(raw)
            kept = activity.info().heartbeat_details
            guide = Guide(
                codec=self._codec,
                ask=self._ask,
                perform=self._perform,
                found=self._found(),
                keep=None if request.get("whole") else pulse.keep,
                limits=cast("Mapping[str, float]", request.get("models") or {}),
                seal=self._resolver.shelf.seal,
                earlier=Journal.from_json(kept[0]) if kept else Journal(),
            )
            await guide.follow(self._start(request))
        data = guide.journal.to_json()
        self._resolver.shelf.learn(data)
        return data

    def _start(self, request: JsonObject) -> Coroutine[Raw, Raw, Raw]:
        agent = str(request["agent"])
        plain = cast("Graph", self._graph(agent))
        config = cast("RunnableConfig", self._codec.decode(request.get("config")) or {})
        thread = str((config.get("configurable") or {}).get("thread_id", ""))
        entries = cast("list[JsonObject]", request.get("entries") or [])
        graph = plain.copy({"checkpointer": Start(self._codec, entries, thread)})
        options: dict[str, Raw] = {}
        for name in ("before", "after"):
            nodes = cast("list[str]", request.get(name) or [])
            if nodes:
                options[f"interrupt_{name}"] = "*" if nodes == ["*"] else nodes
        if request.get("context") is not None:
            options["context"] = self._codec.decode(request["context"])
        call = cast("Raw", graph.ainvoke)
        return call(None, config, durability="exit", **options)


class Start(BaseCheckpointSaver[Raw]):
    """The checkpoints that a graph goes on from; what it writes on its way is not wanted."""

    def __init__(self, codec: Codec, entries: Sequence[JsonObject], thread: str) -> None:
        super().__init__()
        self._held = {str(entry["namespace"]): _tuple_of(codec, entry, thread) for entry in entries}

    def get_next_version(self, current: Raw, channel: None) -> Raw:  # noqa: ARG002
        """Count a version up, whatever form the run's has."""
        if isinstance(current, str):
            return f"{int(current.split('.')[0]) + 1:032}.0"
        return (current or 0) + 1

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Return the checkpoint of a namespace."""
        return self._held.get(str((config.get("configurable") or {}).get("checkpoint_ns", "")))

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Return the checkpoint of a namespace."""
        return self.get_tuple(config)

    def list(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Raw] | None = None,  # noqa: ARG002
        before: RunnableConfig | None = None,  # noqa: ARG002
        limit: int | None = None,  # noqa: ARG002
    ) -> Iterator[CheckpointTuple]:
        """Yield the checkpoint of a namespace."""
        found = None if config is None else self.get_tuple(config)
        yield from [found] if found is not None else []

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Raw] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """Yield the checkpoint of a namespace."""
        for found in self.list(config, filter=filter, before=before, limit=limit):
            yield found

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,  # noqa: ARG002
        metadata: CheckpointMetadata,  # noqa: ARG002
        new_versions: ChannelVersions,  # noqa: ARG002
    ) -> RunnableConfig:
        """Drop a checkpoint."""
        return config

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,  # noqa: ARG002
        metadata: CheckpointMetadata,  # noqa: ARG002
        new_versions: ChannelVersions,  # noqa: ARG002
    ) -> RunnableConfig:
        """Drop a checkpoint."""
        return config

    def put_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Raw]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        """Drop writes."""

    async def aput_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Raw]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        """Drop writes."""


def _tuple_of(codec: Codec, entry: JsonObject, thread: str) -> CheckpointTuple:
    checkpoint = cast("Raw", codec.decode(entry["checkpoint"]))
    namespace = entry["namespace"]
    own = {"thread_id": thread, "checkpoint_ns": namespace, "checkpoint_id": checkpoint["id"]}
    writes = cast("list[JsonObject]", entry.get("writes") or [])
    return CheckpointTuple(
        config={"configurable": own},
        checkpoint=checkpoint,
        metadata=cast("Raw", codec.decode(entry["metadata"])),
        parent_config=None,
        pending_writes=[
            (str(w["task"]), str(w["channel"]), codec.decode(w["value"])) for w in writes
        ],
    )


@dataclass(kw_only=True)
class Guide:
    """Makes the calls of a graph that runs ahead, and sees where it can go no further."""

    codec: Codec
    ask: Ask
    perform: Perform
    found: object
    keep: Callable[[Json], None] | None
    limits: Mapping[str, float]
    seal: bytes
    earlier: Journal
    journal: Journal = field(default_factory=Journal)
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)
    _halted: list[asyncio.Future[None]] = field(default_factory=list[asyncio.Future[None]])
    _stopped: bool = False
    _busy: int = 0
    _size: int = 0
    _moves: int = 0
    _kept: float = field(default_factory=monotonic)
    _began: float = field(default_factory=monotonic)
    _bodies: dict[int, tuple[Raw, Held]] = field(default_factory=dict[int, tuple[Raw, Held]])

    def __post_init__(self) -> None:
        self._models = _by_key(self.earlier.models)
        self._tools = _by_key(self.earlier.tools)

    async def follow(self, graph: Coroutine[Raw, Raw, Raw]) -> None:
        """Let the graph go as far as it can."""
        token = AHEAD.set(self)
        task = self._loop.create_task(graph)
        AHEAD.reset(token)
        try:
            while not task.done():
                moves = self._moves
                await asyncio.wait([task], timeout=STILL.total_seconds())
                still = not self._busy and moves == self._moves
                if still and (self._halted or self._stopped):
                    break
        finally:
            task.cancel()
            for waiting in self._halted:
                waiting.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await task

    async def model(self, name: str, messages: Sequence[Raw], options: Mapping[str, Raw]) -> Raw:
        """Call a model, and keep its reply; one with faults is the run's to mend."""
        if self._stopped or any(isinstance(value, type) for value in options.values()):
            return await self.halt()
        what = f"the call of model {name!r}"
        bodies: Json = [self._body(message, what) for message in messages]
        told = {k: v for k, v in options.items() if v is not None}
        key = model_key(name, bodies, self.codec.encode(told, what=what), seal=self.seal)
        reply = _next(self._models, key)
        if reply is None:
            if self._is_full():
                return await self.halt()
            reply = await self._guarded(
                self.ask(name, self.limits.get(name, ATTEMPT), messages, options)
            )
        if reply is None:
            return await self.halt()
        self._note(self.journal.models, Kept(key=key, value=reply, name=name))
        read = ModelReply.from_json(reply)
        if read.faults or read.servers:
            return await self.halt()
        return cast("AIMessage", self.codec.decode(read.message))

    async def tool(self, entry: Declaration, args: Raw, call_id: str | None) -> Raw:
        """Call a quick tool, and keep its result."""
        plain = entry.override.quick and not entry.effect and entry.approve is None
        if self._stopped or not plain:
            return await self.halt()
        written = self.codec.encode(args, what=f"arguments of tool {entry.name!r}")
        key = tool_key(entry.name, written, call_id, seal=self.seal)
        result = _next(self._tools, key)
        if result is None:
            result = await self._guarded(self.perform(entry, args, call_id))
        if result is None:
            return await self.halt()
        kept = Kept(key=key, value=result, name=entry.name, call_id=call_id)
        self._note(self.journal.tools, kept)
        return self.codec.decode(result)

    async def halt(self) -> Raw:
        """Wait for ever: what comes here is the run's own to do."""
        waiting: asyncio.Future[None] = self._loop.create_future()
        self._halted.append(waiting)
        return await waiting

    def stop(self) -> None:
        """Go no further anywhere in the graph."""
        self._stopped = True

    def wait(self, call: Coroutine[Raw, Raw, Raw]) -> Raw:
        """Wait for a call, on a thread that is not the loop's."""
        if _on_loop():
            call.close()
            end_here("a blocking call on the graph's own loop")
        return asyncio.run_coroutine_threadsafe(call, self._loop).result()

    def _body(self, message: Raw, what: str) -> Held:
        noted = self._bodies.get(id(message))
        if noted is None or noted[0] is not message:
            body = cast("JsonObject", self.codec.encode(message, what=what))
            noted = self._bodies[id(message)] = (message, hold(body, seal=self.seal))
        return noted[1]

    async def _guarded(self, call: Awaitable[Json]) -> Json:
        """Make a call; None if it fails, since the run makes it again and judges."""
        self._busy += 1
        token = AHEAD.set(None)  # what a tool calls itself is a part of its own call
        try:
            return await call
        except Exception as error:  # noqa: BLE001 - the same call is made again by the run
            activity.logger.info("running ahead ends at a call that failed: %s", error)
            return None
        finally:
            AHEAD.reset(token)
            self._busy -= 1
            self._moves += 1

    def _note(self, journal: list[Kept], kept: Kept) -> None:
        journal.append(kept)
        self._size += self.codec.size(kept.value)
        now = monotonic()
        if self.keep is not None and now - self._kept > PAUSE.total_seconds():
            self._kept = now
            self.keep(self.journal.to_json())

    def _is_full(self) -> bool:
        late = monotonic() - self._began > LONGEST.total_seconds()
        return late or len(self.journal.models) >= CALLS or self._size > ROOM


def _on_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _by_key(kept: list[Kept]) -> dict[str, deque[Json]]:
    held: dict[str, deque[Json]] = {}
    for one in kept:
        held.setdefault(one.key, deque[Json]()).append(one.value)
    return held


def _next(held: dict[str, deque[Json]], key: str) -> Json:
    values = held.get(key)
    return values.popleft() if values else None
