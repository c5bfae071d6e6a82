"""`perdure chat` on a terminal and in a pipe, against a worker in another process."""

import asyncio
import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from select import select
from time import monotonic
from uuid import uuid4

import pytest
import pytest_asyncio

from perdure.client import Client, End, Part, Reset, connect
from perdure.storage.sinks import FileSink
from perdure.testing import DevServer, WorkerProcess

APP = Path(__file__).with_name("talkers.py")
QUEUE = "talkers"
WITHIN = 40.0
pytestmark = [pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="session")]


@dataclass
class Place:
    """Where the talker's worker runs."""

    address: str
    folder: Path
    worker: WorkerProcess

    @property
    def url(self) -> str:
        return f"sqlite:{self.folder / 'stream.db'}"

    @property
    def gate(self) -> Path:
        return self.folder / "gate"

    def command(self, *arguments: str) -> list[str]:
        return [
            *(sys.executable, "-m", "perdure", *arguments, "--address", self.address),
            *("--task-queue", QUEUE, "--stream-from", self.url),
        ]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def place(
    server: DevServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Place]:
    folder = tmp_path_factory.mktemp("talkers")
    worker = WorkerProcess(
        str(APP),
        address=server.address,
        task_queue=QUEUE,
        env={"TALKERS_GATE": str(folder / "gate")},
        cwd=folder,
        arguments=("--stream", f"sqlite:{folder / 'stream.db'}"),
    )
    async with worker:
        yield Place(server.address, folder, worker)


@dataclass
class Terminal:
    """A program on a pseudo-terminal."""

    process: "subprocess.Popen[bytes]"
    master: int
    seen: str = ""
    _mark: int = field(default=0)

    def wait_for(self, text: str) -> str:
        """Wait until the terminal shows a text that was not waited for yet."""
        end = monotonic() + WITHIN
        while text not in self.seen[self._mark :]:
            assert monotonic() < end, f"no {text!r} in {self.seen!r}"
            self._read(end)
        found = self.seen.index(text, self._mark) + len(text)
        passed, self._mark = self.seen[self._mark : found], found
        return passed

    def _read(self, end: float) -> None:
        if select([self.master], [], [], max(end - monotonic(), 0))[0]:
            try:
                self.seen += os.read(self.master, 65536).decode()
            except OSError:  # the program has ended and closed its side
                pytest.fail(f"the program ended: {self.seen!r}")

    def type(self, text: str) -> None:
        os.write(self.master, f"{text}\n".encode())

    def end(self) -> int:
        """Wait for the program's end; returns its exit code."""
        end = monotonic() + WITHIN
        while self.process.poll() is None and monotonic() < end:
            if select([self.master], [], [], 0.1)[0]:
                try:
                    self.seen += os.read(self.master, 65536).decode()
                except OSError:
                    break
        return self.process.wait(WITHIN)


@pytest.fixture
def terminal(place: Place) -> Iterator[Terminal]:
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    command = place.command("chat", "talker", "--thread", f"t-{uuid4().hex[:8]}")
    process = subprocess.Popen(
        command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True
    )
    os.close(slave)
    yield Terminal(process, master)
    if process.poll() is None:
        process.kill()
    process.wait()
    os.close(master)


def piped(
    place: Place, *lines: str, thread: str | None = None
) -> "subprocess.CompletedProcess[str]":
    more = ("--thread", thread) if thread else ()
    text = "".join(f"{line}\n" for line in lines)
    return subprocess.run(
        place.command("chat", "talker", *more),
        input=text,
        capture_output=True,
        text=True,
        check=False,
        timeout=WITHIN,
    )


async def test_lines_go_in_and_plain_text_comes_out(place: Place) -> None:
    told = piped(place, "hello", "again")
    assert told.stdout == "turn 1: you said hello indeed\nturn 2: you said again indeed\n"
    assert told.returncode == 0


async def test_a_conversation_goes_on_by_its_thread(place: Place) -> None:
    first = piped(place, "hello")
    thread = re.search(r"--thread (\S+)", first.stderr)
    assert thread is not None
    assert piped(place, "there", thread=thread[1]).stdout == "turn 2: you said there indeed\n"


async def test_an_approval_is_answered_by_the_next_line(place: Place) -> None:
    told = piped(place, "send it", "a")
    assert told.stdout.splitlines() == [
        "I shall.",
        "  → send(to=ann)",
        "  ← send: sent to ann",
        "the tool said: sent to ann",
    ]


async def test_without_an_answer_the_run_waits_and_the_commands_are_shown(place: Place) -> None:
    told = piped(place, "send it")
    assert told.returncode == 4
    assert "perdure approve talker-" in told.stderr


async def test_the_conversation_goes_on_with_the_question_that_is_still_open(place: Place) -> None:
    first = piped(place, "send it")
    thread = re.search(r"--thread (\S+)", first.stderr)
    assert thread is not None
    told = piped(place, "e to=bob", "thanks", thread=thread[1])
    assert told.stdout.splitlines()[-3:] == [
        "  ← send: sent to bob",
        "the tool said: sent to bob",
        "turn 2: you said thanks indeed",
    ]


async def test_an_agent_without_messages_is_told(place: Place) -> None:
    command = place.command("chat", "counter")
    told = subprocess.run(
        command, input="hi\n", capture_output=True, text=True, check=False, timeout=WITHIN
    )
    assert (told.returncode, "perdure run counter" in told.stderr) == (2, True)


