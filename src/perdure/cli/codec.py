"""`perdure codec`: let Temporal's UI and CLI read encrypted and large values."""

import asyncio
import os
import secrets
from base64 import b64encode
from importlib.util import find_spec
from typing import Annotated

import typer

from perdure.cli.carrying import payloads_of
from perdure.cli.exit import Code, carry_out
from perdure.cli.options import App, AsJson, Verbose
from perdure.cli.output import err, out, write_json
from perdure.cli.project import load_project
from perdure.core.keyrings import SEAL_ENTRY, SECRET_BYTES
from perdure.core.offloading import Payloads
from perdure.errors import BadInput, MissingExtra
from perdure.storage.payloads import Carrier
from perdure.worker.factory import stop_signals

TOKEN = "PERDURE_CODEC_TOKEN"  # noqa: S105 - the name of the variable
PORT = 8234
UI_ORIGINS = ("http://127.0.0.1:8233", "http://localhost:8233")


def command(
    app: App = None,
    *,
    host: Annotated[str, typer.Option(help="The address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port; 0 is any.")] = PORT,
    origin: Annotated[
        list[str] | None,
        typer.Option(
            metavar="URL",
            help="A Temporal UI that may ask, as its pages' address begins; several are allowed.  "
            f"\\[default: {', '.join(UI_ORIGINS)}]",
            show_default=False,
        ),
    ] = None,
    new_key: Annotated[
        bool, typer.Option("--new-key", help="Only print a new key, for PERDURE_KEYS.")
    ] = False,
    seal: Annotated[
        bool,
        typer.Option(
            "--seal", help="Only print the seal of PERDURE_KEYS, to keep when the oldest key goes."
        ),
    ] = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Serve Temporal's codec protocol; who asks must send the token PERDURE_CODEC_TOKEN.

    Keys and blob store are those of PERDURE_KEYS and PERDURE_BLOBS, or of the app. Put a proxy
    with TLS before it where it is reached over a network.
    """

    async def work() -> int:
        if new_key:
            out(f"k{secrets.token_hex(3)}:{b64encode(secrets.token_bytes(SECRET_BYTES)).decode()}")
            return Code.DONE
        own = load_project(app).payloads if app is not None else None
        payloads = payloads_of(own) or Payloads()
        if seal:
            if not payloads.seal:
                raise BadInput("there are no keys: set PERDURE_KEYS")
            out(f"{SEAL_ENTRY}:{b64encode(payloads.seal).decode()}")
            return Code.DONE
        token = os.environ.get(TOKEN)
        if not token:
            raise BadInput(
                f"set {TOKEN} to a long random text: what asks here reads the runs in plain"
            )
        await _serve(payloads, token, host, port, origin or UI_ORIGINS, as_json=as_json)
        return Code.DONE

    carry_out(work(), as_json=as_json, verbose=verbose)


async def _serve(
    payloads: Payloads,
    token: str,
    host: str,
    port: int,
    origins: "list[str] | tuple[str, ...]",
    *,
    as_json: bool,
) -> None:
    check_installed()
    from perdure.server.codec import Endpoint, serving  # noqa: PLC0415 - needs an extra

    codec = Carrier(payloads)
    endpoint = Endpoint(codec=codec, token=token, origins=tuple(origins))
    try:
        async with serving(endpoint, host=host, port=port) as url:
            if as_json:
                write_json({"codec": url, "pid": os.getpid()}, line=True)
            else:
                err(f"codec endpoint at {url}, for pages of {', '.join(origins)}")
            await asked_to_stop()
    finally:
        await codec.close()


def check_installed() -> None:
    """See that an endpoint can be served.

    Raises:
        MissingExtra: The extra `server` is not installed.
    """
    if find_spec("starlette") is None or find_spec("uvicorn") is None:
        raise MissingExtra("the codec endpoint needs: pip install 'perdure[server]'")


async def asked_to_stop() -> None:
    """Wait for SIGTERM, Ctrl-C or a closed terminal."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in stop_signals():
        loop.add_signal_handler(number, stopped.set)
    await stopped.wait()
