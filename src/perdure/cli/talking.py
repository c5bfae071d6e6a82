"""One conversation on a terminal: message after message on one thread."""

from collections.abc import Iterator, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass, field

from perdure.cli.exit import Code
from perdure.cli.keyboard import Keyboard
from perdure.cli.output import clean, err
from perdure.cli.speaking import Screen, last_words, messages_in
from perdure.cli.streams import MODES
from perdure.cli.turns import Turn
from perdure.client import Client, End, Part
from perdure.core.jsons import Json, JsonObject, shorten
from perdure.errors import BadInput, RunFailed, RunNotFound, ThreadBusy

_LEAVING = (Code.WAITING, Code.INTERRUPTED)
_HOPELESS = ("unknown_agent", "bad_input")
"""Failures that the next message would meet as well."""
_CUT_OFF = "The turn was ended early; whether this call was carried out is not known."


@dataclass(kw_only=True)
class Talk:
    """A conversation."""

    client: Client
    agent: str
    thread: str
    task_queue: str
    keys: Keyboard
    screen: Screen
    context: Json = None
    config: Mapping[str, Json] = field(default_factory=dict[str, Json])
    turns: int = 0
    """How many there were."""
    _open: dict[str, None] = field(default_factory=dict[str, None])
    """Ids of tool calls whose result was not told: providers refuse messages that lack one."""

    async def run(self, *, resumed: bool) -> int:
        """Take lines until there are no more; returns the exit code.

        Raises:
            BadInput: The agent does not talk in messages.
            RunFailed: It cannot run at all.
        """
        code = await self._catch_up() if resumed else Code.DONE
        while code not in _LEAVING:
            line = await self.keys.ask("you> ")
            if line is None:
                return code
            if line.strip():
                code = await self._say(line.strip())
        return code

    async def _catch_up(self) -> Code:
        """Follow the run that has the thread, if one has."""
        for run_id in (await self.client.runs_on(self.thread))[:1]:
            err(f"run {clean(run_id)} of this conversation is under way")
            return await self._follow(run_id)
        return Code.DONE

    async def _say(self, text: str) -> Code:
        """Send one message and show what comes of it."""
        messages: list[Json] = [*self._answers(), {"role": "user", "content": text}]
        try:
            run_id = await self._start(messages)
        except ThreadBusy:
            code = await self._catch_up()
            if code in _LEAVING:
                return code
            run_id = await self._start(messages)
        self._open = {}
        return await self._follow(run_id)

    async def _start(self, messages: list[Json]) -> str:
        run = await self.client.start(
            self.agent,
            {"messages": messages},
            thread=self.thread,
            context=self.context,
            config=self.config,
            stream=MODES,
            task_queue=self.task_queue,
        )
        return run.run_id

    def _answers(self) -> Iterator[JsonObject]:
        """Answer the calls that a cancel cut off, so that the model can go on."""
        for call in self._open:
            yield {"role": "tool", "content": _CUT_OFF, "tool_call_id": call}

    async def _follow(self, run_id: str) -> Code:
        self.turns += 1
        turn = Turn(client=self.client, run_id=run_id, keys=self.keys, screen=self.screen)
        self.screen.begin()
        with self.keys.on_interrupt(lambda: self._cancel(run_id)):
            end = await turn.follow(self._show(run_id))
        if end is None:
            return Code.INTERRUPTED if self.keys.left.is_set() else Code.WAITING
        self.screen.finish(last_words(end.result))
        if end.status == "done":
            self._open = {}
            self._check(end.result)
            return Code.DONE
        if end.status == "cancelled":
            err("cancelled")
            return Code.DONE
        told = clean(end.failure.words() if end.failure is not None else end.status)
        if end.failure is not None and end.failure.code in _HOPELESS:
            raise RunFailed(told)
        err(f"the turn failed: {told}")
        return Code.RUN_FAILED

    def _check(self, result: Json) -> None:
        """Make sure that a conversation is possible.

        Raises:
            BadInput: The agent said nothing and has no messages in its state.
        """
        if self.screen.spoken or (isinstance(result, dict) and "messages" in result):
            return
        raise BadInput(
            f"agent {self.agent!r} has no messages in its state, so one cannot talk with it; "
            f"its output is {shorten(repr(result), 100)}. Run it: perdure run {self.agent} -i JSON"
        )

    async def _show(self, run_id: str) -> End | None:
        with suppress(BadInput):
            async with aclosing(self.client.stream(run_id)) as events:
                async for event in events:
                    if isinstance(event, End):
                        return event
                    self._note(event)
                    self.screen.show(event)
            return None
        # Somebody else started it, and without a stream: its end is all that there is.
        with suppress(RunFailed):
            await self.client.result(run_id)
        line = await self.client.closing(run_id)
        return End(status=line.status, result=line.result, failure=line.failure)

    def _note(self, event: object) -> None:
        """Remember which tool calls have no result yet."""
        if not isinstance(event, Part) or event.mode != "updates" or event.ns:
            return
        for message in messages_in(event.data):
            calls = message.get("tool_calls")
            for call in calls if isinstance(calls, list) else ():
                if isinstance(call, dict) and isinstance(call.get("id"), str):
                    self._open[str(call["id"])] = None
            self._open.pop(str(message.get("tool_call_id")), None)

    async def _cancel(self, run_id: str) -> None:
        err("\ncancelling this turn; Ctrl-C again leaves")
        try:
            await self.client.cancel(run_id, reason="cancelled in the chat")
        except RunNotFound:
            return  # it came to its end at this moment
