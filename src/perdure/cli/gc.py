"""`perdure gc`: remove large values that no run refers to."""

from typing import Annotated

import typer

from perdure.cli.blobs import read_span, tell_sweep, using_blobs
from perdure.cli.exit import Code, carry_out
from perdure.cli.options import (
    DEFAULT_GRACE,
    Address,
    Also,
    AsJson,
    Blobs,
    Grace,
    Namespace,
    Profile,
    Verbose,
    Where,
)
from perdure.cli.output import write_json
from perdure.cli.session import open_client


def command(
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would go, and how many bytes.")
    ] = False,
    grace: Grace = DEFAULT_GRACE,
    also: Also = None,
    force: Annotated[
        bool,
        typer.Option("--force", help="Also if server and store do not seem to belong together."),
    ] = False,
    blobs: Blobs = None,
    address: Address = None,
    namespace: Namespace = None,
    profile: Profile = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Remove the large values that no run on the server refers to any more.

    Reads the histories of all runs, open and closed, as long as the server keeps them; needs no
    worker and no key. If the server or the store fails on the way, nothing is removed.
    """
    where = Where(address=address, namespace=namespace, profile=profile)

    async def work() -> int:
        span = read_span(grace)
        async with using_blobs(blobs) as store:
            client = await open_client(where, verbose=verbose)
            sweep = await client.gc(
                store, grace=span, dry_run=dry_run, namespaces=also or (), force=force
            )
        if as_json:
            write_json(sweep.to_json())
        else:
            tell_sweep(sweep, verbose=verbose)
        return Code.DONE

    carry_out(work(), as_json=as_json, verbose=verbose)
