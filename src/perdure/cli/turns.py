"""Ask a person what a run asks, on the terminal that the run is followed on."""

import asyncio
import json
import shlex
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from typing import cast

from perdure.cli.asking import lines_of, short_lines_of
from perdure.cli.inputs import login_name, with_changes
from perdure.cli.keyboard import Keyboard
from perdure.cli.output import err
from perdure.cli.speaking import Screen
from perdure.client import Client, End, Waiting
from perdure.core.approvals import Decision
from perdure.core.jsons import Json, Raw
from perdure.errors import (
    AlreadyDecided,
    BadInput,
    BadOption,
    NothingWaiting,
    Refused,
    ServerUnavailable,
    Unavailable,
)

_PAUSE = 0.3
_LOOK_AGAIN = 1.0
_WORDS = {
    "approve": "a(pprove)",
    "reject": "r(eject) REASON",
    "edit": "e(dit) NAME=VALUE",
    "respond": "t(ell) TEXT",
}
_FREE = "your answer"
_VERBS = {
    **dict.fromkeys(("a", "approve", "y", "yes"), "approve"),
    **dict.fromkeys(("r", "reject", "n", "no"), "reject"),
    **dict.fromkeys(("e", "edit"), "edit"),
    **dict.fromkeys(("t", "tell", "respond"), "respond"),
}


@dataclass(kw_only=True)
class Turn:
    """One run, with the questions that it asks."""

    client: Client
    run_id: str
    keys: Keyboard
    screen: Screen
    _stuck: asyncio.Event = field(default_factory=asyncio.Event)
    """Nobody is there to answer."""
    _length: int = 0
    _asked: set[str] = field(default_factory=set[str])

    async def follow(self, showing: Coroutine[Raw, Raw, End | None]) -> End | None:
        """Show the run and ask its questions, until it ends; None if the person left first."""
        tasks = [
            asyncio.create_task(part)
            for part in (showing, self._watch(), self._stuck.wait(), self.keys.left.wait())
        ]
        shown = tasks[0]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            watch = tasks[1]
            if watch.done() and not shown.done():
                watch.result()  # it ends only by an error
            return cast("End | None", shown.result()) if shown.done() else None
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch(self) -> None:
        while True:
            with suppress(Unavailable, ServerUnavailable):
                await self._look()
            await asyncio.sleep(_PAUSE)

    async def _look(self) -> None:
        """Ask what is open, if the run has changed since it was looked at."""
        execution = await self.client.describe(self.run_id)
        if execution.close_time is not None or execution.history_length == self._length:
            return
        inbox = await self.client.questions(self.run_id)
        for question in inbox.questions:
            if question.id not in self._asked and not self._stuck.is_set():
                await self._ask(question)
        if not inbox.unasked:
            self._length = execution.history_length

    async def _ask(self, question: Waiting) -> None:
        with self.screen.held():
            await self._settle(question)

    async def _settle(self, question: Waiting) -> None:
        for row in short_lines_of(question):
            err(row)
        choices = ", ".join(_WORDS[choice] for choice in question.allowed if choice in _WORDS)
        choices = _FREE if is_free(question) else choices
        while True:
            answer = await self._answer(question, f"{choices}> ")
            if answer is None:
                return
            try:
                decision = read_answer(answer, question)
                await self.client.decide(self.run_id, decision, asked=question)
            except (AlreadyDecided, NothingWaiting) as error:
                err(str(error))
                break
            except (ValueError, Refused, BadInput, BadOption) as error:
                err(str(error))
            except (Unavailable, ServerUnavailable) as error:
                err(str(error))
            else:
                break
        self._asked.add(question.id)

    async def _answer(self, question: Waiting, prompt: str) -> str | None:
        """Return what the person types; None if they leave, or somebody else was quicker."""
        typed = asyncio.create_task(self.keys.ask(prompt))
        closed = asyncio.create_task(self._wait_settled(question))
        try:
            await asyncio.wait((typed, closed), return_when=asyncio.FIRST_COMPLETED)
            if typed.done():
                if typed.result() is None:
                    self._give_up(question)
                return typed.result()
            closed.result()
            self._asked.add(question.id)
            return None
        finally:
            if not typed.done() and not self.keys.left.is_set():
                err("\n(the question is no longer open)")
            typed.cancel()
            closed.cancel()
            await asyncio.gather(typed, closed, return_exceptions=True)

    async def _wait_settled(self, question: Waiting) -> None:
        """Wait until a question is no longer open."""
        while True:
            await asyncio.sleep(_LOOK_AGAIN)
            with suppress(Unavailable, ServerUnavailable):
                inbox = await self.client.questions(self.run_id)
                known = {one.id for one in inbox.questions}
                if not inbox.unasked and question.id not in known:
                    return

    def _give_up(self, question: Waiting) -> None:
        self._stuck.set()
        for row in lines_of(question):
            err(row)
        err("the run waits for a person")


def is_free(question: Waiting) -> bool:
    """Tell whether a question takes any text as its answer."""
    return tuple(question.allowed) == ("respond",)


def read_answer(text: str, question: Waiting) -> Decision:
    """Read what a person typed as a decision.

    A free question takes any text as its answer.

    Raises:
        ValueError: It is none; the text says why.
        BadInput: The arguments of an edit cannot be read.
    """
    by, word, rest = login_name(), *_parted(text)
    if is_free(question):
        if not text.strip():
            raise ValueError("an empty line is no answer")
        return Decision(type="respond", by=by, value=text.strip(), question=question.id)
    verb = _VERBS.get(word.lower())
    if verb is None:
        raise ValueError(f"{word!r} is no answer" if word else "an empty line is no answer")
    if verb not in question.allowed:
        raise ValueError(f"{verb} is not allowed here")
    if verb == "reject":
        return Decision(type="reject", by=by, message=rest or None, question=question.id)
    if verb == "respond":
        return Decision(type="respond", by=by, value=rest, question=question.id)
    if verb == "edit":
        return Decision(type="edit", by=by, args=_args(rest, question), question=question.id)
    return Decision(type="approve", by=by, question=question.id)


def _parted(text: str) -> tuple[str, str]:
    word, _, rest = text.strip().partition(" ")
    return word, rest.strip()


def _args(text: str, question: Waiting) -> dict[str, Json]:
    """Read what an edit changes: JSON, or `name=value` pairs; the other arguments stay."""
    known = dict(question.args or {}) if question.complete else {}
    if text and not text.startswith("{"):
        try:
            return {**with_changes(known, shlex.split(text))}
        except ValueError as error:
            raise ValueError(f"the change cannot be read ({error})") from None
    try:
        args = cast("Json", json.loads(text))
    except ValueError as error:
        raise ValueError(f"edit needs name=value, or arguments as JSON ({error})") from None
    return {**known, **cast("dict[str, Json]", args)}
