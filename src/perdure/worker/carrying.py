"""Give clients, workers and replayers the converter that carries payloads."""

import logging
from ipaddress import ip_address

import temporalio.client
from temporalio.client import ClientConfig
from temporalio.converter import DataConverter
from temporalio.worker import ReplayerConfig, WorkerConfig

from perdure.core.offloading import Payloads
from perdure.errors import BadOption
from perdure.storage.payloads import LOCAL_FOLDER, carrier_of, compose
from perdure.worker.agents import Agents
from perdure.worker.quietlog import hide_texts

log = logging.getLogger("perdure.worker")


def carry_for_client(agents: Agents, config: ClientConfig) -> ClientConfig:
    """Compose the converter of a client that has the plugin."""
    config["data_converter"] = _composed(agents, config["data_converter"])
    return config


def carry_for_worker(agents: Agents, config: WorkerConfig) -> WorkerConfig:
    """Use the client's converter; a client without one is replaced, for the worker only.

    What such a client starts is not encrypted, and it reads no blob. So it must not lack the
    keys, and without settings only what Temporal refuses goes to the blob store.

    Raises:
        BadOption: There are keys and the client lacks them, or it has other settings.
    """
    client = config.get("client")
    if client is None:
        return config
    converter = client.data_converter
    if carrier_of(converter) is None:
        asked = agents.payloads
        if asked is not None and asked.encrypts:
            raise BadOption(
                "the agents have keys, and this worker's client does not: what it starts would "
                "stand in the history unencrypted. Give the client the plugin: "
                "Client.connect(..., plugins=[perdure.Plugin(agents)]), and leave it out at the "
                "worker; or connect with perdure.client.connect(payloads=...)"
            )
        converter = compose(asked or Payloads(), converter, plain_clients=asked is None)
        config["client"] = _like(client, converter)
    else:
        converter = _composed(agents, converter)
    _adopt(agents, converter, client.service_client.config.target_host)
    return config


def carry_for_replayer(agents: Agents, config: ReplayerConfig) -> ReplayerConfig:
    """Compose the converter of a replayer, which writes no blobs."""
    converter = _composed(agents, config.get("data_converter"), upload=False)
    config["data_converter"] = converter
    _adopt(agents, converter, None)
    return config


def _composed(
    agents: Agents, converter: DataConverter | None, *, upload: bool = True
) -> DataConverter:
    held = None if converter is None else carrier_of(converter)
    own = held.asked if held is not None and agents.payloads is None else agents.payloads
    return compose(own or Payloads(), converter, upload=upload)


def _adopt(agents: Agents, converter: DataConverter, host: str | None) -> None:
    carrier = carrier_of(converter)
    if carrier is None:
        return
    agents.carry(carrier.payloads)
    if carrier.payloads.encrypts:
        hide_texts()
    if carrier.payloads.local and host is not None and not is_loopback(host):
        log.warning(
            "large values go to the folder %s, which other machines cannot read; name a store "
            "that all workers and clients of %s reach: PERDURE_BLOBS or "
            "perdure.Payloads(blobs='s3://...')",
            LOCAL_FOLDER.absolute(),
            host,
        )


def _like(client: temporalio.client.Client, converter: DataConverter) -> temporalio.client.Client:
    """Return a client over the same connection, with another converter."""
    settings = client.config(active_config=True)
    settings["data_converter"] = converter
    settings["plugins"] = []
    return temporalio.client.Client(**settings)


def is_loopback(host: str) -> bool:
    """Tell whether a server's address, host:port, is on this machine."""
    name = host.rpartition("//")[2].rpartition(":")[0].strip("[]")
    try:
        return name == "localhost" or ip_address(name).is_loopback
    except ValueError:
        return False
