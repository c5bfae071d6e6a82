"""`perdure worker`: run an app's agents."""

from pathlib import Path
from typing import Annotated

import typer

from perdure.cli.carrying import payloads_of
from perdure.cli.exit import Code, carry_out
from perdure.cli.options import (
    DEFAULT_QUEUE,
    Address,
    App,
    AsJson,
    Namespace,
    Profile,
    Store,
    StreamTo,
    TaskQueue,
    Threads,
    Verbose,
    Where,
)
from perdure.cli.output import err, write_json
from perdure.cli.project import Config, load_project, need_app
from perdure.cli.session import open_client
from perdure.cli.streams import FOLDER, STREAM_FILE, writing_sink
from perdure.core.jsons import Json
from perdure.storage.places import DATA
from perdure.worker.agents import Agents
from perdure.worker.factory import run_worker
from perdure.worker.scan import Guard


def command(
    app: App = None,
    *,
    config: Config = None,
    guard: Annotated[
        Guard, typer.Option(help="What happens when a node does I/O or reads the clock.")
    ] = "error",
    stream: StreamTo = None,
    store: Store = None,
    threads: Threads = None,
    data: Annotated[
        Path, typer.Option(help="Folder of the SQLite files, unless URLs are given.")
    ] = DATA,
    task_queue: TaskQueue = DEFAULT_QUEUE,
    address: Address = None,
    namespace: Namespace = None,
    profile: Profile = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Run the agents of an app until SIGTERM or Ctrl-C; calls that run are finished first."""
    where = Where(address=address, namespace=namespace, profile=profile)

    async def work() -> int:
        agents = load_project(need_app(app, config))
        agents.places.change(store=store, threads=threads, data=data)
        agents.sink = writing_sink(stream, agents.sink, FOLDER / STREAM_FILE)
        agents.payloads = payloads_of(agents.payloads)
        client = await open_client(where, verbose=verbose, payloads=agents.payloads)

        def ready(identity: str) -> None:
            tell_ready(agents, task_queue, client.target, identity, as_json=as_json)

        await run_worker(client.temporal, agents, task_queue=task_queue, guard=guard, ready=ready)
        err("stopped")
        return Code.DONE

    carry_out(work(), as_json=as_json, verbose=verbose)


def tell_ready(
    agents: Agents, task_queue: str, target: str, identity: str, *, as_json: bool
) -> None:
    """Say that the worker takes work: one line, of JSON if asked for."""
    if as_json:
        line: dict[str, Json] = {
            "ready": True,
            "identity": identity,
            "agents": list[Json](agents.names),
            "task_queue": task_queue,
            "server": target,
        }
        write_json(line, line=True)
    else:
        names = ", ".join(agents.names) or "no agents"
        err(f"worker {identity} runs {names} from task queue {task_queue!r} at {target}")
