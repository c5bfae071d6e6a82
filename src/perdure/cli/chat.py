"""`perdure chat`: talk with an agent on a terminal."""

import sys
from pathlib import Path
from typing import Annotated
from uuid import uuid4

import typer

from perdure.cli.exit import carry_out
from perdure.cli.hosting import connected, split_app
from perdure.cli.inputs import read_object
from perdure.cli.keyboard import Keyboard
from perdure.cli.options import (
    DEFAULT_QUEUE,
    Address,
    Config,
    Context,
    Namespace,
    Profile,
    StreamFrom,
    TaskQueue,
    Verbose,
    Where,
)
from perdure.cli.output import err, is_terminal
from perdure.cli.speaking import Screen
from perdure.cli.talking import Talk


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
    context: Context = None,
    config: Config = None,
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
        given = read_object(context, what="--context")
        settings = read_object(config, what="--config")
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
            hint = "; Ctrl-C cancels a turn, Ctrl-D leaves" if sys.stdin.isatty() else ""
            err(f"thread {name}{hint}")
            with Keyboard() as keys:
                talk = Talk(
                    client=client,
                    agent=found,
                    thread=name,
                    context=given or None,
                    config=settings,
                    task_queue=task_queue,
                    keys=keys,
                    screen=Screen(terminal=is_terminal()),
                )
                code = await talk.run(resumed=thread is not None)
        if talk.turns or thread is not None:
            err(f"go on with it: perdure chat {agent} --thread {name}")
        return code

    carry_out(work(), verbose=verbose)
