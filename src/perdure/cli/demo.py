"""`perdure demo`: see an agent lose its worker and finish all the same."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from email.message import EmailMessage
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Annotated, cast

import typer

from perdure.cli.asking import lines_of
from perdure.cli.exit import Code, carry_out
from perdure.cli.following import follow_run
from perdure.cli.inputs import edit_json, login_name
from perdure.cli.lines import TITLES, Change, Changes, headline, rows, totals
from perdure.cli.options import AsJson, Verbose
from perdure.cli.output import clean, err, out, write_json, write_table
from perdure.cli.stage import Stage, end_in_order, set_stage
from perdure.client import Client, Timeline, Waiting
from perdure.client.poll import until
from perdure.core.approvals import Decision
from perdure.core.jsons import Json, JsonObject
from perdure.errors import ReplayFailed, RunFailed, Unavailable
from perdure.testing.replay import assert_run_replays

MESSAGE = "I forgot my password and the reset link never arrives. What can I do?"
CUSTOMER = "ann@example.com"
Decide = Callable[[Waiting], Decision]


@dataclass(frozen=True, kw_only=True)
class _Wish:
    """What the command line asks for."""

    message: str
    customer: str
    kb: Path | None
    keep: Path | None
    decide: Decide
    as_json: bool
    verbose: bool


@dataclass(frozen=True, kw_only=True)
class _Shown:
    """What the demo saw."""

    line: Timeline
    kills: int
    replays: bool
    mails: list[EmailMessage]
    deliveries: int
    seconds: float


def command(
    *,
    message: Annotated[str, typer.Option("--message", "-m", help="What the customer wrote.")] = (
        MESSAGE
    ),
    customer: Annotated[str, typer.Option(help="The customer's address.")] = CUSTOMER,
    kb: Annotated[
        Path | None, typer.Option(help="A folder of Markdown or HTML articles of your own.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Approve without asking.")] = False,
    reject: Annotated[
        str | None, typer.Option(metavar="REASON", help="Reject without asking.")
    ] = None,
    keep: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Keep database, mailbox and logs in this folder."),
    ] = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Run the support agent, kill its worker with SIGKILL, and still get exactly one e-mail.

    Starts Temporal, a worker and a mailbox on free ports in a temporary folder; needs no server
    and no key. With ANTHROPIC_API_KEY or OPENAI_API_KEY set the model is a real one.
    """
    if kb is not None and not kb.is_dir():
        raise typer.BadParameter(f"--kb {str(kb)!r} is no folder; give one with .md or .html files")
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
    wish = _Wish(
        message=message,
        customer=customer,
        kb=kb.resolve() if kb else None,
        keep=keep.resolve() if keep else None,
        decide=_decider(yes=yes, reject=reject),
        as_json=as_json,
        verbose=verbose,
    )
    end_in_order()
    carry_out(_run(wish), as_json=as_json, verbose=verbose)


async def _run(wish: _Wish) -> int:
    with TemporaryDirectory(prefix="perdure-demo-") as temporary:
        folder = wish.keep or Path(temporary)
        begin = monotonic()
        async with set_stage(folder, kb=wish.kb, verbose=wish.verbose) as stage:
            shown = await _play(wish, stage, begin)
    _report(wish, shown)
    if wish.keep is not None:
        err(f"kept: {wish.keep}")
    if shown.line.failure is not None:
        return Code.RUN_FAILED
    return Code.DONE if shown.replays else Code.ERROR


async def _play(wish: _Wish, stage: Stage, begin: float) -> _Shown:
    client = stage.client
    data: JsonObject = {"message": wish.message, "customer": wish.customer}
    run = await client.start("support", data)
    err(f"run {run.run_id}: a customer writes\n\n  {clean(wish.message[:2000])}\n")
    kills = 0
    told = Changes()
    line = await _follow(client, run.run_id, told)
    while line.closed is None:
        question = await _question(client, run.run_id)
        for row in lines_of(question, commands=False):
            err(row)
        if kills == 0:
            kills += 1
            dying = (
                f"\nkill -9 {stage.worker.pid}: the worker dies while the run waits for a person"
            )
            typer.secho(dying, fg="red", bold=True, err=True)
            stage.worker.kill()
            await stage.start_worker()
            taking_over = f"another worker takes over: pid {stage.worker.pid}\n"
            typer.secho(taking_over, fg="green", bold=True, err=True)
        decision = wish.decide(question)
        await client.decide(run.run_id, decision, asked=question, within=timedelta(seconds=30))
        err(f"{decision.type} by {decision.by}")
        line = await _follow(client, run.run_id, told)
    replays = await _replays(stage, run.run_id)
    return _Shown(
        line=line,
        kills=kills,
        replays=replays,
        mails=stage.mailbox.messages(),
        deliveries=stage.mailbox.raw_deliveries(),
        seconds=monotonic() - begin,
    )


