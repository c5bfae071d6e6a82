"""`perdure edit`: approve with changed arguments."""

import sys
from typing import Annotated

import typer

from perdure.cli.deciding import Order, decide
from perdure.cli.inputs import edit_json, read_object, with_changes
from perdure.cli.options import (
    Address,
    AsJson,
    By,
    Namespace,
    Profile,
    QuestionId,
    RunId,
    Verbose,
    Where,
)
from perdure.client import Waiting
from perdure.core.approvals import Decision
from perdure.core.jsons import JsonObject
from perdure.errors import BadInput, NothingWaiting


def command(
    run: RunId,
    *,
    args: Annotated[
        str | None,
        typer.Option(metavar="JSON", help="All arguments, changed: JSON, @file or -."),
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Change one argument; may be repeated."),
    ] = None,
    question: QuestionId = None,
    by: By = None,
    message: Annotated[str | None, typer.Option("--message", "-m", help="A remark.")] = None,
    address: Address = None,
    namespace: Namespace = None,
    profile: Profile = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Approve with changed arguments; without --args and --set your $EDITOR opens."""

    def make(asked: Waiting | None, who: str) -> Decision:
        edited = _edited(asked, args, changes or [])
        return Decision(type="edit", by=who, args=edited, message=message, question=question)

    where = Where(address=address, namespace=namespace, profile=profile)
    order = Order(run=run, question=question, by=by, where=where, as_json=as_json, verbose=verbose)
    decide(order, make)


def _edited(asked: Waiting | None, args: str | None, changes: list[str]) -> JsonObject:
    if args is not None and changes:
        raise BadInput("give --args or --set, not both")
    if args is not None:
        return read_object(args, what="--args")
    if asked is None:
        raise NothingWaiting("the run has no open question whose arguments could be changed")
    if asked.args is None or not asked.complete:
        raise BadInput("the arguments cannot be read now; give all of them with --args")
    if changes:
        return with_changes(asked.args, changes)
    if not sys.stdin.isatty():
        raise BadInput("say what changes: --set NAME=VALUE or --args JSON")
    return edit_json(dict(asked.args))
