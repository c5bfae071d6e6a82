"""`perdure approve`: say yes to what a run asks."""

from typing import Annotated

import typer

from perdure.cli.deciding import Order, decide
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


def command(
    run: RunId,
    *,
    question: QuestionId = None,
    by: By = None,
    message: Annotated[str | None, typer.Option("--message", "-m", help="A remark.")] = None,
    address: Address = None,
    namespace: Namespace = None,
    profile: Profile = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Approve what a run asks for; it goes on at once."""

    def make(asked: Waiting | None, who: str) -> Decision:
        del asked
        return Decision(type="approve", by=who, message=message, question=question)

    where = Where(address=address, namespace=namespace, profile=profile)
    order = Order(run=run, question=question, by=by, where=where, as_json=as_json, verbose=verbose)
    decide(order, make)
