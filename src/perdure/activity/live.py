"""Tell what an activity does while it does it: frames beside the run's history. Activity side."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

from langchain_core.messages import AIMessageChunk
from temporalio import activity

from perdure.core.frames import Frame, FrameKind, Live, StreamSink
from perdure.core.jsons import Json, JsonObject
from perdure.core.ports import Codec
from perdure.errors import Unserializable

PAUSE = timedelta(milliseconds=60)
"""Parts that come faster than this share a frame; the first one goes at once."""
FLUSH_WITHIN = timedelta(milliseconds=300)
"""A call waits no longer for its last parts to be readable before the run goes on."""


class Speaker:
    """The frames of one attempt of a call.

    A reset goes first unless the attempt is the first of its call, so that a reader drops what
    an earlier one told.
    """

    def __init__(self, *, sink: StreamSink, codec: Codec, live: Live, mode: str) -> None:
        self._sink = sink
        self._codec = codec
        self._live = live
        self._mode = mode
        self._info = activity.info()
        self._number = 0
        self._held: list[Json] = []
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        if self._info.attempt > 1 or live.repair > 0:
            self._publish("reset")

    def say(self, part: object) -> None:
        """Tell one part: a chunk of a message, or what a tool wrote to its stream."""
        try:
            self._held.append(self._codec.encode(part, what="a part of a stream"))
        except Unserializable:
            self._number += 1  # the gap tells readers to take the whole from the run
            return
        if self._timer is None:
            self._send()
            self._timer = self._loop.call_later(PAUSE.total_seconds(), self._wake)

    def say_from_anywhere(self, part: object) -> None:
        """Tell one part from any thread; in the order of telling."""
        self._loop.call_soon_threadsafe(self.say, part)

    async def finish(self) -> None:
        """Tell the rest and that it was the last; for an attempt that came to its end."""
        await asyncio.sleep(0)  # what other threads said is told first
        self.stop()
        self._send()
        self._publish("end")
        await asyncio.to_thread(self._sink.flush, FLUSH_WITHIN)

    def stop(self) -> None:
        """Tell nothing more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wake(self) -> None:
        self._timer = None
        if self._held:
            self._send()
            self._timer = self._loop.call_later(PAUSE.total_seconds(), self._wake)

    def _send(self) -> None:
        if not self._held:
            return
        data: JsonObject = {"parts": self._held}
        if self._live.metadata:
            data["metadata"] = dict(self._live.metadata)
        self._held = []
        self._publish("chunk", data)
        self._number += 1

    def _publish(self, kind: FrameKind, data: JsonObject | None = None) -> None:
        info, live = self._info, self._live
        self._sink.publish(
            Frame(
                run=info.workflow_id or "",
                execution=info.workflow_run_id or "",
                kind=kind,
                mode=self._mode,
                ns=live.ns,
                data=data,
                activity=info.activity_id,
                call=live.call,
                repair=live.repair,
                attempt=info.attempt,
                seq=self._number,
            )
        )


class Listeners:
    """Who gets the chunks of one attempt of a model call: readers, and the reply itself.

    As a context manager: what it was told is final when the block is left without an error.
    """

    def __init__(self, *, speaker: Speaker | None, keep: bool) -> None:
        self._speaker = speaker
        self._kept: list[AIMessageChunk] | None = [] if keep else None

    @property
    def tell(self) -> Callable[[AIMessageChunk], None] | None:
        """What takes a chunk; None if nobody listens."""
        if self._speaker is None and self._kept is None:
            return None
        return self._tell

    def _tell(self, chunk: AIMessageChunk) -> None:
        if self._speaker is not None:
            self._speaker.say(chunk)
        if self._kept is not None:
            self._kept.append(chunk)

    def chunks(self, codec: Codec, what: str) -> tuple[Json, ...]:
        """Write the chunks for the reply; empty unless they were asked for."""
        return tuple(codec.encode(chunk, what=what) for chunk in self._kept or ())

    async def __aenter__(self) -> None:
        """Begin to listen."""

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Say that it was all, or nothing more after an error."""
        if self._speaker is None:
            return
        if kind is None:
            await self._speaker.finish()
        else:
            self._speaker.stop()
