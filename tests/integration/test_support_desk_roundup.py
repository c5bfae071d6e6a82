"""The ticket desk against a real roundup tracker, started here on loopback."""

import asyncio
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
import pytest

from support_agent.desk import RoundupDesk, open_desk

PASSWORD = "a pass@word"
BIN = Path(sys.executable).parent
ROOT = os.geteuid() == 0


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _install(home, url):
    admin = [BIN / "roundup-admin", "-i", home]
    subprocess.run([*admin, "install", "classic", "anydbm"], check=True, capture_output=True)
    config = (home / "config.ini").read_text()
    for name, value in {
        "backend": "sqlite",
        "web": f"{url}/",
        "domain": "fernhill.example",
        "host": "127.0.0.1",
    }.items():
        config = re.sub(rf"(?m)^#?{name} = .*$", f"{name} = {value}", config, count=1)
    (home / "config.ini").write_text(config)
    subprocess.run([*admin, "initialise", PASSWORD], check=True, capture_output=True)
    if ROOT:
        for path in (home, *home.rglob("*")):
            shutil.chown(path, "nobody")


def _wait_until_ready(url, server, log):
    deadline = time.monotonic() + 60
    with httpx.Client(auth=("admin", PASSWORD), headers={"X-Requested-With": "rest"}) as http:
        while time.monotonic() < deadline:
            if server.poll() is not None:
                break
            try:
                if http.get(f"{url}/rest/data/issue").is_success:
                    return
            except httpx.TransportError:
                pass
    pytest.fail(f"roundup did not come up:\n{log.read_text()}")


@pytest.fixture(scope="module")
def tracker():
    """The URL of a running tracker. Its folder stands where user nobody may enter."""
    port = _free_port()
    url = f"http://127.0.0.1:{port}/support"
    with tempfile.TemporaryDirectory(prefix="roundup-") as folder:
        Path(folder).chmod(0o755)
        home, log = Path(folder, "tracker"), Path(folder, "server.log")
        _install(home, url)
        command = [BIN / "roundup-server", "-p", str(port), "-n", "127.0.0.1"]
        if ROOT:
            command += ["-u", "nobody"]
        with log.open("w") as output:
            server = subprocess.Popen(
                [*command, f"support={home}"],
                stdout=output,
                stderr=output,
                start_new_session=True,
                cwd=folder,
            )
        try:
            _wait_until_ready(url, server, log)
            yield url
        finally:
            # The server forks a child for each request, so its whole session ends.
            os.killpg(server.pid, signal.SIGTERM)
            server.wait(timeout=10)


@pytest.fixture
def desk(tracker):
    return RoundupDesk(url=tracker, user="admin", password=PASSWORD)


@pytest.fixture
def listed(tracker):
    """Read live issues back, past the desk: by a part of the title."""

    def read(part):
        with httpx.Client(
            auth=("admin", PASSWORD), headers={"X-Requested-With": "rest"}, timeout=30
        ) as http:
            found = http.get(
                f"{tracker}/rest/data/issue", params={"title": part, "@fields": "title,messages"}
            )
            issues = found.raise_for_status().json()["data"]["collection"]
            for issue in issues:
                number = issue["messages"][0]["id"]
                issue["text"] = http.get(f"{tracker}/msg{number}/").text
            return issues

    return read


async def test_an_issue_is_created_with_title_and_text(desk, listed):
    await desk.create("One kettle", "It leaks.", "ann@example.com", "run-one")
    (issue,) = listed("One kettle")
    assert "ann@example.com" in issue["text"]
    assert "It leaks." in issue["text"]


async def test_the_ticket_names_its_address(desk, tracker):
    ticket = await desk.create("Address", "Text", "ann@example.com", "run-address")
    assert ticket.url == f"{tracker}/issue{ticket.id}"


async def test_the_same_key_gives_the_same_issue(desk, listed):
    first = await desk.create("Twice", "Text", "ann@example.com", "run-twice")
    again = await desk.create("Twice", "Text", "ann@example.com", "run-twice")
    assert (again, len(listed("Twice"))) == (first, 1)


async def test_another_key_gives_another_issue(desk, listed):
    for key in ("run-a", "run-b"):
        await desk.create("Different", "Text", "ann@example.com", key)
    assert len(listed("Different")) == 2


async def test_creates_at_the_same_time_leave_one_issue(desk, listed):
    made = await asyncio.gather(
        *(desk.create("Race", "Text", "ann@example.com", "run-race") for _ in range(4)),
        return_exceptions=True,
    )
    # roundup may answer a crowd with an error; the next attempt then finds what is there.
    assert any(not isinstance(one, BaseException) for one in made)
    await desk.create("Race", "Text", "ann@example.com", "run-race")
    assert len(listed("Race")) == 1


async def test_a_duplicate_that_a_slower_create_left_is_retired(desk, tracker, listed):
    first = await desk.create("Left over", "Text", "ann@example.com", "run-left")
    headers = {"X-Requested-With": "rest", "Origin": tracker.rpartition("/")[0]}
    headers["Referer"] = f"{tracker}/"
    async with httpx.AsyncClient(auth=("admin", PASSWORD), headers=headers) as http:
        message = listed("Left over")[0]["messages"][0]["id"]
        copy = {"title": first.title, "messages": [message]}
        made = await http.post(f"{tracker}/rest/data/issue", json=copy)
        assert made.status_code == 201, made.text
    again = await desk.create("Left over", "Text", "ann@example.com", "run-left")
    assert [issue["id"] for issue in listed("Left over")] == [first.id] == [again.id]


async def test_a_lost_reply_does_not_make_a_second_issue(desk, tracker, listed):
    class Losing(httpx.AsyncHTTPTransport):
        lost = False

        async def handle_async_request(self, request):
            response = await super().handle_async_request(request)
            if "/@poe/" in request.url.path and not self.lost:
                self.lost = True
                await response.aclose()
                raise httpx.ReadError("the reply was lost", request=request)
            return response

    losing = RoundupDesk(url=tracker, user="admin", password=PASSWORD, transport=Losing())
    ticket = await losing.create("Lost reply", "Text", "ann@example.com", "run-lost")
    assert [issue["id"] for issue in listed("Lost reply")] == [ticket.id]


async def test_text_of_any_script_is_kept(desk, listed):
    await desk.create("Grüße \U0001f600 שלום", "\U0001f600 שלום & <b>", "a@b.c", "run-script")
    (issue,) = listed("Grüße")
    assert "\U0001f600 שלום" in issue["title"]
    assert "\U0001f600 שלום & <b>" in issue["text"]


async def test_a_wrong_password_surfaces_as_an_http_error(tracker):
    wrong = RoundupDesk(url=tracker, user="admin", password="wrong")
    with pytest.raises(httpx.HTTPStatusError, match="401"):
        await wrong.create("T", "B", "ann@example.com", "k")


async def test_a_tracker_that_is_not_there_surfaces_as_a_connect_error():
    nobody = RoundupDesk(url=f"http://127.0.0.1:{_free_port()}/x", user="admin", password="x")
    with pytest.raises(httpx.ConnectError):
        await nobody.create("T", "B", "ann@example.com", "k")


async def test_the_setting_of_the_app_opens_the_tracker(tracker, listed):
    desk = open_desk(tracker.replace("//", "//admin:a%20pass%40word@"))
    await desk.create("By setting", "Text", "ann@example.com", "run-setting")
    assert len(listed("By setting")) == 1
