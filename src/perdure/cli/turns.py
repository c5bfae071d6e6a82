"""Ask a person what a run asks, on the terminal that the run is followed on."""

import asyncio
import json
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from typing import cast

from perdure.cli.asking import lines_of
from perdure.cli.inputs import login_name
from perdure.cli.keyboard import Keyboard
from perdure.cli.output import err
from perdure.cli.speaking import Screen
from perdure.client import Client, End, Waiting
from perdure.core.approvals import Decision
from perdure.core.jsons import Json, Raw
from perdure.errors import PerdureError, Refused, ServerUnavailable, Unavailable

_PAUSE = 0.3
_WORDS = {
    "approve": "a(pprove)",
    "reject": "r(eject) REASON",
    "edit": "e(dit) JSON",
    "respond": "t(ell) TEXT",
}
_VERBS = {"a": "approve", "r": "reject", "e": "edit", "t": "respond", "y": "approve", "n": "reject"}


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
        if execution.close_time is not None or execution.raw_description.pending_activities:
            return
        if execution.history_length == self._length:
            return
        inbox = await self.client.questions(self.run_id)
        for question in inbox.questions:
            if question.id not in self._asked and not self._stuck.is_set():
                await self._ask(question)
        if not inbox.unasked:
            self._length = execution.history_length

    async def _ask(self, question: Waiting) -> None:
        self.screen.settle()
        for row in lines_of(question, commands=False):
            err(row)
        choices = ", ".join(_WORDS[choice] for choice in question.allowed if choice in _WORDS)
        while True:
            answer = await self.keys.ask(f"{choices}> ")
            if answer is None:
                self._give_up(question)
                return
            try:
                decision = read_answer(answer, question)
                await self.client.decide(self.run_id, decision, asked=question)
            except (ValueError, Refused) as error:
                err(f"{error}; answer with {choices}")
            except PerdureError as error:
                err(str(error))
                return
            else:
                self._asked.add(question.id)
                return

    def _give_up(self, question: Waiting) -> None:
        self._stuck.set()
        for row in lines_of(question):
            err(row)
        err("the run waits for a person")


def read_answer(text: str, question: Waiting) -> Decision:
    """Read what a person typed as a decision.

    A free question takes any text as its answer.

    Raises:
        ValueError: It is none; the text says why.
    """
    word, _, rest = text.strip().partition(" ")
    verb = _VERBS.get(word[:1].lower(), "") if word else ""
    known = verb and (len(word) == 1 or verb.startswith(word.lower()) or word in ("yes", "no"))
    if word.lower() == "tell":
        verb, known = "respond", True
    if not known and tuple(question.allowed) == ("respond",):
        verb, rest = "respond", text.strip()
    elif not known:
        raise ValueError(f"{word!r} is no answer")
    if verb not in question.allowed:
        raise ValueError(f"{verb} is not allowed here")
    by, rest = login_name(), rest.strip()
    if verb == "reject":
        return Decision(type="reject", by=by, message=rest or None, question=question.id)
    if verb == "respond":
        return Decision(type="respond", by=by, value=rest, question=question.id)
    if verb == "edit":
        return Decision(type="edit", by=by, args=_args(rest), question=question.id)
    return Decision(type="approve", by=by, question=question.id)


def _args(text: str) -> dict[str, Json]:
    try:
        args = cast("Json", json.loads(text))
    except ValueError as error:
        raise ValueError(f"edit needs all arguments as a JSON object ({error})") from None
    if not isinstance(args, dict):
        raise ValueError("edit needs all arguments as a JSON object")  # noqa: TRY004
    return args
