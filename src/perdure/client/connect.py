"""Reach a Temporal server, by Temporal's own profiles and variables. Caller side."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import temporalio.client
from temporalio.converter import DataConverter
from temporalio.envconfig import ClientConfigProfile, ClientConnectConfig
from temporalio.runtime import LoggingConfig, Runtime, TelemetryConfig, TelemetryFilter
from temporalio.service import RetryConfig, RPCError

from perdure.client.runs import Client
from perdure.core.frames import StreamSink
from perdure.core.jsons import shorten
from perdure.core.offloading import Payloads
from perdure.errors import BadOption, ServerUnavailable
from perdure.storage.payloads import compose

ADDRESS = "127.0.0.1:7233"
NAMESPACE = "default"
WITHIN = timedelta(seconds=5)
"""How long a server may take to answer the first request."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where a client connects to."""

    address: str
    namespace: str
    settings: ClientConnectConfig
    """TLS, API key and headers, as Temporal's profile has them."""

    @property
    def tls(self) -> bool:
        """Whether the connection is encrypted."""
        return bool(self.settings.get("tls"))

    def __str__(self) -> str:
        return f"{self.address} (namespace {self.namespace}{', TLS' if self.tls else ''})"


def find_target(
    address: str | None = None,
    *,
    namespace: str | None = None,
    profile: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> Target:
    """Read Temporal's configuration file and variables; arguments win over them.

    `environment` holds the variables (TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, TEMPORAL_API_KEY,
    TEMPORAL_TLS_..., TEMPORAL_PROFILE). Without it neither they nor the file are read.

    Raises:
        BadOption: The profile does not exist, the file cannot be read, the address is none.
    """
    settings: ClientConnectConfig = {}
    if environment is not None:
        try:
            settings = ClientConfigProfile.load(
                profile, override_env_vars=environment
            ).to_client_connect_config()
        except (RuntimeError, ValueError, OSError, TypeError) as error:
            raise BadOption(f"Temporal's configuration cannot be used: {error}") from error
    elif profile is not None:
        raise BadOption("a profile is read from Temporal's configuration: pass `environment` too")
    where = address or settings.get("target_host") or ADDRESS
    host, _, port = where.rpartition(":")
    if not host or not port.isdigit():
        raise BadOption(f"address={where!r}: write host:port, as in {ADDRESS}")
    return Target(
        address=where,
        namespace=namespace or settings.get("namespace") or NAMESPACE,
        settings=settings,
    )


async def connect(
    address: str | None = None,
    *,
    namespace: str | None = None,
    profile: str | None = None,
    environment: Mapping[str, str] | None = None,
    plugins: Sequence[temporalio.client.Plugin] = (),
    payloads: Payloads | None = None,
    data_converter: DataConverter = DataConverter.default,
    identity: str | None = None,
    runtime: Runtime | None = None,
    sink: StreamSink | None = None,
    within: timedelta = WITHIN,
) -> Client:
    """Connect to a Temporal server and return Perdure's client. Runs in any process.

    The server's address defaults to 127.0.0.1:7233, the namespace to "default". `sink` is where
    the workers send the streams of runs, if you want to read those. `payloads` says where large
    values rest and which keys encrypt; it must be what the workers have. A `data_converter` of
    yours keeps its codec, which is applied first.

    Raises:
        ServerUnavailable: No server answered `within` this time; the text says what to do.
        BadOption: The address, the profile or `payloads` cannot be used.
        MissingExtra: There are keys, and the extra `crypto` is not installed.
    """
    converter = compose(payloads or Payloads(), data_converter)
    target = find_target(address, namespace=namespace, profile=profile, environment=environment)
    settings = target.settings
    try:
        async with asyncio.timeout(within.total_seconds()):
            held = await temporalio.client.Client.connect(
                target.address,
                namespace=target.namespace,
                api_key=settings.get("api_key"),
                tls=settings.get("tls"),
                rpc_metadata=settings.get("rpc_metadata") or {},
                plugins=list(plugins),
                data_converter=converter,
                identity=identity,
                runtime=runtime,
                retry_config=RetryConfig(max_interval_millis=1000, max_elapsed_time_millis=8000),
            )
    except TimeoutError as error:
        raise _silent(target, f"no answer within {within.total_seconds():g} s") from error
    except (RuntimeError, OSError, ValueError, RPCError) as error:
        raise _silent(target, _reason(str(error))) from error
    return Client(held, target=str(target), sink=sink)


def _silent(target: Target, reason: str) -> ServerUnavailable:
    return ServerUnavailable(
        f"no Temporal server can be reached at {target} ({reason}). Start one with `perdure dev`, "
        "or name another: --address host:port, TEMPORAL_ADDRESS or a profile of Temporal's"
    )


def _reason(text: str) -> str:
    """Find the operating system's own words in the SDK's report of a failed connection."""
    said = re.search(r'message: "([^"]+)"', text)
    return said[1].lower() if said else shorten(text, 240)


def quiet_runtime(level: str = "ERROR") -> None:
    """Make Temporal's core log only what is at least `level`. Call it before connecting."""
    filters = TelemetryFilter(core_level=level, other_level="ERROR")
    Runtime.set_default(
        Runtime(telemetry=TelemetryConfig(logging=LoggingConfig(filter=filters))),
        error_if_already_set=False,
    )
