"""Sessions with MCP servers: one with each, kept open, opened again when lost. Activity side.

A session belongs to a task of its own, which opens and closes it, because the transports' cancel
scopes must be left where they were entered. Calls are made from the activities' tasks and raced
against that task: a transport that breaks ends it, and not always the call.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeAlias, TypeVar, cast

import httpx
from anyio import BrokenResourceError, ClosedResourceError
from langchain_mcp_adapters.sessions import Connection, create_session
from mcp import ClientSession, McpError
from mcp.types import CONNECTION_CLOSED

from perdure.activity.mcpwatch import Watch, call_of
from perdure.core.causes import innermost
from perdure.core.jsons import Raw

T = TypeVar("T")
Work: TypeAlias = Callable[[ClientSession], Awaitable[T]]
Connect = Callable[[], Awaitable[Mapping[str, Raw]]]
"""Makes a connection of the adapters; credentials are read anew at each opening."""
PING = timedelta(seconds=5)
"""How long a call may be silent before the server is asked whether it still knows the session."""
CLOSING = timedelta(seconds=5)
_TERMINATED = "Session terminated"
_NOT_KNOWN = (400, 404, 410)
"""How a server answers a request in a session that it does not know (any more)."""


class SessionLost(ConnectionError):
    """A session ended under a call."""

    def __init__(self, text: str, *, sent: bool) -> None:
        super().__init__(text)
        self.sent = sent
        """Whether the server may have seen the call."""


class AnswerLost(ConnectionError):
    """The answer to one call broke off; the session may be as it was."""


@dataclass(kw_only=True, eq=False)
class Session:
    """One open session."""

    watch: Watch
    client: asyncio.Future[ClientSession] = field(default_factory=asyncio.Future[ClientSession])
    owner: "asyncio.Task[None] | None" = None
    closing: asyncio.Event = field(default_factory=asyncio.Event)

    async def open(self, connect: Connect) -> None:
        """Open it.

        Raises:
            Exception: Why that failed.
        """
        self.owner = asyncio.create_task(self._own(connect))
        self.owner.add_done_callback(_look)
        try:
            await asyncio.wait({self.owner, self.client}, return_when=asyncio.FIRST_COMPLETED)
            if not self.client.done():
                await self.owner
        except BaseException:
            await self.close()
            raise

    async def _own(self, connect: Connect) -> None:
        told = self.watch.over(await connect())
        async with create_session(cast("Connection", told)) as session:
            await session.initialize()
            self.client.set_result(session)
            await self.closing.wait()

    async def call(self, work: Work[T], *, call: str) -> T:
        """Do one thing in the session; `call` is the mark that the request bears in `_meta`.

        Raises:
            SessionLost: The session is of no use any more.
            AnswerLost: The answer broke off on its way.
            McpError: The server answered with an error.
        """
        if self._ended():
            raise self._loss(call, sent=False)
        broken = self.watch.expect(call)
        task = asyncio.ensure_future(work(self.client.result()))
        try:
            await self._wait(task, broken, call)
            return await task
        except (ClosedResourceError, BrokenResourceError) as error:
            raise SessionLost("the session was closed", sent=False) from error
        except McpError as error:
            if _says_gone(error):
                gone = error.error.message == _TERMINATED
                raise SessionLost(error.error.message, sent=not gone) from error
            raise
        finally:
            self.watch.forget(call)
            await _end(task)

    async def _wait(self, task: asyncio.Future[T], broken: asyncio.Future[str], call: str) -> None:
        """Wait for an answer, or for a sign that none will come."""
        ping: asyncio.Task[object] | None = None
        owner = cast("asyncio.Task[None]", self.owner)
        try:
            while not task.done():
                watched: set[asyncio.Future[Raw]] = {task, broken, owner}
                if ping is not None:
                    watched.add(ping)
                done, _ = await asyncio.wait(
                    watched, timeout=PING.total_seconds(), return_when=asyncio.FIRST_COMPLETED
                )
                if task.done():
                    return
                if broken.done():
                    raise AnswerLost(broken.result())
                if owner.done():
                    raise self._loss(call, sent=True)
                if ping is not None and ping.done():
                    if (said := _refused(ping)) is not None:
                        raise SessionLost(said, sent=True)
                    ping = None
                elif not done and ping is None:
                    ping = asyncio.create_task(self.client.result().send_ping())
        finally:
            if ping is not None:
                await _end(ping)

    def _ended(self) -> bool:
        return self.owner is None or self.owner.done()

    def _loss(self, call: str, *, sent: bool) -> SessionLost:
        """Say why the session ended, and whether that was the answer to this very call."""
        owner = cast("asyncio.Task[None]", self.owner)
        error = None if owner.cancelled() else owner.exception()
        cause = innermost(error) if error is not None else None
        refused = isinstance(cause, httpx.ConnectError) or (
            isinstance(cause, httpx.HTTPStatusError) and cause.response.status_code in _NOT_KNOWN
        )
        if refused and call_of(cast("httpx.RequestError", cause).request) == call:
            sent = False
        lost = SessionLost(f"{type(cause).__name__}: {cause}" if cause else "closed", sent=sent)
        lost.__cause__ = cause
        return lost

    async def close(self) -> None:
        """Close it; a server that does not answer is left after a few seconds."""
        owner = self.owner
        if owner is None:
            return
        self.closing.set()
        if not self.client.done():
            owner.cancel()
        await asyncio.wait({owner}, timeout=CLOSING.total_seconds())
        await _end(owner)


@dataclass(kw_only=True, eq=False)
class Place:
    """Where the session with one server is kept."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    session: Session | None = None


