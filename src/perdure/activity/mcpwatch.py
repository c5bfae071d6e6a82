"""Notice that the answer to a call broke off on its way. Activity side.

A server that dies while it streams an answer over HTTP leaves the MCP client waiting for ever.
Each call bears a mark in its `_meta`, so that the broken stream can be laid to its call.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Mapping
from typing import cast

import httpx

from perdure.core.jsons import Raw
from perdure.core.toolservers import CALL_META

_HTTP = ("streamable_http", "streamable-http", "http")
_EVENTS = "text/event-stream"
_ID = re.compile(rb"(?:^|[\r\n])id:")


class Watch:
    """The calls of one session whose answers are on their way."""

    def __init__(self) -> None:
        self._expected: dict[str, asyncio.Future[str]] = {}

    def expect(self, call: str) -> asyncio.Future[str]:
        """Return what is set, to the reason, if the answer to a call breaks off."""
        return self._expected.setdefault(call, asyncio.get_running_loop().create_future())

    def forget(self, call: str) -> None:
        """Stop watching for a call."""
        self._expected.pop(call, None)

    def over(self, connection: Mapping[str, Raw]) -> Mapping[str, Raw]:
        """Return a connection whose HTTP client tells this watch of broken answers."""
        if connection.get("transport") not in _HTTP:
            return connection
        make = cast(
            "Callable[..., httpx.AsyncClient]",
            connection.get("httpx_client_factory") or httpx.AsyncClient,
        )

        def watched(**given: Raw) -> httpx.AsyncClient:
            client = make(**given)
            hooks = client.event_hooks
            hooks["response"] = [*hooks["response"], self._look]
            client.event_hooks = hooks
            return client

        return {**connection, "httpx_client_factory": watched}

    async def _look(self, response: httpx.Response) -> None:
        call = call_of(response.request)
        if call is None or not response.headers.get("content-type", "").startswith(_EVENTS):
            return
        stream = cast("httpx.AsyncByteStream", response.stream)
        response.stream = _Answer(stream, lambda why: self._broke(call, why))

    def _broke(self, call: str, why: str) -> None:
        waiting = self._expected.get(call)
        if waiting is not None and not waiting.done():
            waiting.set_result(why)


class _Answer(httpx.AsyncByteStream):
    """A stream of events that tells when it ends by itself: whoever got an answer closes it.

    With ids on its events the stream can be taken up again, which the MCP client does.
    """

    def __init__(self, inner: httpx.AsyncByteStream, tell: Callable[[str], None]) -> None:
        self._inner = inner
        self._tell = tell

    async def __aiter__(self) -> AsyncIterator[bytes]:
        resumable = False
        try:
            async for chunk in self._inner:
                resumable = resumable or _ID.search(chunk) is not None
                yield chunk
        except httpx.TransportError as error:
            if not resumable:
                self._tell(f"the answer broke off ({type(error).__name__})")
            raise
        if not resumable:
            self._tell("the server ended its answer in the middle")

    async def aclose(self) -> None:
        """Close the stream."""
        await self._inner.aclose()


def call_of(request: httpx.Request) -> str | None:
    """Return the mark of the call that a request makes; None if it makes none."""
    try:
        body: Raw = json.loads(request.content)
        mark: Raw = body["params"]["_meta"][CALL_META]
    except (ValueError, KeyError, TypeError, httpx.RequestNotRead):
        return None
    return mark if isinstance(mark, str) else None
