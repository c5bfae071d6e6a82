"""The app: settings from the environment, and the whole agent outside Temporal."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from support_agent import app
from support_agent.desk import RoundupDesk, SqliteDesk
from support_agent.mailbox import Mailbox
from support_agent.offline import ADMISSION


def test_without_settings_the_app_uses_its_own_help_centre():
    assert (app.read_settings({}).kb / "reset-password.md").is_file()


def test_without_settings_a_person_has_a_day():
    assert app.read_settings({}).within == timedelta(hours=24)


def test_without_settings_tickets_go_to_a_local_file():
    assert app.read_settings({}).desk == SqliteDesk(path=Path(".perdure/desk.sqlite"))


def test_empty_settings_count_as_not_set():
    names = ("KB", "DESK", "SMTP", "FROM", "MODEL", "APPROVAL_HOURS")
    assert app.read_settings({f"SUPPORT_{name}": "" for name in names}).label == "offline"


def test_a_url_as_desk_is_a_tracker():
    settings = app.read_settings({"SUPPORT_DESK": "http://u:p@desk.example/support"})
    assert isinstance(settings.desk, RoundupDesk)


def test_hours_may_be_a_fraction():
    settings = app.read_settings({"SUPPORT_APPROVAL_HOURS": "0.5"})
    assert settings.within == timedelta(minutes=30)


@pytest.mark.parametrize("hours", ["a day", "0", "-1", "nan", "inf", "1e99"])
def test_hours_that_cannot_be_waited_are_refused(hours):
    with pytest.raises(ValueError, match="SUPPORT_APPROVAL_HOURS is"):
        app.read_settings({"SUPPORT_APPROVAL_HOURS": hours})


def test_the_agent_is_registered_as_support():
    assert app.agents.names == ["support"]


@pytest.fixture(scope="module")
def box(tmp_path_factory):
    with Mailbox(tmp_path_factory.mktemp("mail") / "inbox") as box:
        yield box


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    return tmp_path_factory.mktemp("desk") / "desk.sqlite"


@pytest.fixture(scope="module")
def agent(box, desk):
    """The agent that the app registers, with a mailbox and a desk of its own."""
    before = app.settings
    env = {"SUPPORT_SMTP": f"127.0.0.1:{box.port}", "SUPPORT_DESK": str(desk)}
    app.settings = replace(app.read_settings(env), label="offline")
    yield app.support().compile(checkpointer=InMemorySaver())
    app.settings = before


async def _answer(agent, message, thread):
    config = {"configurable": {"thread_id": thread}}
    await agent.ainvoke({"message": message, "customer": "ann@example.com"}, config)
    return await agent.ainvoke(Command(resume={"type": "approve", "by": "bea"}), config)


async def test_a_question_is_answered_from_the_help_centre_by_mail(agent, box):
    report = await _answer(agent, "How long is the password reset link valid?", "1")
    (mail,) = [one for one in box.messages() if one["Message-ID"] == report["message_id"]]
    assert "expires after 30 minutes" in mail.get_content().replace("\n", " ")


async def test_the_mail_admits_what_wrote_it(agent, box):
    report = await _answer(agent, "How do I descale the Larch?", "2")
    (mail,) = [one for one in box.messages() if one["Message-ID"] == report["message_id"]]
    assert mail.get_content().rstrip().endswith(ADMISSION)


async def test_an_angry_message_becomes_a_ticket(agent, desk):
    config = {"configurable": {"thread_id": "3"}}
    asked = {"message": "My lawyer will call you about the refund", "customer": "ann@example.com"}
    report = await agent.ainvoke(asked, config)
    with closing(sqlite3.connect(desk)) as db:
        rows = db.execute("SELECT customer FROM tickets WHERE id = ?", (report["ticket_id"],))
        assert rows.fetchall() == [("ann@example.com",)]


@pytest.mark.parametrize("message", ["Refund\0 \U0001f600?", "refund \u202eabc שלום"], ids=ascii)
async def test_strange_text_goes_through_search_model_and_mail(agent, message):
    assert (await _answer(agent, message, ascii(message)))["outcome"] == "sent"


def test_building_the_agent_touches_no_network(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("the network was touched")

    monkeypatch.setattr("socket.socket.connect", refuse)
    monkeypatch.setattr("socket.getaddrinfo", refuse)
    app.agents.build()
