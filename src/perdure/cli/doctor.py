"""`perdure doctor`: check server, worker and settings."""

import os
from collections.abc import Sequence
from typing import Annotated

import typer
from temporalio.service import RPCError

from perdure.cli import checks
from perdure.cli.checks import Check
from perdure.cli.exit import Code, carry_out
from perdure.cli.options import (
    DEFAULT_QUEUE,
    Address,
    AsJson,
    Namespace,
    Profile,
    TaskQueue,
    Verbose,
    Where,
)
from perdure.cli.output import clean, out, write_json
from perdure.cli.project import Config, choose_app, load_project
from perdure.cli.session import open_client
from perdure.core.declared import Kind
from perdure.errors import ImpureNode, PerdureError
from perdure.worker.agents import Agents
from perdure.worker.discover import discover
from perdure.worker.scan import scan

_KINDS: tuple[Kind, ...] = ("model", "tool")
_SIGNS = {"ok": "ok     ", "warning": "warning", "failed": "FAILED "}


def command(
    app: Annotated[
        str | None,
        typer.Argument(
            metavar="[APP]",
            help="Also load this app.  \\[default: the langgraph.json of this folder]",
            show_default=False,
        ),
    ] = None,
    *,
    config: Config = None,
    fix: Annotated[
        bool, typer.Option("--fix", help="Create missing search attributes on the server.")
    ] = False,
    task_queue: TaskQueue = DEFAULT_QUEUE,
    address: Address = None,
    namespace: Namespace = None,
    profile: Profile = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Check what Perdure needs, and say how to mend what is missing.

    Leaves with exit code 1 if something required fails; warnings do not count.
    """
    where = Where(address=address, namespace=namespace, profile=profile)

    async def work() -> int:
        chosen = choose_app(app, config)
        loaded = [] if chosen is None else _check_app(chosen)  # first: it may set keys
        found = [
            checks.check_python(),
            *checks.check_libraries(),
            checks.check_private_names(),
            *checks.check_extras(),
            *checks.check_keys(os.environ),
            *loaded,
            *await _check_server(where, task_queue, fix=fix, verbose=verbose),
        ]
        if as_json:
            write_json({"ok": not checks.failed(found), "checks": [c.to_json() for c in found]})
        else:
            _print(found)
        return Code.ERROR if checks.failed(found) else Code.DONE

    carry_out(work(), as_json=as_json, verbose=verbose)


async def _check_server(where: Where, task_queue: str, *, fix: bool, verbose: bool) -> list[Check]:
    try:
        client = await open_client(where, verbose=verbose)
        found = await checks.check_server(client)
        if not checks.failed(found):
            found.append(await checks.check_attributes(client, fix=fix))
            found.append(await checks.check_workers(client, task_queue))
    except PerdureError as error:
        return [Check(name="server", state="failed", text=str(error), mend="perdure dev")]
    except RPCError as error:
        return [Check(name="server", state="failed", text=error.message, mend="look at its log")]
    return found


def _check_app(spec: str) -> list[Check]:
    try:
        agents = load_project(spec)
        discover(agents)
    except PerdureError as error:
        return [Check(name="app", state="failed", text=str(error), mend="see the text")]
    found = [Check(name="agents", state="ok", text=", ".join(agents.names) or "none")]
    for kind in _KINDS:
        names = ", ".join(agents.declared.names(kind)) or "none"
        found.append(Check(name=f"{kind}s", state="ok", text=names))
    if servers := agents.declared.names("mcp"):
        found.append(Check(name="MCP servers", state="ok", text=", ".join(servers)))
    return [*found, _check_nodes(agents)]


def _check_nodes(agents: Agents) -> Check:
    """Look for what makes a worker refuse to start."""
    try:
        scan(agents, guard="error")
    except ImpureNode as error:
        mend = "see the text; or perdure.node(...) for a node that does its own I/O"
        return Check(name="nodes", state="failed", text=str(error), mend=mend)
    return Check(name="nodes", state="ok", text="none reads clock or chance")


def _print(found: Sequence[Check]) -> None:
    width = max(len(check.name) for check in found)
    for check in found:
        first, *rest = clean(check.text).splitlines() or [""]
        out(f"{_SIGNS[check.state]}  {check.name:<{width}}  {first}")
        for row in rest:
            out(f"{'':9}{'':<{width}}  {row}")
        if check.mend:
            out(f"{'':9}{'':<{width}}  mend: {check.mend}")
