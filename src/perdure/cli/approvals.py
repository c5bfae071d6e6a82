"""`perdure approvals`: what waits for a person."""

from typing import Annotated

import typer

from perdure.cli.asking import lines_of
from perdure.cli.exit import Code, carry_out
from perdure.cli.options import Address, AsJson, Namespace, Profile, Verbose, Where
from perdure.cli.output import clean, err, out, write_json
from perdure.cli.session import open_client
from perdure.client import Inbox


def command(
    run: Annotated[
        str | None, typer.Argument(metavar="[RUN]", help="Only this run.", show_default=False)
    ] = None,
    *,
    address: Address = None,
    namespace: Namespace = None,
    profile: Profile = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """List what waits for a person, oldest first, with the commands that answer it."""
    where = Where(address=address, namespace=namespace, profile=profile)

    async def work() -> int:
        client = await open_client(where, verbose=verbose)
        inbox = await client.questions(None if run is None else await client.find(run))
        if as_json:
            write_json(inbox.to_json())
        else:
            _print(inbox)
        return Code.DONE

    carry_out(work(), as_json=as_json, verbose=verbose)


def _print(inbox: Inbox) -> None:
    per_run: dict[str, int] = {}
    for question in inbox.questions:
        per_run[question.run_id] = per_run.get(question.run_id, 0) + 1
    for question in inbox.questions:
        for row in lines_of(question, several=per_run[question.run_id] > 1):
            out(row)
        out("")
    for missed in inbox.unasked:
        err(f"not asked: {clean(missed.run_id)} ({clean(missed.reason)})")
    if not inbox.questions:
        err("nothing waits for a person" + (" among those asked" if inbox.unasked else ""))
