"""Read lines from a person or a pipe, and Ctrl-C, without ever blocking."""

import asyncio
import os
import signal
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import Self

import typer

from perdure.cli.output import err

_CHUNK = 65536


class Keyboard:
    """Standard input by lines. A context manager: it takes Ctrl-C while it is open."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque()
        self._rest = b""
        self._ended = False
        self._news = asyncio.Event()
        self._cancel: Callable[[], Awaitable[None]] | None = None
        self._cancelling: asyncio.Task[None] | None = None
        self._warned = False
        self.left = asyncio.Event()
        """The person wants to leave."""

    def __enter__(self) -> Self:
        """Begin to listen."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, self._interrupted)
        try:
            loop.add_reader(sys.stdin.fileno(), self._read)
        except (OSError, ValueError):
            self._read_all()  # a file, or no descriptor: all of it is there already
        return self

    def __exit__(self, *_: object) -> None:
        """Stop listening."""
        loop = asyncio.get_running_loop()
        loop.remove_signal_handler(signal.SIGINT)
        try:
            loop.remove_reader(sys.stdin.fileno())
        except (OSError, ValueError):
            return

    async def ask(self, prompt: str) -> str | None:
        """Return the next line; None at the end of input, or when the person leaves."""
        if sys.stdin.isatty():
            typer.echo(prompt, nl=False, err=not sys.stdout.isatty())
        while not self._lines and not self._ended and not self.left.is_set():
            self._news.clear()
            await self._news.wait()
        self._warned = False
        if self.left.is_set() or not self._lines:
            if sys.stdin.isatty():
                typer.echo(err=not sys.stdout.isatty())  # behind the prompt
            return None
        return self._lines.popleft()

    @contextmanager
    def on_interrupt(self, cancel: Callable[[], Awaitable[None]]) -> Generator[None]:
        """Let the first Ctrl-C of the block cancel what is under way, the second one leave."""
        self._cancel, self._cancelling = cancel, None
        try:
            yield
        finally:
            self._cancel = None
            if self._cancelling is not None and self.left.is_set():
                self._cancelling.cancel()

    def _interrupted(self) -> None:
        if self._cancel is not None and self._cancelling is None:
            self._cancelling = asyncio.ensure_future(self._cancel())
        elif self._cancel is None and not self._warned:
            self._warned = True
            err("\nCtrl-C again leaves")
        else:
            if self._cancel is not None:
                err("")  # behind the words of the turn
            self.left.set()
        self._news.set()

    def _read(self) -> None:
        try:
            data = os.read(sys.stdin.fileno(), _CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""  # the terminal was closed
        self._take(data)
        if not data:
            asyncio.get_running_loop().remove_reader(sys.stdin.fileno())

    def _read_all(self) -> None:
        self._take(sys.stdin.read().encode("utf-8", "surrogateescape"))
        self._take(b"")

    def _take(self, data: bytes) -> None:
        self._rest += data
        *lines, self._rest = self._rest.split(b"\n")
        if not data:
            self._ended = True
            lines += [self._rest] if self._rest else []
            self._rest = b""
        self._lines += [line.decode("utf-8", "replace").rstrip("\r") for line in lines]
        self._news.set()
