"""Read the stream of a run while it is under way: the frames of the sink, put together."""

import asyncio
from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from time import monotonic
from typing import Protocol

import temporalio.client
from temporalio.client import WorkflowFailureError
from temporalio.service import RPCError

from perdure.client.failures import Failure
from perdure.client.faults import translated
from perdure.client.payloads import decoder, for_run, uncover
from perdure.client.starting import check_stream
from perdure.client.timeline import Timeline
from perdure.core.frames import Frame, StreamSink
from perdure.core.jsons import Json, JsonObject
from perdure.core.merging import Merger, Part, Reset
from perdure.core.names import AGENT_WORKFLOW
from perdure.core.wire import STREAM_MODES, Status, run_input
from perdure.errors import BadInput, BadOption, PerdureError, ServerUnavailable, Unavailable

SHORTEST = timedelta(milliseconds=20)
LONGEST = timedelta(milliseconds=150)
"""The sink is looked at often while frames come, and more rarely while they do not."""
LAST_WITHIN = timedelta(seconds=1)
"""Frames that are still on their way when the run has ended come within this time, or never."""
_AGAIN = 1.0
_ROUND = 500


@dataclass(frozen=True, kw_only=True)
class End:
    """The run has ended; what it says itself, not its frames."""

    status: Status
    result: Json = None
    failure: Failure | None = None

    def to_json(self) -> JsonObject:
        """Write the end as JSON."""
        return {
            "type": "end",
            "status": self.status,
            "result": self.result,
            "failure": None if self.failure is None else self.failure.to_json(),
        }


Event = Part | Reset | End


class Streaming(Protocol):
    """A client that knows its server and where streams are."""

    @property
    def temporal(self) -> temporalio.client.Client:
        """Temporal's own client."""
        ...

    @property
    def target(self) -> str:
        """The server's name in error texts."""
        ...

    @property
    def sink(self) -> StreamSink | None:
        """Where the frames of runs are."""
        ...

    async def closing(self, run_id: str) -> Timeline:
        """Read how a run ended."""
        ...


class StreamCalls:
    """The part of the client that reads streams."""

    async def stream(
        self: Streaming,
        run_id: str,
        *,
        modes: Sequence[str] | str | None = None,
        after: str | None = None,
    ) -> AsyncGenerator[Event]:
        """Yield the parts of a run's stream as they come, and at last its `End`.

        `modes` are those that the run was started with, or some of them. A `Reset` says that
        the parts of one call are void, since the call is made again: what is left is never told
        twice. After a disconnect go on with `after=`, the id of the last event. If the frames
        up to there are gone, what is left is told, with a `Reset` where parts are missing.

        Raises:
            BadInput: The run was not started with that mode, or `after` is no event's id.
            BadOption: The client does not know where the streams are.
            RunNotFound: There is no such run.
            Unavailable: The streams cannot be read.
        """
        if self.sink is None:
            raise BadOption(
                "this client does not know where the streams are; give it the sink that the "
                "workers write to: perdure.client.connect(sink=open_sink('sqlite:PATH'))"
            )
        chosen = check_modes(await started_with(self, run_id), modes, run_id)
        reader = Reader(sink=self.sink, run_id=run_id, after=after)
        await reader.check()
        closed = asyncio.create_task(_wait_closed(self, run_id))
        try:
            async for event in reader.follow(closed):
                if event.mode in chosen:
                    yield event
        finally:
            closed.cancel()
        line = await self.closing(run_id)
        yield End(status=line.status, result=line.result, failure=line.failure)


def check_modes(
    started: tuple[str, ...], modes: Sequence[str] | str | None, run_id: str
) -> tuple[str, ...]:
    """Return the modes to read.

    Raises:
        BadInput: One is no mode, or the run was not started with it; the text says how to.
    """
    chosen = started if modes is None else check_stream(modes)
    if modes is not None and not chosen:
        raise BadInput(f"modes={modes!r}: choose of {', '.join(STREAM_MODES)}")
    missing = [mode for mode in chosen if mode not in started]
    if chosen and not missing:
        return chosen
    names = missing or ["messages"]
    told = f"only {', '.join(started)}" if started else "nothing"
    raise BadInput(
        f"run {run_id!r} streams {told}, not {', '.join(names)}: a run streams what it was "
        f"started with. Start it with client.start(..., stream={names!r}) or "
        "`perdure run --stream`"
    )


