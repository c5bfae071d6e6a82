"""Open the client that a command needs. Here the environment becomes arguments."""

import os

from perdure.cli.carrying import payloads_of
from perdure.cli.options import Where
from perdure.client import Client, connect, quiet_runtime
from perdure.core.frames import StreamSink
from perdure.core.offloading import Payloads


async def open_client(
    where: Where,
    *,
    verbose: bool = False,
    sink: StreamSink | None = None,
    payloads: Payloads | None = None,
) -> Client:
    """Connect to the server of the command line, the environment or Temporal's profile.

    Payloads are carried as `payloads` says, else as the variables do.

    Raises:
        ServerUnavailable: No server answers.
        BadOption: The address, the profile or the keys cannot be used.
    """
    quiet_runtime("WARN" if verbose else "ERROR")
    return await connect(
        where.address,
        namespace=where.namespace,
        profile=where.profile,
        environment=dict(os.environ),
        sink=sink,
        payloads=payloads or payloads_of(),
    )
