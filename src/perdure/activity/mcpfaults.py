"""Say what went wrong with an MCP server, without anything secret. Activity side.

Nothing of `mcp` is imported: everything goes by class name, as for models' clients.
"""

import asyncio
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import cast
from urllib.parse import urlsplit

from perdure.activity import evidence
from perdure.activity.failure import classify
from perdure.core.causes import innermost
from perdure.core.jsons import Raw, shorten
from perdure.core.verdicts import Verdict

_SHORTEST = 6
"""Shorter values are too common to be masked wherever they stand."""
_SECRET_PARTS = ("headers", "env")
_CANNOT_START = (FileNotFoundError, PermissionError, NotADirectoryError)


class ServerFault(Exception):
    """A server could not be reached, or answered what is no answer."""

    def __init__(self, text: str, verdict: Verdict | None = None) -> None:
        super().__init__(text)
        self.perdure_verdict = verdict


class ServerLost(ServerFault, ConnectionError):
    """The connection to a server was lost; the call may be made again."""


class ServerSilent(ServerFault, TimeoutError):
    """A server did not answer in time."""


def plainly(error: BaseException, *, server: str, secrets: frozenset[str]) -> ServerFault:
    """Return what is raised instead of an error of a server's client."""
    link = innermost(error)
    text = mask(str(link) or type(link).__name__, secrets)
    subject = f"MCP server {server!r}"
    if isinstance(link, asyncio.TimeoutError):
        passing = Verdict(act="retry", reason="no answer in time")
        return ServerSilent(f"{subject}: {text}", passing)
    if isinstance(link, _CANNOT_START):
        final = Verdict(act="give_up", reason="its program cannot be started")
        return ServerFault(f"{subject}: {type(link).__name__}: {text}", final)
    told = evidence.find_status(link)
    verdict = classify(link, now=datetime.now(UTC), kind="tool")
    kind = ServerLost if verdict.act == "retry" and told is None else ServerFault
    return kind(f"{subject}: {text}", verdict)


def secrets_of(connection: Mapping[str, Raw]) -> frozenset[str]:
    """List the values of a connection that no text may show."""
    return frozenset(value for value in _values(connection) if len(value) >= _SHORTEST)


def mask(text: str, secrets: frozenset[str]) -> str:
    """Replace secrets in a text, and shorten it."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    return shorten(evidence.scrub(text), 300)


def _values(connection: Mapping[str, Raw]) -> Iterator[str]:
    for part in _SECRET_PARTS:
        held = cast("Mapping[str, Raw]", connection.get(part) or {})
        for value in held.values():
            yield str(value)
            yield from str(value).split()
    for argument in cast("list[Raw]", connection.get("args") or []):
        _, equals, value = str(argument).partition("=")
        if equals:
            yield value
    url = urlsplit(str(connection.get("url") or ""))
    yield url.query
    yield url.password or ""