async def started_with(client: Streaming, run_id: str) -> tuple[str, ...]:
    """Return the stream modes that a run was started with."""
    handle = client.temporal.get_workflow_handle(run_id)
    converter = for_run(client.temporal, run_id)
    with translated(target=client.target, run_id=run_id):
        async for event in handle.fetch_history_events(page_size=1):
            await uncover(converter, [event])
            start = event.workflow_execution_started_event_attributes
            if start.workflow_type.name != AGENT_WORKFLOW:
                return ()
            payloads = start.input.payloads
            value = decoder(converter)(payloads[0]) if payloads else None
            try:
                return run_input(value).stream
            except PerdureError:
                return ()  # a run that cannot begin streams nothing
    return ()


async def _wait_closed(client: Streaming, run_id: str) -> None:
    """Wait until the run has ended, however; through restarts of the server."""
    while True:
        try:
            with translated(target=client.target, run_id=run_id):
                await client.temporal.get_workflow_handle(run_id).result()
        except WorkflowFailureError:
            return
        except (ServerUnavailable, RPCError):
            await asyncio.sleep(_AGAIN)
        else:
            return


@dataclass
class Reader:
    """Reads the frames of one run in order.

    After a disconnect it reads from the beginning, so as to know what the person saw, and
    keeps still until it comes to the place.
    """

    sink: StreamSink
    run_id: str
    after: str | None
    place: str | None = None
    merger: Merger = field(default_factory=Merger)

    async def check(self) -> None:
        """Make sure that the place to go on from can be one.

        Raises:
            BadInput: It is none.
        """
        if self.after is None:
            return
        frame, colon, part = self.after.partition(":")
        _number(frame, self.after)
        if colon and not part.isdigit():
            raise _no_place(self.after)
        self.merger.resumed = True
        try:
            await asyncio.to_thread(self.sink.read, self.run_id, after=frame, limit=1)
        except BadInput:
            self.after = None  # those frames are gone, and what is there now came after them

    def events(self, frame: Frame) -> Iterator[Part | Reset]:
        """Yield what is new because of a frame, without what the reader had before."""
        events = self.merger.feed(frame)
        if self.after is None:
            yield from events
            return
        last, _, had = self.after.partition(":")
        number, wanted = _number(frame.id, frame.id), _number(last, self.after)
        for event in events:
            part = event.id.partition(":")[2]
            if number > wanted or (number == wanted and had and (not part or int(part) > int(had))):
                yield event

    async def follow(self, closed: "asyncio.Task[None]") -> AsyncGenerator[Part | Reset]:
        """Yield what comes until the run has ended and all of it was read."""
        pause = SHORTEST.total_seconds()
        deadline: float | None = None
        while True:
            over = closed.done()
            if over:
                closed.result()
            frames = await self._next()
            for frame in frames:
                self.place = frame.id
                for event in self.events(frame):
                    yield event
            if frames:
                pause = SHORTEST.total_seconds()
                continue
            if over:
                deadline = deadline or monotonic() + LAST_WITHIN.total_seconds()
                if self.merger.ended or monotonic() >= deadline:
                    return
                await asyncio.sleep(SHORTEST.total_seconds())
            else:
                await asyncio.wait([closed], timeout=pause)
                pause = min(1.5 * pause, LONGEST.total_seconds())

    async def _next(self) -> Sequence[Frame]:
        for _ in range(3):
            try:
                return await self._read()
            except Unavailable:
                await asyncio.sleep(_AGAIN / 4)
        return await self._read()

    async def _read(self) -> Sequence[Frame]:
        try:
            return await asyncio.to_thread(
                self.sink.read, self.run_id, after=self.place, limit=_ROUND
            )
        except BadInput:
            if self.place is None:
                raise
        # The file was deleted while it was read, and begun anew: all of it is new.
        self.place = self.after = None
        self.merger.resumed = True
        return await asyncio.to_thread(self.sink.read, self.run_id, limit=_ROUND)


def _number(frame: str, told: str) -> int:
    number = frame.rpartition(".")[2]
    if not number.isdigit():
        raise _no_place(told)
    return int(number)


def _no_place(told: str) -> BadInput:
    return BadInput(f"after={told!r}: give the id of an event of this stream")
