"""A client for a command; with an app given, a worker and if need be a server in this process."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from perdure.cli.carrying import payloads_of
from perdure.cli.dev import PORT
from perdure.cli.options import Where
from perdure.cli.output import err
from perdure.cli.project import load_project
from perdure.cli.session import open_client
from perdure.cli.streams import STREAM_FILE, reading_sink, writing_sink
from perdure.client import Client, connect
from perdure.core.frames import StreamSink
from perdure.core.offloading import Payloads
from perdure.errors import BadInput, ServerUnavailable
from perdure.testing.servers import DevServer
from perdure.worker.factory import make_worker


def split_app(text: str) -> tuple[str | None, str]:
    """Read AGENT, APP:AGENT or APP; returns the app, if one is named, and the agent's name."""
    app, colon, agent = text.rpartition(":")
    if colon and (app.endswith(".py") or Path(app).exists()):
        return app, agent
    if text.endswith(".py") or ("/" in text and Path(text).exists()):
        return text, ""
    return None, text


@asynccontextmanager
async def connected(
    where: Where,
    app: str | None,
    *,
    agent: str,
    data: Path,
    stream: str | None,
    task_queue: str,
    verbose: bool,
) -> AsyncGenerator[tuple[Client, str]]:
    """Connect, and yield the client with the agent's name.

    With an app its worker runs here as well, and so does a server if none answers.

    Raises:
        ServerUnavailable: No server answers, and no app was given.
        BadInput: The app has several agents and none was named.
    """
    async with AsyncExitStack() as stack:
        if app is None:
            sink = reading_sink(stream)
            if sink is not None:
                stack.callback(sink.close)
            yield await open_client(where, verbose=verbose, sink=sink), agent
            return
        agents = load_project(app)
        chosen = _choose(agent, agents.names, app)
        agents.places.change(data=data)
        agents.sink = sink = writing_sink(stream, agents.sink, data / STREAM_FILE)
        if sink is not None:
            stack.callback(sink.close)
        agents.payloads = payloads = payloads_of(agents.payloads, data=data)
        client = await _reach(stack, where, data, sink, payloads, verbose=verbose)
        worker = make_worker(client.temporal, agents, task_queue=task_queue)
        await stack.enter_async_context(worker)
        yield client, chosen


def _choose(agent: str, names: list[str], app: str) -> str:
    if agent or len(names) == 1:
        return agent or names[0]
    raise BadInput(f"{app} has {len(names)} agents; say which: {app}:{names[0] if names else ''}")


async def _reach(
    stack: AsyncExitStack,
    where: Where,
    data: Path,
    sink: StreamSink | None,
    payloads: Payloads | None,
    *,
    verbose: bool,
) -> Client:
    try:
        return await open_client(where, verbose=verbose, sink=sink, payloads=payloads)
    except ServerUnavailable:
        if where.address is not None:
            raise
    server = await stack.enter_async_context(DevServer(data=data, port=PORT))
    err(f"no Temporal server answered, so one runs here: {server.address}, data in {data}")
    return await connect(server.address, sink=sink, payloads=payloads)
