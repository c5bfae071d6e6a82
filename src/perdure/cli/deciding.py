"""What approve, reject, edit and respond have in common."""

from collections.abc import Callable
from dataclasses import dataclass

from perdure.cli.exit import Code, carry_out
from perdure.cli.inputs import login_name
from perdure.cli.options import Where
from perdure.cli.output import err, one_line, out, write_json
from perdure.cli.session import open_client
from perdure.client import Client, Waiting
from perdure.core.approvals import Decision
from perdure.core.jsons import JsonObject
from perdure.errors import BadDecision, Unavailable

Make = Callable[[Waiting | None, str], Decision]
"""Makes the decision from the question, if it is known, and the person's name."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """Which question of which run is decided, by whom, and how to tell."""

    run: str
    question: str | None
    by: str | None
    where: Where
    as_json: bool
    verbose: bool


def decide(order: Order, make: Make) -> None:
    """Carry a decision out and tell what was recorded.

    Raises:
        typer.Exit: Always; it carries the exit code.
    """
    carry_out(
        _decide(order, make),
        as_json=order.as_json,
        verbose=order.verbose,
    )


async def _decide(order: Order, make: Make) -> int:
    client = await open_client(order.where, verbose=order.verbose)
    run_id = await client.find(order.run)
    asked = await find_question(client, run_id, order.question)
    decision = make(asked, order.by or login_name())
    ack = await client.decide(run_id, decision, asked=asked)
    if order.as_json:
        write_json({"run_id": run_id, **ack})
    else:
        _tell(run_id, ack)
    return Code.DONE


async def find_question(client: Client, run_id: str, wanted: str | None) -> Waiting | None:
    """Return the open question that is meant; None if the run has to say what is wrong.

    Raises:
        BadDecision: Several are open, and it is not clear which one is meant.
        Unavailable: No worker can tell what the run asks.
    """
    inbox = await client.questions(run_id)
    found = inbox.questions
    if wanted is not None:
        exact = [question for question in found if question.id == wanted]
        found = exact or tuple(q for q in found if q.id.startswith(wanted))
    if len(found) == 1:
        return found[0]
    if len(found) > 1:
        rows = "".join(f"\n  --question {q.id}  {one_line(q.title)}" for q in found)
        raise BadDecision(f"{len(found)} questions are open in {run_id!r}; say which:{rows}")
    if inbox.unasked and not inbox.questions:
        raise Unavailable(
            f"what run {run_id!r} asks cannot be read: {inbox.unasked[0].reason}. The run still "
            "waits: start a worker (`perdure worker APP`) and give the same command again"
        )
    return None


def _tell(run_id: str, ack: JsonObject) -> None:
    decision = ack.get("decision")
    verb = decision.get("type") if isinstance(decision, dict) else "decided"
    who = decision.get("by") if isinstance(decision, dict) else "?"
    out(f"{verb}: {one_line(str(ack.get('title')), 200)} (by {one_line(str(who))})")
    err(f"the run goes on: perdure watch {run_id}")
