"""The codec endpoint: lets Temporal's UI and CLI read what runs wrote. Needs no worker.

Temporal's codec protocol: `POST /decode` and `POST /encode` with payloads as JSON, the
namespace in a header. It hands out plain text, so it denies by default: a bearer token is
needed, other than in `perdure dev`, where only this machine reaches it.
"""

import asyncio
import hmac
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from json import dumps, loads
from typing import TypeAlias, cast
from urllib.parse import urlsplit

import uvicorn
from google.protobuf.json_format import MessageToJson, ParseDict, ParseError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.converter import (
    PayloadCodec,
    WithSerializationContext,
    WorkflowSerializationContext,
)

from perdure.client.poll import until
from perdure.core.jsons import Raw
from perdure.core.names import BLOB_ENCODING, BLOB_SIZE
from perdure.errors import BadOption, PerdureError, PortTaken, Unavailable

NAMESPACE_HEADER = "x-namespace"
LONGEST_BODY = 16 * 1024 * 1024
LARGEST_SHOWN = 8 * 1024 * 1024
"""Bytes of one value that is handed out; a browser shows no more anyway."""
START_WITHIN = timedelta(seconds=10)
_LEAST_TOKEN = 16
_LOOPBACK = frozenset(("127.0.0.1", "localhost", "::1"))
_ALLOWED = f"content-type,authorization,{NAMESPACE_HEADER},temporal-namespace"

Change: TypeAlias = Callable[[PayloadCodec, Payload], Awaitable[Payload]]


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """What a codec endpoint serves, and to whom."""

    codec: PayloadCodec
    token: str | None = field(default=None, repr=False)
    """The bearer token that is demanded; None answers programs of this machine only."""
    origins: Sequence[str] = ()
    """The addresses of web pages that may ask, as `http://127.0.0.1:8233`."""

    def __post_init__(self) -> None:
        if self.token is not None and len(self.token) < _LEAST_TOKEN:
            raise BadOption(
                f"a token of {len(self.token)} characters: at least {_LEAST_TOKEN} are needed"
            )

    def app(self) -> Starlette:
        """Return the endpoint as an ASGI application."""
        return Starlette(
            routes=[
                Route("/decode", self._decode, methods=["POST", "OPTIONS"]),
                Route("/encode", self._encode, methods=["POST", "OPTIONS"]),
            ]
        )

    async def _decode(self, request: Request) -> Response:
        return await self._answer(request, _shown)

    async def _encode(self, request: Request) -> Response:
        return await self._answer(request, _written)

    async def _answer(self, request: Request, change: Change) -> Response:
        refused = self._refuse(request)
        if refused is not None:
            return self._crossing(request, refused)
        if request.method == "OPTIONS":
            return self._crossing(request, Response(status_code=204))
        try:
            sent = _parse(await _body(request))
            codec = self._codec_of(request)
            answer = Payloads(payloads=[await change(codec, p) for p in sent.payloads])
            response = Response(MessageToJson(answer, indent=None), media_type="application/json")
        except (ParseError, ValueError, RecursionError) as error:
            response = _error(400, "bad_request", f"the body is no list of payloads: {error}")
        except PerdureError as error:
            response = _error(413 if error.code == "bad_option" else 503, error.code, str(error))
        return self._crossing(request, response)

    def _refuse(self, request: Request) -> Response | None:
        origin = request.headers.get("origin")
        if origin is not None and origin not in self.origins:
            return _error(403, "not_allowed", "this page may not ask here: name it as an origin")
        if self.token is None:
            # A name that was made to point here (DNS rebinding) is not this machine's.
            if _host(request) not in _LOOPBACK:
                return _error(403, "not_allowed", "only this machine may ask here")
            return None
        if request.method == "OPTIONS":
            return None
        kind, _, given = request.headers.get("authorization", "").partition(" ")
        right = hmac.compare_digest(given.strip().encode(), self.token.encode())
        if kind.lower() != "bearer" or not right:
            refused = _error(401, "not_allowed", "send Authorization: Bearer TOKEN")
            refused.headers["www-authenticate"] = "Bearer"
            return refused
        return None

    def _crossing(self, request: Request, response: Response) -> Response:
        """Let the pages of the known origins, and no others, read an answer."""
        origin = request.headers.get("origin")
        response.headers["vary"] = "origin"
        response.headers["cache-control"] = "no-store"
        if origin is not None and origin in self.origins:
            response.headers["access-control-allow-origin"] = origin
            response.headers["access-control-allow-methods"] = "POST"
            response.headers["access-control-allow-headers"] = _ALLOWED
            response.headers["access-control-allow-credentials"] = "true"
        return response

    def _codec_of(self, request: Request) -> PayloadCodec:
        namespace = request.headers.get(NAMESPACE_HEADER, "default")
        if isinstance(self.codec, WithSerializationContext):
            context = WorkflowSerializationContext(namespace=namespace, workflow_id="")
            return self.codec.with_context(context)
        return self.codec


