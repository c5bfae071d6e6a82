"""Ticket desks without a tracker: the SQLite desk, and roundup's protocol with lost replies."""

import asyncio
import json
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from support_agent.desk import RoundupDesk, SqliteDesk, open_desk

EXAMPLES = Path(__file__).parents[3] / "examples"


def _rows(path):
    with closing(sqlite3.connect(path)) as db:
        return db.execute("SELECT title, body, customer FROM tickets").fetchall()


async def test_a_ticket_is_written(tmp_path):
    desk = SqliteDesk(path=tmp_path / "new" / "desk.sqlite")
    await desk.create("Title", "Body", "ann@example.com", "k1")
    assert _rows(desk.path) == [("Title", "Body", "ann@example.com")]


async def test_the_same_key_makes_one_ticket(tmp_path):
    desk = SqliteDesk(path=tmp_path / "desk.sqlite")
    first = await desk.create("Title", "Body", "ann@example.com", "k1")
    again = await desk.create("Other", "Other", "bob@example.com", "k1")
    assert again == first


async def test_another_key_makes_another_ticket(tmp_path):
    desk = SqliteDesk(path=tmp_path / "desk.sqlite")
    first = await desk.create("Title", "Body", "ann@example.com", "k1")
    second = await desk.create("Title", "Body", "ann@example.com", "k2")
    assert first.id != second.id


async def test_threads_with_one_key_make_one_ticket(tmp_path):
    desk = SqliteDesk(path=tmp_path / "desk.sqlite")
    made = await asyncio.gather(*(desk.create("T", "B", "a@b.c", "k") for _ in range(8)))
    assert len({ticket.id for ticket in made}) == 1


async def test_processes_with_one_key_make_one_ticket(tmp_path):
    code = (
        "import asyncio, pathlib, sys; from support_agent.desk import SqliteDesk\n"
        "desk = SqliteDesk(path=pathlib.Path(sys.argv[1]))\n"
        "for n in range(20): asyncio.run(desk.create('T', 'B', 'a@b.c', f'k{n}'))"
    )
    path = tmp_path / "desk.sqlite"
    started = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", code, path, cwd=EXAMPLES)
        for _ in range(2)
    ]
    assert [await process.wait() for process in started] == [0, 0]
    assert len(_rows(path)) == 20


async def test_text_of_any_script_is_kept(tmp_path):
    desk = SqliteDesk(path=tmp_path / "desk.sqlite")
    body = "\U0001f600 שלום '); DROP TABLE tickets; --"
    await desk.create("T", body, "a@b.c", "k")
    assert _rows(desk.path)[0][1] == body


async def test_a_title_becomes_one_line(tmp_path):
    desk = SqliteDesk(path=tmp_path / "desk.sqlite")
    assert (await desk.create("a\r\nb", "B", "a@b.c", "k")).title == "a b"


def test_a_path_opens_the_sqlite_desk():
    assert open_desk("some/desk.sqlite") == SqliteDesk(path=Path("some/desk.sqlite"))


def test_a_url_opens_the_roundup_desk():
    desk = open_desk("https://bot:p%40ss@desk.example:8443/support/")
    assert desk == RoundupDesk(url="https://desk.example:8443/support", user="bot", password="p@ss")


@pytest.mark.parametrize("url", ["http://desk.example/support", "http://bot@desk.example/support"])
def test_a_url_without_user_and_password_is_refused(url):
    with pytest.raises(ValueError, match="needs a user and a password"):
        open_desk(url)


class Tracker:
    """As much of roundup as the desk's protocol touches; `lose` says which posts lose a reply."""

    def __init__(self, *, lose=(), before=False):
        self.issues = {}
        self.tokens = set()
        self.posts = 0
        self.lose = set(lose)
        self.before = before

    def __call__(self, request):
        path = request.url.path.removeprefix("/t/rest/data/")
        if request.method == "GET":
            return self._list(request)
        if path == "msg":
            return _said(201, {"id": "1"})
        if path == "issue/@poe":
            token = f"t{len(self.tokens) + self.posts}"
            self.tokens.add(token)
            return _said(200, {"link": f"http://desk.example/t/rest/data/issue/@poe/{token}"})
        return self._post(request, path.rpartition("/")[2])

    def _list(self, request):
        mark = request.url.params["title"]
        found = [{"id": n, "title": t} for n, t in self.issues.items() if mark in t]
        return _said(200, {"collection": found})

    def _post(self, request, token):
        self.posts += 1
        lost = self.posts in self.lose
        if lost and self.before:
            self.tokens.discard(token)
            raise httpx.ReadTimeout("lost", request=request)
        if token not in self.tokens:
            return httpx.Response(400, json={"error": {"msg": "POE token not valid"}})
        self.tokens.discard(token)
        number = str(len(self.issues) + 1)
        self.issues[number] = json.loads(request.content)["title"]
        if lost:
            raise httpx.ReadError("lost", request=request)
        return _said(201, {"id": number})


def _said(status, data):
    return httpx.Response(status, json={"data": data})


def _desk(tracker):
    return RoundupDesk(
        url="http://desk.example/t", user="u", password="p", transport=httpx.MockTransport(tracker)
    )


async def test_a_lost_reply_does_not_make_a_second_issue():
    tracker = Tracker(lose=[1])
    ticket = await _desk(tracker).create("T", "B", "a@b.c", "k")
    assert (ticket.id, len(tracker.issues), tracker.posts) == ("1", 1, 2)


async def test_a_spent_token_without_an_issue_surfaces_the_lost_reply():
    tracker = Tracker(lose=[1], before=True)
    with pytest.raises(httpx.ReadTimeout):
        await _desk(tracker).create("T", "B", "a@b.c", "k")


async def test_a_second_lost_reply_surfaces():
    tracker = Tracker(lose=[1, 2], before=True)
    with pytest.raises(httpx.ReadTimeout):
        await _desk(tracker).create("T", "B", "a@b.c", "k")


async def test_the_next_attempt_after_a_lost_issue_creates_it():
    tracker = Tracker(lose=[1], before=True)
    with pytest.raises(httpx.ReadTimeout):
        await _desk(tracker).create("T", "B", "a@b.c", "k")
    await _desk(tracker).create("T", "B", "a@b.c", "k")
    assert len(tracker.issues) == 1
