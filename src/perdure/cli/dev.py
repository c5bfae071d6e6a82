"""`perdure dev`: Temporal, its UI and a worker on one machine."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import typer

from perdure.cli.carrying import FOLDER, payloads_of
from perdure.cli.codec import asked_to_stop, check_installed
from perdure.cli.exit import Code, carry_out
from perdure.cli.options import DEFAULT_QUEUE, AsJson, Store, StreamTo, TaskQueue, Threads, Verbose
from perdure.cli.output import err, write_json
from perdure.cli.project import Config, choose_app, load_project
from perdure.cli.streams import STREAM_FILE, writing_sink
from perdure.cli.worker import tell_ready
from perdure.client.connect import ADDRESS, connect, quiet_runtime
from perdure.core.offloading import Payloads
from perdure.errors import MissingExtra
from perdure.storage.payloads import Carrier
from perdure.testing.servers import HOST, DevServer, free_port
from perdure.worker.agents import Agents
from perdure.worker.factory import run_worker
from perdure.worker.scan import Guard

PORT = 7233
UI_PORT = 8233


def command(
    app: Annotated[
        str | None,
        typer.Argument(
            metavar="[APP]",
            help="A file, a folder or a module.  \\[default: the langgraph.json of this folder, "
            "or no worker]",
            show_default=False,
        ),
    ] = None,
    *,
    config: Config = None,
    port: Annotated[int, typer.Option(help="Port of Temporal's server; 0 is any.")] = PORT,
    ui_port: Annotated[int, typer.Option(help="Port of Temporal's Web UI; 0 is any.")] = UI_PORT,
    data: Annotated[Path, typer.Option(help="Folder of the databases.")] = Path(".perdure"),
    guard: Annotated[
        Guard, typer.Option(help="What happens when a node does I/O or reads the clock.")
    ] = "error",
    stream: StreamTo = None,
    store: Store = None,
    threads: Threads = None,
    task_queue: TaskQueue = DEFAULT_QUEUE,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Start Temporal's dev server, its Web UI and a worker; Ctrl-C stops all of it.

    Runs, approvals and histories are in one file and are all there at the next start. Only
    this machine can reach it. Not for production: use `perdure worker` with a real server.
    """

    async def work() -> int:
        chosen = choose_app(app, config)
        agents = load_project(chosen) if chosen is not None else None
        if agents is not None:
            agents.places.change(store=store, threads=threads, data=data)
            agents.sink = writing_sink(stream, agents.sink, data / STREAM_FILE)
        payloads = payloads_of(None if agents is None else agents.payloads, data=data)
        async with _started(data, port, ui_port, payloads or Payloads()) as server:
            _tell_server(server, as_json=as_json)
            if data != FOLDER and payloads is not None and not as_json:
                err(f"for other commands: export PERDURE_BLOBS={payloads.blobs}")
            await _serve(
                server,
                agents,
                payloads,
                task_queue=task_queue,
                guard=guard,
                as_json=as_json,
                verbose=verbose,
            )
        err("stopped; the next `perdure dev` goes on from here")
        return Code.DONE

    carry_out(work(), as_json=as_json, verbose=verbose)


@asynccontextmanager
async def _started(
    data: Path, port: int, ui_port: int, payloads: Payloads
) -> AsyncGenerator[DevServer]:
    """Start the server, and what its UI reads encrypted and large values with."""
    try:
        check_installed()
    except MissingExtra as error:
        if payloads.encrypts:
            err(f"warning: Temporal's UI shows encrypted values as they are; {error}")
        async with DevServer(data=data, port=port, ui_port=ui_port) as server:
            yield server
        return
    from perdure.server.codec import Endpoint, serving  # noqa: PLC0415 - needs an extra

    own = free_port()
    extra = ("--ui-codec-endpoint", f"http://{HOST}:{own}")
    codec = Carrier(payloads)
    try:
        async with DevServer(data=data, port=port, ui_port=ui_port, extra=extra) as server:
            origins = (f"http://{HOST}:{server.ui_port}", f"http://localhost:{server.ui_port}")
            async with serving(Endpoint(codec=codec, origins=origins), host=HOST, port=own):
                yield server
    finally:
        await codec.close()


def _tell_server(server: DevServer, *, as_json: bool) -> None:
    if as_json:
        write_json({"address": server.address, "ui": server.ui_url, "pid": server.pid}, line=True)
        return
    err(f"Temporal     {server.address}")
    err(f"Temporal UI  {server.ui_url}")
    err(f"data         {server.file}")
    if server.address != ADDRESS:
        err(f"for other commands: export TEMPORAL_ADDRESS={server.address}")


async def _serve(
    server: DevServer,
    agents: Agents | None,
    payloads: Payloads | None,
    *,
    task_queue: str,
    guard: Guard,
    as_json: bool,
    verbose: bool,
) -> None:
    """Run the worker, or only wait, until somebody says stop."""
    if agents is None:
        err("no app was given, so no worker runs: perdure worker APP")
        await asked_to_stop()
        return
    quiet_runtime("WARN" if verbose else "ERROR")
    agents.payloads = payloads
    client = await connect(server.address, payloads=payloads)

    def ready(identity: str) -> None:
        tell_ready(agents, task_queue, client.target, identity, as_json=as_json)
        if not as_json:
            err("ready; Ctrl-C stops everything")

    await run_worker(client.temporal, agents, task_queue=task_queue, guard=guard, ready=ready)
