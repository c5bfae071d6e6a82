"""`perdure reject`: say no to what a run asks."""

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
    message: Annotated[
        str, typer.Option("--message", "-m", help="The reason, for the record and the model.")
    ],
    address: Address = None,
    namespace: Namespace = None,
    profile: Profile = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Reject what a run asks for; the agent is told the reason."""

    def make(asked: Waiting | None, who: str) -> Decision:
        del asked
        return Decision(type="reject", by=who, message=message, question=question)

    where = Where(address=address, namespace=namespace, profile=profile)
    order = Order(run=run, question=question, by=by, where=where, as_json=as_json, verbose=verbose)
    decide(order, make)
