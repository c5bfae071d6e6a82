"""Where frames of a stream rest for a while: in this process, or in a file for many.

A sink never makes a run wait or fail. What cannot be written is lost, with one warning.
"""

import logging
import queue
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from time import monotonic
from uuid import uuid4

from perdure.core.frames import Frame, StreamSink
from perdure.core.jsons import shorten
from perdure.errors import BadInput, BadOption, PerdureError
from perdure.storage.framefile import FrameFile

KEEP_FOR = timedelta(hours=24)
KEEP_BYTES = 256_000_000
WAITING = 20_000
"""Frames that may wait to be written; more are lost."""
OFF = "off"
_MEMORY, _SQLITE = "memory:", "sqlite:"
_ROUND = 500
log = logging.getLogger("perdure.stream")


def open_sink(url: str) -> StreamSink | None:
    """Open a sink by its URL; None for "off".

    "sqlite:PATH" (or a path that ends with .db) is a file that all processes of one machine
    share, "memory:" is for this process only.

    Raises:
        BadOption: The URL is none of these.
    """
    if url == OFF:
        return None
    if url == _MEMORY:
        return MemorySink()
    path = url.removeprefix(_SQLITE)
    if path and (path != url or path.endswith(".db")):
        return FileSink(Path(path))
    raise BadOption(
        f"stream={shorten(repr(url))}: write sqlite:PATH for a file, memory: for this process "
        "only, or off"
    )


class MemorySink:
    """Frames of this process, for tests and for an app that reads its own streams."""

    def __init__(self, *, most: int = WAITING) -> None:
        self._name = uuid4().hex[:8]
        self._lock = threading.Lock()
        self._frames: deque[tuple[int, Frame]] = deque(maxlen=most)
        self._count = 0

    def open(self) -> None:
        """Do nothing: it is ready."""

    def publish(self, frame: Frame) -> None:
        """Keep a frame; the oldest one goes when there are too many."""
        with self._lock:
            self._count += 1
            self._frames.append((self._count, frame))

    def flush(self, within: timedelta) -> bool:  # noqa: ARG002 - nothing waits here
        """Return at once."""
        return True

    def read(self, run: str, *, after: str | None = None, limit: int = 500) -> Sequence[Frame]:
        """Return the next frames of a run.

        Raises:
            BadInput: `after` is no id of this sink.
        """
        place = parse_id(after, self._name)
        with self._lock:
            found = [(n, f) for n, f in self._frames if n > place and f.run == run][:limit]
        return [with_id(frame, self._name, number) for number, frame in found]

    def close(self) -> None:
        """Do nothing: there is nothing to let go of."""


def parse_id(after: str | None, name: str) -> int:
    """Return the place in a sink that a frame's id names; 0 for the beginning.

    Raises:
        BadInput: The id is from another sink, or none at all.
    """
    if after is None:
        return 0
    sink, _, number = after.partition(".")
    if sink != name or not number.isdigit():
        raise BadInput(
            f"frame id {shorten(repr(after), 60)} is none of this stream's; "
            "leave it out to read from the beginning"
        )
    return int(number)


def with_id(frame: Frame, name: str, number: int) -> Frame:
    """Return the frame under its id in a sink."""
    return replace(frame, id=f"{name}.{number}")


class FileSink:
    """Frames in one SQLite file (WAL), for all processes of one machine.

    A thread of its own writes; publishing only hands over. Old frames are deleted by age and
    when the file grows too large. A torn or locked file, a full disk or a folder that may not
    be written cost frames, never a run.
    """

    def __init__(
        self,
        path: Path,
        *,
        keep_for: timedelta = KEEP_FOR,
        keep_bytes: int = KEEP_BYTES,
        waiting: int = WAITING,
    ) -> None:
        self.path = path
        self._file = FrameFile(path, keep_for=keep_for, keep_bytes=keep_bytes)
        self._reading = FrameFile(path, keep_for=keep_for, keep_bytes=keep_bytes)
        self._queue: queue.Queue[Frame | threading.Event] = queue.Queue(maxsize=waiting)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._warned = False

    def open(self) -> None:
        """Start the writing thread; a run may not, so a worker does it before any run."""
        with self._lock:
            if self._thread is None and not self._closed:
                thread = threading.Thread(target=self._write, name="perdure-stream", daemon=True)
                thread.start()
                self._thread = thread

    def publish(self, frame: Frame) -> None:
        """Hand a frame to the writing thread; lost if it cannot keep up."""
        if self._closed:
            return
        try:
            if self._thread is None:
                self.open()
            self._queue.put_nowait(frame)
        except queue.Full:
            self._warn(f"more than {self._queue.maxsize} frames wait to be written")
        except (RuntimeError, PerdureError) as error:
            self._warn(str(error))  # a thread cannot be started here and now

    def flush(self, within: timedelta) -> bool:
        """Wait until what was published is in the file, or lost for good."""
        if self._thread is None or self._closed:
            return True
        end = monotonic() + within.total_seconds()
        done = threading.Event()
        try:
            self._queue.put(done, timeout=within.total_seconds())
        except queue.Full:
            return False
        return done.wait(max(end - monotonic(), 0))

    def read(self, run: str, *, after: str | None = None, limit: int = 500) -> Sequence[Frame]:
        """Return the next frames of a run.

        Raises:
            BadInput: `after` is no id of this file.
            Unavailable: The file is there but cannot be read.
        """
        with self._lock:
            name = self._reading.name()
            if name is None:
                return []
            rows = self._reading.read(run, after=parse_id(after, name), limit=limit)
        found: list[Frame] = []
        for number, text in rows:
            frame = FrameFile.parse(text)
            if frame is not None:
                found.append(with_id(frame, name, number))
        return found

    def close(self) -> None:
        """Write what waits, for two seconds at most, and close the file."""
        if self._closed:
            return
        self.flush(timedelta(seconds=2))
        self._closed = True
        thread = self._thread
        if thread is not None:
            stop = threading.Event()
            stop.set()
            try:
                self._queue.put_nowait(stop)
            except queue.Full:
                return
            thread.join(2)
        with self._lock:
            self._reading.close()

    def _write(self) -> None:
        """Write whatever waits in one transaction, again and again."""
        while True:
            batch = [self._queue.get()]
            while len(batch) < _ROUND:
                try:
                    batch.append(self._queue.get_nowait())
                except queue.Empty:
                    break
            frames = [one for one in batch if isinstance(one, Frame)]
            if frames:
                problem = self._file.write(frames)
                if problem is not None:
                    self._warn(problem)
            for one in batch:
                if isinstance(one, threading.Event):
                    one.set()
            if self._closed and self._queue.empty():
                self._file.close()
                return

    def _warn(self, problem: str) -> None:
        if not self._warned:
            self._warned = True
            log.warning(
                "parts of streams are lost: %s: %s. Runs are not affected; this is said once",
                self.path,
                problem,
            )
