"""Where tickets go: a port and two adapters. Both create one ticket per key, however often asked.

`SqliteDesk` is a file next to the worker. `RoundupDesk` is a real tracker over its REST API.
"""

import asyncio
import hashlib
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

import httpx

_LONGEST_TITLE = 200
_SCHEMA = """
CREATE TABLE IF NOT EXISTS tickets (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL UNIQUE,
    title TEXT NOT NULL,
    body TEXT NOT NULL,
    customer TEXT NOT NULL,
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))
)
"""


@dataclass(frozen=True, kw_only=True)
class Ticket:
    """A ticket that exists."""

    id: str
    title: str
    url: str | None = None


class Desk(Protocol):
    """A place that takes tickets."""

    async def create(self, title: str, body: str, customer: str, key: str) -> Ticket:
        """Create a ticket, or return the one that this key already made."""
        ...


@dataclass(frozen=True, kw_only=True)
class SqliteDesk:
    """Tickets in one SQLite file; the file and its folder are made at the first ticket.

    Several processes may share the file: the UNIQUE key decides, and a writer waits for
    another up to `patience`.
    """

    path: Path
    patience: timedelta = timedelta(seconds=30)

    async def create(self, title: str, body: str, customer: str, key: str) -> Ticket:
        """Create a ticket, or return the one that this key already made."""
        return await asyncio.to_thread(self._create, _one_line(title), body, customer, key)

    def _create(self, title: str, body: str, customer: str, key: str) -> Ticket:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        patience = self.patience.total_seconds()
        with closing(sqlite3.connect(self.path, timeout=patience)) as db, db:
            db.execute("BEGIN IMMEDIATE")
            db.execute(_SCHEMA)
            db.execute(
                "INSERT INTO tickets(key, title, body, customer) VALUES (?, ?, ?, ?) "
                "ON CONFLICT(key) DO NOTHING",
                (key, title, body, customer),
            )
            row = db.execute("SELECT id, title FROM tickets WHERE key = ?", (key,)).fetchone()
        return Ticket(id=str(row[0]), title=row[1])


@dataclass(frozen=True, kw_only=True)
class RoundupDesk:
    """Issues in a roundup tracker.

    The key, shortened to a mark in the title, is looked up before anything is created. The
    issue itself is posted with a Post-Once-Exactly token, so a lost reply cannot make a
    second one. Two creates that overlap in time each hold a token of their own: both look
    again afterwards, keep the lowest number and retire the rest. Whatever HTTP has to say
    against it surfaces as an httpx exception.
    """

    url: str
    """The tracker's address, such as http://127.0.0.1:8080/support, without user and password."""
    user: str
    password: str
    timeout: timedelta = timedelta(seconds=20)
    transport: httpx.AsyncBaseTransport | None = None
    """Replaces the network, for tests."""

    async def create(self, title: str, body: str, customer: str, key: str) -> Ticket:
        """Create an issue, or return the one that this key already made."""
        mark = f"[perdure-{hashlib.sha256(key.encode()).hexdigest()[:20]}]"
        async with self._client() as http:
            issues = await self._find(http, mark)
            if not issues:
                message = await self._write(http, f"From: {customer}\n\n{body}")
                lost = await self._post_once(http, f"{_one_line(title)} {mark}", message)
                issues = await self._find(http, mark)
                if lost is not None and not issues:
                    raise lost
            if not issues:
                msg = (
                    f"The tracker at {self.url!r} took the ticket but does not list it under "
                    f"{mark!r}. Check that {self.user!r} may view and search issues."
                )
                raise RuntimeError(msg)
            kept, *rest = issues
            for issue in rest:
                await self._retire(http, issue["id"])
        return Ticket(id=kept["id"], title=kept["title"], url=f"{self.url}/issue{kept['id']}")

    def _client(self) -> httpx.AsyncClient:
        parts = urlsplit(self.url)
        # Without these three, roundup takes a request with a password for a forged one.
        proof = {
            "X-Requested-With": "rest",
            "Referer": f"{self.url}/",
            "Origin": f"{parts.scheme}://{parts.netloc}",
        }
        return httpx.AsyncClient(
            base_url=f"{self.url}/rest/data/",
            auth=(self.user, self.password),
            headers=proof,
            timeout=self.timeout.total_seconds(),
            transport=self.transport,
        )

    async def _find(self, http: httpx.AsyncClient, mark: str) -> list[dict[str, Any]]:
        """Return the live issues with this mark, oldest first."""
        asked = {"title": mark, "@fields": "title"}
        found = _data(await http.get("issue", params=asked))["collection"]
        return sorted(
            (issue for issue in found if issue["title"].endswith(mark)),
            key=lambda issue: int(issue["id"]),
        )

    async def _write(self, http: httpx.AsyncClient, text: str) -> str:
        # roundup asks who is told about an issue, and breaks on a message without author.
        message = {"content": text, "author": self.user, "date": "."}
        return _data(await http.post("msg", json=message))["id"]

    async def _post_once(
        self, http: httpx.AsyncClient, title: str, message: str
    ) -> httpx.TransportError | None:
        """Post the issue; return the error if the first reply was lost and the second says spent.

        A spent token proves only that the first post arrived, so the caller looks for it.
        """
        link = _data(await http.post("issue/@poe", json={"lifetime": 1800}))["link"]
        issue = {"title": title, "messages": [message]}
        try:
            _data(await http.post(link, json=issue))
        except httpx.TransportError as lost:
            again = await http.post(link, json=issue)
            if again.status_code == HTTPStatus.BAD_REQUEST:
                return lost
            again.raise_for_status()
        return None

    async def _retire(self, http: httpx.AsyncClient, issue: str) -> None:
        """Retire a duplicate. That another process was quicker is as good."""
        gone = {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}
        seen = await http.get(f"issue/{issue}")
        if seen.status_code in gone:
            return
        etag = _data(seen)["@etag"]
        done = await http.delete(f"issue/{issue}", headers={"If-Match": etag})
        if done.status_code not in gone | {HTTPStatus.PRECONDITION_FAILED}:
            done.raise_for_status()


def open_desk(where: str) -> SqliteDesk | RoundupDesk:
    """Return the desk that a setting names: a file path, or the URL of a roundup tracker."""
    if not where.lower().startswith(("http://", "https://")):
        return SqliteDesk(path=Path(where))
    parts = urlsplit(where)
    host = parts.netloc.rpartition("@")[2]
    url = f"{parts.scheme}://{host}{parts.path}".rstrip("/")
    if not parts.username or parts.password is None:
        msg = (
            f"The ticket desk {url!r} needs a user and a password. "
            "Write SUPPORT_DESK as http://user:password@host:port/tracker."
        )
        raise ValueError(msg)
    return RoundupDesk(url=url, user=unquote(parts.username), password=unquote(parts.password))


def _data(response: httpx.Response) -> dict[str, Any]:
    return response.raise_for_status().json()["data"]


def _one_line(title: str) -> str:
    return " ".join(title.split())[:_LONGEST_TITLE]
