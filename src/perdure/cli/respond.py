"""`perdure respond`: answer a question of a run."""

from typing import Annotated

import typer

from perdure.cli.deciding import Order, decide
from perdure.cli.inputs import read_json
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
from perdure.errors import BadInput


def command(
    run: RunId,
    text: Annotated[
        str | None, typer.Argument(metavar="[TEXT]", help="The answer.", show_default=False)
    ] = None,
    *,
    value: Annotated[
        str | None, typer.Option(metavar="JSON", help="The answer as JSON, @file or -.")
    ] = None,
    question: QuestionId = None,
    by: By = None,
    address: Address = None,
    namespace: Namespace = None,
    profile: Profile = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Answer a question of a run, or answer instead of the tool that it asks about."""

    def make(asked: Waiting | None, who: str) -> Decision:
        del asked
        if (text is None) == (value is None):
            raise BadInput("give the answer as TEXT, or as --value JSON")
        answer = text if value is None else read_json(value, what="--value")
        return Decision(type="respond", by=who, value=answer, question=question)

    where = Where(address=address, namespace=namespace, profile=profile)
    order = Order(run=run, question=question, by=by, where=where, as_json=as_json, verbose=verbose)
    decide(order, make)
