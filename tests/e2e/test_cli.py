"""The commands that a person types, against a real server and a real worker."""

import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from e2e.commands import Finished, perdure
from e2e.scene import CUSTOMER, PASSWORD, Scene

pytestmark = pytest.mark.timeout(90)

INPUT = json.dumps({"message": PASSWORD, "customer": CUSTOMER})


@dataclass(frozen=True, kw_only=True)
class Session:
    """What a person typed, in order, and what came back."""

    run_id: str
    scene: Scene
    run: Finished
    waiting: Finished
    approve: Finished
    watch: Finished
    show: Finished
    again: Finished

    @property
    def shown(self) -> dict[str, Any]:
        return self.show.document


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def session(
    steady: Scene, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[Session]:
    """Start a run, look at it, approve it, watch it end, look again, approve it again."""
    folder = tmp_path_factory.mktemp("cli")

    async def type_in(*words: str) -> Finished:
        return await perdure(*words, "--address", steady.address, cwd=folder)

    run_id = "typed-by-a-person"
    queue = ("--task-queue", steady.queue)
    run = await type_in("run", "support", "-i", INPUT, "--id", run_id, *queue)
    waiting = await type_in("show", run_id, "--json")
    approve = await type_in("approve", run_id, "--by", "ben")
    yield Session(
        run_id=run_id,
        scene=steady,
        run=run,
        waiting=waiting,
        approve=approve,
        watch=await type_in("watch", run_id),
        show=await type_in("show", run_id, "--json"),
        again=await type_in("reject", run_id, "-m", "too late"),
    )


def test_run_leaves_with_4_when_a_person_is_needed(session: Session):
    assert session.run.code == 4, session.run.err


@pytest.mark.parametrize("verb", ["approve", "reject", "edit"])
def test_run_shows_the_command_to_type(session: Session, verb: str):
    assert f"perdure {verb} {session.run_id}" in session.run.err


def test_show_tells_that_the_run_waits(session: Session):
    assert session.waiting.document["status"] == "waiting"


def test_show_tells_what_it_waits_for(session: Session):
    (question,) = session.waiting.document["open_questions"]
    assert question["args"]["to"] == CUSTOMER


def test_approve_succeeds(session: Session):
    assert session.approve.code == 0, session.approve.err


def test_watch_ends_with_the_run(session: Session):
    assert session.watch.code == 0, session.watch.err


def test_watch_says_that_it_is_done(session: Session):
    assert f"{session.run_id}  agent support  done" in session.watch.out


def test_show_tells_the_result(session: Session):
    assert session.shown["result"]["outcome"] == "sent"


def test_show_tells_who_decided(session: Session):
    (asked,) = [entry for entry in session.shown["entries"] if entry["type"] == "question"]
    assert asked["decision"]["by"] == "ben"


def test_show_counts_no_repeated_call(session: Session):
    assert session.shown["repeated_model_calls"] == 0


def test_the_mail_has_arrived(session: Session):
    arrived = [mail["Message-ID"] for mail in session.scene.mails()]
    assert arrived.count(session.shown["result"]["message_id"]) == 1


def test_a_decision_on_a_run_that_has_ended_fails_in_words(session: Session):
    assert session.again.code == 1
    assert "has ended" in session.again.err


@pytest.mark.parametrize("name", ["run", "approve", "watch", "show", "again"])
def test_no_command_leaves_a_process(session: Session, name: str):
    assert getattr(session, name).processes() == []


async def test_without_a_server_a_command_says_how_to_start_one(tmp_path: Path):
    finished = await perdure("show", "any", "--address", "127.0.0.1:1", cwd=tmp_path)
    assert finished.code == 1
    assert "perdure dev" in finished.err