class Sessions:
    """The sessions of one worker, on its event loop."""

    def __init__(self) -> None:
        self._places: dict[str, Place] = {}

    async def call(self, server: str, connect: Connect, work: Work[T], *, call: str) -> T:
        """Do one thing in the session with a server, which is opened if there is none.

        A session that turns out to be dead before the server saw the call is opened again at
        once; anything else is for the caller to try again.

        Raises:
            SessionLost: See `Session.call`.
            McpError: The server answered with an error.
            Exception: The session cannot be opened.
        """
        place = self._places.setdefault(server, Place())
        kept = place.session
        try:
            return await self._once(place, connect, work, call)
        except SessionLost as lost:
            if lost.sent or kept is None:
                raise
        return await self._once(place, connect, work, call)

    async def _once(self, place: Place, connect: Connect, work: Work[T], call: str) -> T:
        async with place.lock:
            session = place.session
            if session is None:
                session = Session(watch=Watch())
                await session.open(connect)
                place.session = session
        try:
            return await session.call(work, call=call)
        except SessionLost:
            if place.session is session:
                place.session = None
            await session.close()
            raise

    async def close(self) -> None:
        """Close every session."""
        places, self._places = list(self._places.values()), {}
        open_ones = [place.session for place in places if place.session is not None]
        await asyncio.gather(*(session.close() for session in open_ones))


def _says_gone(error: McpError) -> bool:
    return error.error.code == CONNECTION_CLOSED or error.error.message == _TERMINATED


def _refused(ping: asyncio.Task[object]) -> str | None:
    """Tell whether a ping shows that the session is gone; a server may know no pings."""
    error = None if ping.cancelled() else ping.exception()
    if isinstance(error, McpError):
        return error.error.message if _says_gone(error) else None
    return None if error is None else f"{type(error).__name__}: {error}"


async def _end(task: asyncio.Future[T]) -> None:
    """Cancel a task that nobody waits for any more, and let it end."""
    if not task.done():
        task.cancel()
    await asyncio.wait({task}, timeout=1)
    _look(task)


def _look(task: asyncio.Future[T]) -> None:
    """Take the exception of what nobody awaits, so that asyncio does not complain of it."""
    if task.done() and not task.cancelled():
        task.exception()
