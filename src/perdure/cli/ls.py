"""`perdure ls`: list runs."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from perdure.cli.exit import Code, carry_out
from perdure.cli.lines import clock
from perdure.cli.options import Address, AsJson, Namespace, Profile, Verbose, Where
from perdure.cli.output import err, span, write_json, write_table
from perdure.cli.session import open_client
from perdure.client import RunSummary
from perdure.core.wire import Status


def command(
    *,
    agent: Annotated[str | None, typer.Option(help="Only runs of this agent.")] = None,
    status: Annotated[Status | None, typer.Option(help="Only runs in this state.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many.")] = 50,
    address: Address = None,
    namespace: Namespace = None,
    profile: Profile = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """List runs, newest first."""
    where = Where(address=address, namespace=namespace, profile=profile)

    async def work() -> int:
        client = await open_client(where, verbose=verbose)
        runs = await client.ls(agent=agent, status=status, limit=limit)
        if as_json:
            write_json({"runs": [run.to_json() for run in runs]})
        elif runs:
            write_table(("run", "agent", "status", "started", "took", "open"), _rows(runs))
        else:
            err("no such runs" if agent or status else "no runs; start one: perdure run AGENT")
        return Code.DONE

    carry_out(work(), as_json=as_json, verbose=verbose)


def _rows(runs: list[RunSummary]) -> list[list[str]]:
    now = datetime.now(UTC)
    return [
        [
            run.run_id,
            run.agent,
            run.status,
            clock(run.started),
            span(((run.closed or now) - run.started).total_seconds()),
            str(run.waiting) if run.waiting else "",
        ]
        for run in runs
    ]
