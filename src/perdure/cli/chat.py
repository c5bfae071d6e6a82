"""`perdure chat`: talk with an agent on a terminal."""

from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from uuid import uuid4

import typer

from perdure.cli.exit import Code, carry_out
from perdure.cli.hosting import connected, split_app
from perdure.cli.keyboard import Keyboard
from perdure.cli.options import (
    DEFAULT_QUEUE,
    Address,
    Namespace,
    Profile,
    StreamFrom,
    TaskQueue,
    Verbose,
    Where,
)
from perdure.cli.output import clean, err, is_terminal
from perdure.cli.speaking import Screen, last_words
from perdure.cli.turns import Turn
from perdure.client import Client, End
from perdure.errors import RunNotFound

MODES = ("messages", "updates")


@dataclass(kw_only=True)
class _Talk:
    """One conversation."""

    client: Client
    agent: str
    thread: str
    task_queue: str
    keys: Keyboard
    screen: Screen

    async def run(self) -> int:
        """Take lines until there are no more; returns the exit code."""
        code = Code.DONE
        while True:
            line = await self.keys.ask("you> ")
            if line is None:
                return code
            if line.strip():
                code = await self.turn(line.strip())
                if code in (Code.WAITING, Code.INTERRUPTED):
                    return code

    async def turn(self, text: str) -> Code:
        """Send one message and show what comes of it."""
        run = await self.client.start(
            self.agent,
            {"messages": [{"role": "user", "content": text}]},
            thread=self.thread,
            stream=MODES,
            task_queue=self.task_queue,
        )
        turn = Turn(client=self.client, run_id=run.run_id, keys=self.keys, screen=self.screen)
        self.screen.begin()
        with self.keys.on_interrupt(lambda: self._cancel(run.run_id)):
            end = await turn.follow(self._show(run.run_id))
        if end is None:
            return Code.INTERRUPTED if self.keys.left.is_set() else Code.WAITING
        self.screen.finish(last_words(end.result))
        if end.status == "cancelled":
            err("cancelled")
        elif end.status != "done":
            told = end.failure.words() if end.failure is not None else end.status
            err(f"the turn failed: {clean(told)}")
            return Code.RUN_FAILED
        return Code.DONE

    async def _show(self, run_id: str) -> End | None:
        async with aclosing(self.client.stream(run_id)) as events:
            async for event in events:
                if isinstance(event, End):
                    return event
                self.screen.show(event)
        return None

    async def _cancel(self, run_id: str) -> None:
        err("\ncancelling this turn; Ctrl-C again leaves")
        try:
            await self.client.cancel(run_id, reason="cancelled in the chat")
        except RunNotFound:
            return  # it came to its end at this moment


def command(
    agent: Annotated[
        str,
        typer.Argument(
            help="The agent's name; or APP:NAME (app.py:support) to run its worker as well.",
            show_default=False,
        ),
    ],
    *,
    thread: Annotated[
        str | None, typer.Option(help="Go on with this conversation.  \\[default: a new one]")
    ] = None,
    data: Annotated[
        Path, typer.Option(help="Folder of the server that APP:NAME starts if none runs.")
    ] = Path(".perdure"),
    stream_from: StreamFrom = None,
    task_queue: TaskQueue = DEFAULT_QUEUE,
    address: Address = None,
    namespace: Namespace = None,
    profile: Profile = None,
    verbose: Verbose = False,
) -> None:
    """Talk with an agent; its words appear as they come, and it asks you before it acts.

    Ctrl-C cancels the turn, once more leaves, Ctrl-D leaves. The conversation is kept: go on
    with it by its thread. Without a terminal each line of standard input is one message, and
    the answers are printed as plain text.
    """
    where = Where(address=address, namespace=namespace, profile=profile)
    name = thread or f"chat-{uuid4().hex[:10]}"

    async def work() -> int:
        app, chosen = split_app(agent)
        async with connected(
            where,
            app,
            agent=chosen,
            data=data,
            stream=stream_from,
            task_queue=task_queue,
            verbose=verbose,
        ) as (client, found):
            err(f"thread {name}")
            with Keyboard() as keys:
                talk = _Talk(
                    client=client,
                    agent=found,
                    thread=name,
                    task_queue=task_queue,
                    keys=keys,
                    screen=Screen(terminal=is_terminal()),
                )
                code = await talk.run()
        err(f"go on with it: perdure chat {agent} --thread {name}")
        return code

    carry_out(work(), verbose=verbose)
