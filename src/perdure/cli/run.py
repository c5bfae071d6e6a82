"""`perdure run`: start a run and follow it."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

import typer

from perdure.cli.asking import commands_for, lines_of
from perdure.cli.exit import Code, carry_out
from perdure.cli.following import follow_run
from perdure.cli.inputs import read_json, read_object
from perdure.cli.lines import Change
from perdure.cli.options import (
    DEFAULT_QUEUE,
    Address,
    AsJson,
    Config,
    Context,
    Namespace,
    Profile,
    StreamFrom,
    TaskQueue,
    Verbose,
    Where,
)
from perdure.cli.output import err, out, write_json
from perdure.cli.session import open_client
from perdure.cli.speaking import Words, words_of
from perdure.cli.streams import MODES, reading_sink
from perdure.client import Client, Timeline
from perdure.client.threads import check_on_busy
from perdure.core.ahead import check_durability
from perdure.core.jsons import Json
from perdure.errors import RunFailed, Unavailable


@dataclass(frozen=True, kw_only=True)
class _Wish:
    """What the command line asks for."""

    agent: str
    input: str
    run_id: str | None
    follow: bool
    wait: bool
    timeout: float | None
    stream: bool
    stream_from: str | None
    thread: str | None
    on_busy: str
    durability: str | None
    context: str | None
    config: str | None
    tenant: str | None
    options: str | None
    recursion_limit: int | None
    task_queue: str
    as_json: bool
    where: Where
    verbose: bool


def command(
    agent: Annotated[str, typer.Argument(help="The agent's registered name.", show_default=False)],
    *,
    value: Annotated[
        str,
        typer.Option("--input", "-i", metavar="JSON", help="Its input: JSON, @file, or - (stdin)."),
    ] = "{}",
    run_id: Annotated[
        str | None, typer.Option("--id", help="Id of the run.  \\[default: a new one]")
    ] = None,
    no_wait: Annotated[
        bool, typer.Option("--no-wait", help="Start it, print its id, and leave.")
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="Go on following while it waits for a person.")
    ] = False,
    timeout: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", help="Follow no longer; the run itself goes on."),
    ] = None,
    stream: Annotated[
        bool, typer.Option("--stream", help="Show the model's words as they come.")
    ] = False,
    stream_from: StreamFrom = None,
    thread: Annotated[
        str | None, typer.Option(metavar="ID", help="Conversation that the run goes on with.")
    ] = None,
    on_busy: Annotated[
        str,
        typer.Option(
            metavar="WORD",
            help="If another run has the thread: refuse, queue, interrupt, rollback.",
        ),
    ] = "refuse",
    durability: Annotated[
        str | None,
        typer.Option(
            metavar="WORD",
            help="How calls are recorded: sync, async, exit.  \\[default: the agent's]",
        ),
    ] = None,
    context: Context = None,
    config: Config = None,
    tenant: Annotated[str | None, typer.Option(help="Whose run it is, for filters.")] = None,
    options: Annotated[
        str | None,
        typer.Option(
            metavar="JSON",
            help='Limits of calls, e.g. {"models": {"*": {"timeout": 60}}}, or @file.',
        ),
    ] = None,
    recursion_limit: Annotated[
        int | None, typer.Option(help="Most steps of the graph.", show_default=False)
    ] = None,
    task_queue: TaskQueue = DEFAULT_QUEUE,
    address: Address = None,
    namespace: Namespace = None,
    profile: Profile = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Start a run and follow it; prints its output as JSON.

    Progress goes to standard error. When the run waits for a person, the command shows how to
    answer and leaves with exit code 4; the run itself goes on waiting.
    """
    wish = _Wish(
        agent=agent,
        input=value,
        run_id=run_id,
        follow=not no_wait,
        wait=wait,
        timeout=timeout,
        stream=stream,
        stream_from=stream_from,
        thread=thread,
        on_busy=on_busy,
        durability=durability,
        context=context,
        config=config,
        tenant=tenant,
        options=options,
        recursion_limit=recursion_limit,
        task_queue=task_queue,
        as_json=as_json,
        where=Where(address=address, namespace=namespace, profile=profile),
        verbose=verbose,
    )
    carry_out(_run(wish), as_json=as_json, verbose=verbose)


async def _run(wish: _Wish) -> int:
    data = read_json(wish.input, what="the input (-i)")
    options = read_object(wish.options, what="--options")
    context = read_object(wish.context, what="--context")
    config = read_object(wish.config, what="--config")
    sink = reading_sink(wish.stream_from) if wish.stream else None
    client = await open_client(wish.where, verbose=wish.verbose, sink=sink)
    run = await client.start(
        wish.agent,
        data,
        run_id=wish.run_id,
        tenant=wish.tenant,
        options=options,
        recursion_limit=wish.recursion_limit,
        context=context or None,
        config=config,
        thread=wish.thread,
        on_busy=check_on_busy(wish.on_busy),
        durability=None if wish.durability is None else check_durability(wish.durability),
        stream=MODES if wish.stream else (),
        task_queue=wish.task_queue,
    )
    if not wish.follow:
        if wish.as_json:
            write_json({"run_id": run.run_id, "agent": run.agent, "status": "running"})
        else:
            out(run.run_id)
        return Code.DONE
    err(f"run {run.run_id} of agent {wish.agent!r} started")
    try:
        async with asyncio.timeout(wish.timeout):
            async with words_of(client, run.run_id, wanted=wish.stream) as words:
                line = await follow_run(
                    client,
                    run.run_id,
                    tell=lambda change: _tell(change, words),
                    say=words.line,
                    task_queue=wish.task_queue,
                    until_waiting=not wish.wait,
                )
    except TimeoutError as error:
        span = timedelta(seconds=wish.timeout or 0)
        raise Unavailable(
            f"run {run.run_id!r} has not ended within {span.total_seconds():g} s; it goes on: "
            f"perdure watch {run.run_id}"
        ) from error
    if line.closed is None:
        return await _waiting(client, line, as_json=wish.as_json)
    return _ended(line, as_json=wish.as_json)


def _tell(change: Change, words: Words) -> None:
    if change.text:
        words.tell(change)


async def _waiting(client: Client, line: Timeline, *, as_json: bool) -> int:
    inbox = await client.questions(line.run_id)
    if as_json:
        questions: list[Json] = [
            {**question.to_json(), "commands": list[Json](commands_for(question))}
            for question in inbox.questions
        ]
        write_json(
            {
                "run_id": line.run_id,
                "agent": line.agent,
                "status": "waiting",
                "questions": questions,
            }
        )
        return Code.WAITING
    several = len(inbox.questions) > 1
    for question in inbox.questions:
        err("")
        for row in lines_of(question, several=several):
            err(row)
    err(f"\nthe run waits for a person; then see: perdure watch {line.run_id}")
    return Code.WAITING


def _ended(line: Timeline, *, as_json: bool) -> int:
    failure = line.failure
    if as_json:
        data = {"run_id": line.run_id, "agent": line.agent, "status": line.status}
        if failure is None:
            write_json({**data, "result": line.result})
            return Code.DONE
        write_json({**data, "error": failure.to_json()})
        return Code.RUN_FAILED
    if failure is not None:
        raise RunFailed(
            f"run {line.run_id!r} ended without a result: {failure.words()}\n"
            f"See what happened: perdure show {line.run_id}"
        )
    write_json(line.result)
    return Code.DONE
