"""Show a run's stream on a terminal, or as plain text; no text twice."""

import asyncio
import shutil
import sys
import unicodedata
from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import cast

import typer

from perdure.cli.lines import Change
from perdure.cli.output import clean, err, one_line
from perdure.client import Client, End, Part, Reset
from perdure.core.jsons import Json, JsonObject
from perdure.core.merging import text_of
from perdure.storage.sinks import FileSink

_SPEAKERS = ("ai", "AIMessageChunk")
_LONGEST = 100
_PATIENCE = 3
"""Parts in a row of other calls after which the text that is being shown is over: two that are
told at once alternate."""
_LAST_WORDS = 2.0
"""Seconds to wait for the last words of a run that has ended, or waits."""


class Screen:
    """What a person sees of one turn.

    On a terminal text appears as it comes, and what a reset voids is wiped away. Elsewhere a
    text is printed when it is final.
    """

    def __init__(self, *, terminal: bool, err: bool = False, calls: bool = True) -> None:
        self._terminal = terminal
        self._calls = calls
        """Whether calls of tools are shown."""
        self._err = err
        self._texts: dict[str, str] = {}
        self._shown: dict[str, int] = {}
        """How much of a text is on the terminal."""
        self._open = ""
        """The call whose text the cursor stands behind."""
        self._since = 0
        """Where in that text the line began."""
        self._others = 0
        """Parts in a row that were of other calls."""
        self._asides: dict[int, str] = {}
        self._told: set[tuple[str, str]] = set()
        """Calls and results that were shown: a node may return the whole conversation."""
        self.spoken = False
        """Whether the run said anything."""
        self._waiting: list[Part | Reset] | None = None
        """What came while a person was asked."""

    @contextmanager
    def held(self) -> Generator[None]:
        """Show nothing new while a person is asked; it comes when the block is left."""
        self.settle()
        self._waiting = []
        try:
            yield
        finally:
            waited, self._waiting = self._waiting, None
            for event in waited:
                self.show(event)

    def begin(self) -> None:
        """Begin a turn."""
        self._texts, self._shown, self._open, self.spoken = {}, {}, "", False

    def show(self, event: Part | Reset) -> None:
        """Show what is new."""
        if self._waiting is not None:
            self._waiting.append(event)
        elif isinstance(event, Reset):
            self._wipe(event.call)
        elif event.mode == "messages":
            self._speak(event)
        elif event.mode == "updates":
            self.settle()
            for told in told_by(event.data) if self._calls else ():
                if told not in self._told:
                    self._told.add(told)
                    self._write(told[1])

    def tell(self, change: Change) -> None:
        """Print what happened in the run when the text that is being said is over.

        That a call began is not told: its words do that.
        """
        if change.data.get("outcome") in ("running", "waiting"):
            return
        if self._open or (self._texts and not self._terminal):
            self._asides[change.entry] = f"  {change.text}"
        else:
            self.line(f"  {change.text}")

    def line(self, text: str) -> None:
        """Print a line of its own, after what was said so far."""
        self.settle()
        self._write(text)

    def settle(self) -> None:
        """End the line that is being written; nothing of it is taken back from now on."""
        if self._terminal:
            self._end_line()
            while self._open_next():
                self._end_line()
        else:
            for text in self._texts.values():
                self._write(clean(text.strip("\n")))
            self._texts = {}
        self._tell_asides()

    def _end_line(self) -> None:
        if self._open:
            self._write()
        self._open = ""

    def _open_next(self) -> bool:
        """Show what is not shown yet of the first text that waits."""
        waiting = (key for key, text in self._texts.items() if len(text) > self._shown.get(key, 0))
        key = next(waiting, "")
        if key:
            self._open, self._since, self._others = key, self._shown.get(key, 0), 0
            self._catch_up()
        return bool(key)

    def _catch_up(self) -> None:
        text = self._texts[self._open]
        self._write(clean(text[self._shown.get(self._open, 0) :]), newline=False)
        self._shown[self._open] = len(text)

    def _tell_asides(self) -> None:
        asides, self._asides = self._asides, {}
        for text in asides.values():
            self._write(text)

    def finish(self, words: str) -> None:
        """End a turn; `words` are shown if nothing else was said."""
        self.settle()
        if not self.spoken and words:
            self._write(clean(words))

    def _speak(self, part: Part) -> None:
        message = part.data[0] if isinstance(part.data, list) else None
        if not isinstance(message, dict) or message.get("$") not in _SPEAKERS or not part.text:
            return
        self.spoken = True
        key = part.call or str(message.get("id"))
        self._texts[key] = self._texts.get(key, "") + part.text
        if not self._terminal:
            return
        if self._open == key:
            self._others = 0
            self._catch_up()
            return
        self._others += 1
        if not self._open or self._others >= _PATIENCE:
            self._end_line()
            self._open_next()

    def _wipe(self, call: str) -> None:
        text = self._texts.pop(call, "")
        shown = self._shown.pop(call, 0)
        if not self._terminal or not shown:
            return
        if call == self._open and self._since == 0:
            up = rows_of(clean(text[:shown]), shutil.get_terminal_size().columns) - 1
            self._write("\r" + (f"\x1b[{up}A" if up else "") + "\x1b[J", newline=False)
            self._open = ""
        else:
            self.line("(the answer above was cut off; it is made again)")

    def _write(self, text: str = "", *, newline: bool = True) -> None:
        typer.echo(text, nl=newline, err=self._err)


