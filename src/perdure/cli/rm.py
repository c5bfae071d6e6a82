"""`perdure rm`: delete a run."""

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
    RunId,
    Verbose,
    Where,
)
from perdure.cli.output import clean, err, write_json
from perdure.cli.session import open_client
from perdure.client import Sweep


def command(
    run: RunId,
    *,
    force: Annotated[
        bool, typer.Option("--force", help="Also if it is under way; nothing is undone.")
    ] = False,
    gc: Annotated[
        bool, typer.Option("--gc", help="Remove at once the large values that only it used.")
    ] = False,
    grace: Grace = DEFAULT_GRACE,
    also: Also = None,
    blobs: Blobs = None,
    address: Address = None,
    namespace: Namespace = None,
    profile: Profile = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Delete a run and its sub-agents from the server, with their histories.

    The large values that only it used go with the next `perdure gc`, or at once with `--gc`.
    """
    where = Where(address=address, namespace=namespace, profile=profile)

    async def work() -> int:
        span = read_span(grace)
        client = await open_client(where, verbose=verbose)
        run_id = await client.find(run)
        sweep: Sweep | None = None
        if not gc:
            deleted = await client.delete(run_id, force=force)
        else:
            async with using_blobs(blobs) as store:
                deleted = await client.delete(run_id, force=force)
                sweep = await client.gc(store, grace=span, namespaces=also or (), without=deleted)
        if as_json:
            write_json({**deleted.to_json(), "gc": None if sweep is None else sweep.to_json()})
        else:
            count = len(deleted.executions)
            parts = "" if count == 1 else f", {count} executions with its parts and sub-agents"
            err(f"deleted {clean(run_id)}{parts}; the server clears it away within a minute or so")
            if sweep is not None:
                tell_sweep(sweep, verbose=verbose)
        return Code.DONE

    carry_out(work(), as_json=as_json, verbose=verbose)