async def _follow(client: Client, run_id: str, told: Changes) -> Timeline:
    return await follow_run(client, run_id, tell=_tell, say=err, until_waiting=True, changes=told)


def _tell(change: Change) -> None:
    if change.text:
        err(f"  {change.text}")


async def _replays(stage: Stage, run_id: str) -> bool:
    """Tell whether the run's history replays on the code of today."""
    try:
        await assert_run_replays(stage.agents(), stage.client.temporal, run_id)
    except ReplayFailed as error:
        err(f"error [{error.code}]: {error}")
        return False
    return True


async def _question(client: Client, run_id: str) -> Waiting:
    async def look() -> Waiting | None:
        inbox = await client.questions(run_id)
        return inbox.questions[0] if inbox.questions else None

    found = await until(look, within=timedelta(seconds=30))
    if found is None:
        raise Unavailable(f"run {run_id!r} waits, but its question cannot be read")
    return found


def _report(wish: _Wish, shown: _Shown) -> None:
    if wish.as_json:
        write_json(_document(shown))
        return
    for mail in shown.mails:
        out("\nthe e-mail that arrived:\n")
        for name in ("From", "To", "Subject", "Message-ID"):
            out(f"  {name}: {clean(str(mail[name])).strip()}")
        body = mail.get_body(("plain",))
        text = str(body.get_content()) if body is not None else ""
        out("")
        for row in clean(text).splitlines():
            out(f"  {row}")
    out(f"\n{headline(shown.line)}\n")
    write_table(TITLES, rows(shown.line))
    out(f"\n{totals(shown.line)}")
    if shown.line.failure is not None:
        raise RunFailed(f"the run ended without a result: {shown.line.failure.words()}")
    told = _document(shown)
    out(
        f"outcome {told['outcome']}: {_count(len(shown.mails), 'e-mail')} after "
        f"{_count(shown.kills, 'worker kill')}, "
        f"{_count(shown.line.repeated_model_calls, 'model call')} repeated, "
        f"the history {'replays' if shown.replays else 'does NOT replay'} ({shown.seconds:.0f} s)"
    )
    if told["model"] == "offline":
        out("the model was offline rules, not an LLM; set ANTHROPIC_API_KEY or OPENAI_API_KEY")


def _count(number: int, thing: str) -> str:
    return f"{number or 'no'} {thing}{'s' if number > 1 else ''}"


def _document(shown: _Shown) -> JsonObject:
    line = shown.line
    result = cast("JsonObject", line.result) if isinstance(line.result, dict) else {}
    return {
        "outcome": result.get("outcome") or line.status,
        "run_id": line.run_id,
        "worker_kills": shown.kills,
        "emails_delivered": len(shown.mails),
        "smtp_deliveries": shown.deliveries,
        "model_calls": line.model_calls,
        "tool_calls": line.tool_calls,
        "repeated_model_calls": line.repeated_model_calls,
        "history_events": line.events,
        "history_bytes": line.history_bytes,
        "replayed_ok": shown.replays,
        "model": result.get("model") or "unknown",
        "ticket": result.get("ticket_id"),
        "error": cast("Json", line.failure.to_json()) if line.failure else None,
        "seconds": round(shown.seconds, 1),
    }


def _decider(*, yes: bool, reject: str | None) -> Decide:
    if yes and reject is not None:
        raise typer.BadParameter("give --yes or --reject, not both")
    who = login_name()
    if yes:
        return lambda _: Decision(type="approve", by=who)
    if reject is not None:
        return lambda _: Decision(type="reject", by=who, message=reject)
    # With its standard input closed a program has no sys.stdin at all.
    if sys.stdin is None or not sys.stdin.isatty():  # pyright: ignore[reportUnnecessaryComparison]
        raise typer.BadParameter("there is no terminal to ask on: give --yes or --reject REASON")
    return lambda question: _ask(question, who)


def _ask(question: Waiting, who: str) -> Decision:
    """Ask on the terminal until the answer is one of the three."""
    while True:
        typer.echo("[a]pprove, [e]dit or [r]eject? ", nl=False, err=True)
        answer = input().strip().lower()
        if answer in ("a", "approve", "y", "yes"):
            return Decision(type="approve", by=who)
        if answer in ("r", "reject", "n", "no"):
            typer.echo("why? ", nl=False, err=True)
            return Decision(type="reject", by=who, message=input().strip() or None)
        if answer in ("e", "edit"):
            return Decision(type="edit", by=who, args=edit_json(dict(question.args or {})))