@dataclass(frozen=True, kw_only=True)
class Words:
    """What prints lines between the words of a run."""

    line: Callable[[str], None]
    """At once."""
    tell: Callable[[Change], None]
    """When the text that is being said is over."""


@asynccontextmanager
async def words_of(client: Client, run_id: str, *, wanted: bool) -> AsyncGenerator[Words]:
    """Show a run's words on standard error while the block runs; yields what prints lines there."""
    if not wanted:
        yield Words(line=err, tell=lambda change: err(f"  {change.text}"))
        return
    screen = Screen(terminal=sys.stderr.isatty(), err=True, calls=False)
    heard = False

    async def show() -> None:
        nonlocal heard
        async with aclosing(client.stream(run_id)) as events:
            async for event in events:
                heard = heard or not isinstance(event, End)
                if isinstance(event, End):
                    screen.settle()
                else:
                    screen.show(event)

    task = asyncio.create_task(show())
    try:
        yield Words(line=screen.line, tell=screen.tell)
        await asyncio.wait([task], timeout=_LAST_WORDS)
        if task.done():
            task.result()
        place = client.sink.path if isinstance(client.sink, FileSink) else None
        if not heard and place is not None and not place.exists():
            err(f"no words came: there is no {place}. Run this where the worker runs, or name "
                "its file: --stream-from sqlite:PATH")  # fmt: skip
    finally:
        task.cancel()
        screen.settle()


def rows_of(text: str, width: int) -> int:
    """Count the rows that a text takes on a terminal, from the beginning of a line."""
    rows = 0
    for line in text.split("\n"):
        columns = sum(_columns(char) for char in line)
        rows += max(1, -(-columns // max(width, 1)))
    return rows


def _columns(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def told_by(update: Json) -> Iterator[tuple[str, str]]:
    """Describe the tool calls and results of one part of `updates`: id and line of each."""
    for message in messages_in(update):
        kind = message.get("$")
        calls = message.get("tool_calls")
        if kind in _SPEAKERS and isinstance(calls, list):
            for call in calls:
                if isinstance(call, dict):
                    yield str(call.get("id")), f"  → {_call(call)}"
        elif kind == "tool":
            text = text_of(message)
            name = one_line(str(message.get("name") or "tool"))
            told = f"  ← {name}: {one_line(text, _LONGEST)}"
            yield str(message.get("tool_call_id")), told


def _call(call: Mapping[str, Json]) -> str:
    args = call.get("args")
    pairs = cast("JsonObject", args).items() if isinstance(args, dict) else ()
    told = ", ".join(f"{name}={value}" for name, value in pairs)
    return one_line(f"{call.get('name')}({told})", _LONGEST)


def messages_in(update: Json) -> Iterator[JsonObject]:
    """Yield the messages that one part of `updates` brings."""
    if not isinstance(update, dict):
        return
    for change in update.values():
        found = change.get("messages") if isinstance(change, dict) else None
        for message in found if isinstance(found, list) else ():
            if isinstance(message, dict):
                yield message


def last_words(result: Json) -> str:
    """Return the last that was said since the person spoke; empty if there is nothing.

    A human message with a name is an agent's report to another one.
    """
    for message in reversed(list(messages_in({"result": result}))):
        kind, name = message.get("$"), message.get("name")
        if kind == "human" and not name:
            break
        if kind == "human" or kind in _SPEAKERS:
            text = text_of(message)
            if text:
                return text
    return ""