@asynccontextmanager
async def serving(endpoint: Endpoint, *, host: str, port: int) -> AsyncGenerator[str]:
    """Serve while the block runs; yields the address.

    Raises:
        BadOption: The address is not of this machine, and there is no token.
        PortTaken: Another program listens there.
    """
    if endpoint.token is None and host not in _LOOPBACK:
        raise BadOption(f"host={host!r} needs a token: everybody who reaches it could read runs")
    config = uvicorn.Config(
        endpoint.app(), host=host, port=port, log_level="error", lifespan="off", access_log=False
    )
    listening = _bind(host, port)
    server = _Server(config)
    number = int(listening.getsockname()[1])
    task = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        if not await until(server.is_up, within=START_WITHIN):
            raise Unavailable(f"the codec endpoint did not start within {START_WITHIN}")
        yield f"http://{host}:{number}"
    finally:
        server.should_exit = True
        await task
        listening.close()


def _bind(host: str, port: int) -> socket.socket:
    made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
    except OSError as error:
        made.close()
        raise PortTaken(
            f"port {port} of {host} cannot be used ({error.strerror}): choose another one"
        ) from error
    return made


class _Server(uvicorn.Server):
    """A server that leaves signals to the command that it is part of."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield

    async def is_up(self) -> bool | None:
        return True if self.started else None


async def _shown(codec: PayloadCodec, payload: Payload) -> Payload:
    """Decode; what cannot be read becomes a text that says why, so that the rest is shown."""
    size = payload.metadata.get(BLOB_SIZE, b"0")
    large = payload.metadata.get("encoding") == BLOB_ENCODING.encode()
    if large and size.isdigit() and int(size) > LARGEST_SHOWN:
        return _note(f"a value of {int(size):,} bytes, too large to be shown here")
    try:
        return (await codec.decode([payload]))[0]
    except PerdureError as error:
        return _note(f"[{error.code}] {error}")


async def _written(codec: PayloadCodec, payload: Payload) -> Payload:
    return (await codec.encode([payload]))[0]


async def _body(request: Request) -> str:
    read = bytearray()
    async for part in request.stream():
        read += part
        if len(read) > LONGEST_BODY:
            raise BadOption(f"a body of more than {LONGEST_BODY:,} bytes")
    return read.decode()


def _parse(text: str) -> Payloads:
    data = loads(text)
    if not isinstance(data, dict):
        raise ParseError("it is no object")
    return ParseDict(cast("Raw", data), Payloads(), ignore_unknown_fields=True)


def _note(text: str) -> Payload:
    return Payload(metadata={"encoding": b"json/plain"}, data=dumps(f"({text})").encode())


def _host(request: Request) -> str:
    return urlsplit(f"//{request.headers.get('host', '')}").hostname or ""


def _error(status: int, code: str, message: str) -> JSONResponse:
    return JSONResponse({"error": {"code": code, "message": message}}, status_code=status)
