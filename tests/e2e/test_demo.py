"""The demo, as a newcomer runs it: one command, no server, no key."""

import asyncio
import re
import signal
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_asyncio

from e2e.commands import Finished, begin, perdure, processes_with
from e2e.scene import LAWYER, clean_environment, eventually

pytestmark = pytest.mark.timeout(150)

PAGE = """<!doctype html><html><head><title>Telescope care</title></head><body>
<h1>Cleaning the mirror of a telescope</h1>
<p>Blow dust off the mirror of your telescope with a rubber bulb, and never wipe it dry.</p>
</body></html>"""
QUESTION = "How do I clean the mirror of my telescope?"
PARTS = ("the demo", "its server", "its worker")
ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
VARIANTS = ("approved", "rejected", "escalated", "own pages")


def arguments(variant: str, folder: Path) -> list[str]:
    match variant:
        case "approved":
            return ["--yes"]
        case "rejected":
            return ["--reject", "not our tone"]
        case "escalated":
            return ["--yes", "--message", LAWYER]
        case _:
            pages = folder / "pages"
            pages.mkdir()
            (pages / "telescope.html").write_text(PAGE, "utf-8")
            return ["--yes", "--kb", str(pages), "--message", QUESTION]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def demos(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncGenerator[dict[str, Finished]]:
    """Run every variant once, two at a time."""
    gate = asyncio.Semaphore(2)

    async def play(variant: str) -> Finished:
        folder = tmp_path_factory.mktemp("demo")
        async with gate:
            return await perdure("demo", *arguments(variant, folder), "--json", cwd=folder)

    played = await asyncio.gather(*(play(variant) for variant in VARIANTS))
    yield dict(zip(VARIANTS, played, strict=True))


@pytest.mark.parametrize("variant", VARIANTS)
def test_it_ends_well(demos: dict[str, Finished], variant: str):
    assert demos[variant].code == 0, demos[variant].err


@pytest.mark.parametrize("variant", VARIANTS)
def test_nothing_that_it_started_is_left(demos: dict[str, Finished], variant: str):
    assert demos[variant].processes() == []


@pytest.mark.parametrize(
    ("variant", "outcome"),
    [
        ("approved", "sent"),
        ("rejected", "rejected"),
        ("escalated", "escalated"),
        ("own pages", "sent"),
    ],
)
def test_its_document_tells_the_outcome(demos: dict[str, Finished], variant: str, outcome: str):
    assert demos[variant].document["outcome"] == outcome


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("worker_kills", 1),
        ("emails_delivered", 1),
        ("repeated_model_calls", 0),
        ("replayed_ok", True),
        ("model", "offline"),
    ],
)
def test_its_document_tells_that_nothing_was_lost_or_done_twice(
    demos: dict[str, Finished], key: str, value: object
):
    assert demos["approved"].document[key] == value


@pytest.mark.parametrize("key", ["history_events", "seconds"])
def test_its_document_tells_sizes(demos: dict[str, Finished], key: str):
    assert demos["approved"].document[key] > 0


def test_it_names_two_workers(demos: dict[str, Finished]):
    told = demos["approved"].err
    killed = re.search(r"kill -9 (\d+)", told)
    follower = re.search(r"takes over: pid (\d+)", told)
    assert killed is not None
    assert follower is not None
    assert killed[1] != follower[1]


@pytest.mark.parametrize("variant", ["rejected", "escalated"])
def test_no_mail_is_sent_that_nobody_approved(demos: dict[str, Finished], variant: str):
    assert demos[variant].document["emails_delivered"] == 0


def test_an_escalation_names_its_ticket(demos: dict[str, Finished]):
    assert demos["escalated"].document["ticket"] is not None


def test_it_answers_from_pages_of_ones_own(demos: dict[str, Finished]):
    assert "never wipe it dry" in demos["own pages"].err


@pytest.mark.parametrize("number", ENDINGS, ids=lambda number: number.name)
async def test_ended_in_the_middle_it_leaves_nothing(tmp_path: Path, number: signal.Signals):
    running = await begin("demo", "--yes", cwd=tmp_path)

    async def all_three() -> bool | None:
        return len(processes_with(running.mark)) == len(PARTS) or None

    await eventually(all_three, what=f"{', '.join(PARTS)} run")
    running.process.send_signal(number)
    finished = await running.finish()

    async def nothing() -> bool | None:
        # One that was killed while it began may take a moment to go.
        return not finished.processes() or None

    await eventually(nothing, what="everything has ended")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def lonely(tmp_path_factory: pytest.TempPathFactory) -> tuple[Finished, Path]:
    """The demo without a terminal, and without an option that decides."""
    folder = tmp_path_factory.mktemp("lonely")
    return await perdure("demo", "--keep", str(folder / "kept"), cwd=folder), folder


def test_without_a_terminal_it_says_which_option_is_missing(lonely: tuple[Finished, Path]):
    unboxed = re.sub(r"[^\x20-\x7e]", " ", lonely[0].err)
    assert "give --yes or --reject REASON" in " ".join(unboxed.split())


def test_without_a_terminal_it_ends_as_wrong_usage(lonely: tuple[Finished, Path]):
    assert lonely[0].code == 2


def test_without_a_terminal_it_starts_nothing(lonely: tuple[Finished, Path]):
    finished, folder = lonely
    assert (list(folder.rglob("temporal*")), finished.processes()) == ([], [])


async def test_with_standard_input_closed_it_says_the_same(tmp_path: Path):
    closed = f"exec {sys.executable} -m perdure demo <&-"
    process = await asyncio.create_subprocess_exec(
        *("/bin/sh", "-c", closed),
        stderr=asyncio.subprocess.PIPE,
        cwd=tmp_path,
        env=clean_environment(),
    )
    _, err = await process.communicate()
    assert (process.returncode, b"--yes" in err) == (2, True)
