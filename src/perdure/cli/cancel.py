"""`perdure cancel`: ask a run to end."""

from typing import Annotated

import typer

from perdure.cli.exit import Code, carry_out
from perdure.cli.options import Address, AsJson, Namespace, Profile, RunId, Verbose, Where
from perdure.cli.output import err, write_json
from perdure.cli.session import open_client


def command(
    run: RunId,
    *,
    reason: Annotated[
        str, typer.Option("--message", "-m", help="Why, for the record.", show_default=False)
    ] = "",
    address: Address = None,
    namespace: Namespace = None,
    profile: Profile = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Ask a run to end. A call that changes the outside world is still finished."""
    where = Where(address=address, namespace=namespace, profile=profile)

    async def work() -> int:
        client = await open_client(where, verbose=verbose)
        run_id = await client.find(run)
        await client.cancel(run_id, reason=reason)
        if as_json:
            write_json({"run_id": run_id, "cancel": "requested"})
        else:
            err(f"cancel asked for; see it end: perdure watch {run_id}")
        return Code.DONE

    carry_out(work(), as_json=as_json, verbose=verbose)