async def test_an_unknown_agent_is_told(place: Place) -> None:
    command = place.command("chat", "nobody")
    told = subprocess.run(
        command, input="hi\n", capture_output=True, text=True, check=False, timeout=WITHIN
    )
    assert (told.returncode, "[unknown_agent]" in told.stderr) == (3, True)


async def test_words_appear_on_the_terminal_before_the_answer_is_complete(
    place: Place, terminal: Terminal
) -> None:
    place.gate.unlink(missing_ok=True)
    terminal.wait_for("you> ")
    terminal.type("gate")
    terminal.wait_for("turn 1: you said before-the-gate")
    terminal.process.send_signal(signal.SIGINT)
    terminal.wait_for("cancelled")
    terminal.wait_for("you> ")


async def test_an_approval_is_asked_inline(place: Place, terminal: Terminal) -> None:
    terminal.wait_for("you> ")
    terminal.type("send it")
    terminal.wait_for("I shall.")
    terminal.wait_for("→ send(to=ann)")
    terminal.wait_for("a(pprove), e(dit) NAME=VALUE, r(eject) REASON, t(ell) TEXT> ")
    terminal.type("perhaps")
    terminal.wait_for("'perhaps' is no answer")
    terminal.type("a")
    terminal.wait_for("the tool said: sent to ann")
    terminal.wait_for("you> ")


async def test_a_turn_that_is_cancelled_between_call_and_result_leaves_a_thread_that_works(
    place: Place, terminal: Terminal
) -> None:
    terminal.wait_for("you> ")
    terminal.type("send it")
    terminal.wait_for("TEXT> ")
    terminal.process.send_signal(signal.SIGINT)
    terminal.wait_for("cancelled")
    terminal.wait_for("you> ")
    terminal.type("again")
    terminal.wait_for("turn 2: you said again indeed")


async def test_a_question_that_is_settled_elsewhere_frees_the_prompt(
    place: Place, terminal: Terminal
) -> None:
    terminal.wait_for("you> ")
    terminal.type("send it")
    terminal.wait_for("TEXT> ")
    client = await connect(place.address)
    thread = re.search(r"thread (t-\w+)", terminal.seen)
    assert thread is not None
    [run_id] = await client.runs_on(thread[1])
    await client.decide(run_id, {"type": "approve", "by": "ann"})
    terminal.wait_for("no longer open")
    terminal.wait_for("the tool said: sent to ann")
    terminal.wait_for("you> ")


async def test_a_rejection_reaches_the_model_with_its_reason(
    place: Place, terminal: Terminal
) -> None:
    terminal.wait_for("you> ")
    terminal.type("send it")
    terminal.wait_for("TEXT> ")
    terminal.type("r not today")
    assert "not today" in terminal.wait_for("you> ")


async def test_ctrl_c_twice_at_the_prompt_leaves(place: Place, terminal: Terminal) -> None:
    terminal.wait_for("you> ")
    terminal.process.send_signal(signal.SIGINT)
    terminal.wait_for("Ctrl-C again leaves")
    terminal.process.send_signal(signal.SIGINT)
    terminal.wait_for("go on with it: perdure chat talker --thread t-")
    assert terminal.end() == 0


async def test_the_end_of_input_leaves(place: Place, terminal: Terminal) -> None:
    terminal.wait_for("you> ")
    os.write(terminal.master, b"\x04")
    terminal.wait_for("go on with it")
    assert terminal.end() == 0


def wiped(text: str) -> str:
    """Read what a person sees after the terminal was wiped."""
    return re.sub(r"[^\n]*\r(\x1b\[\d+A)?\x1b\[J", "", text)


async def test_a_killed_worker_voids_what_it_said_on_the_terminal(
    place: Place, terminal: Terminal
) -> None:
    place.gate.unlink(missing_ok=True)
    terminal.wait_for("you> ")
    terminal.type("gate")
    passed = terminal.wait_for("before-the-gate")
    place.worker.kill()
    place.gate.touch()
    await place.worker.start().wait_ready()
    passed += terminal.wait_for("gate indeed")
    assert "before-the-gate" not in wiped(passed)
    assert wiped(passed).count("you said") == 1


async def test_a_reader_sees_the_reset_of_a_killed_worker_and_the_whole_text_once(
    place: Place,
) -> None:
    place.gate.unlink(missing_ok=True)
    sink = FileSink(place.folder / "stream.db")
    client: Client = await connect(place.address, sink=sink)
    run = await client.start(
        "talker",
        {"messages": [{"role": "user", "content": "gate"}]},
        stream=["messages"],
        task_queue=QUEUE,
    )
    texts: dict[str, str] = {}
    resets = 0
    status = ""
    async for event in client.stream(run.run_id):
        if isinstance(event, Reset):
            texts.pop(event.call)
            resets += 1
        elif isinstance(event, Part):
            texts[event.call] = texts.get(event.call, "") + event.text
            if "before-the-gate" in event.text:
                place.worker.kill()
                place.gate.touch()
                await place.worker.start().wait_ready()
        else:
            assert isinstance(event, End)
            status = event.status
    sink.close()
    assert (resets, status) == (1, "done")
    assert list(texts.values()) == ["turn 1: you said gate indeed"]


async def test_run_shows_words_on_standard_error(place: Place) -> None:
    command = place.command("run", "talker", "--stream", "-i", "-")
    told = await asyncio.to_thread(
        subprocess.run,
        command,
        input='{"messages": [{"role": "user", "content": "hello"}]}',
        capture_output=True,
        text=True,
        check=False,
        timeout=WITHIN,
    )
    assert told.returncode == 0
    assert told.stderr.count("turn 1: you said hello indeed") == 1
