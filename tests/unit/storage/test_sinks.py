"""Sinks keep frames for readers, and never stand in a run's way."""

import logging
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from perdure.core.frames import Frame, StreamSink
from perdure.errors import BadInput, BadOption, Unavailable
from perdure.storage.sinks import FileSink, MemorySink, open_sink

FRAME = Frame(run="r", execution="e", kind="chunk", mode="updates", data={"parts": [1]})
WITHIN = timedelta(seconds=20)


@pytest.fixture
def file(tmp_path: Path) -> Iterator[FileSink]:
    sink = FileSink(tmp_path / "data" / "stream.db")
    yield sink
    sink.close()


@pytest.fixture(params=["memory", "file"])
def sink(request: pytest.FixtureRequest, file: FileSink) -> StreamSink:
    return MemorySink() if request.param == "memory" else file


def put(sink: StreamSink, count: int = 1, *, frame: Frame = FRAME) -> None:
    for number in range(count):
        sink.publish(replace(frame, seq=number))
    assert sink.flush(WITHIN)


def test_frames_are_read_in_the_order_in_which_they_came(sink: StreamSink) -> None:
    put(sink, 3)
    assert [frame.seq for frame in sink.read("r")] == [0, 1, 2]


def test_a_reader_goes_on_after_a_frame(sink: StreamSink) -> None:
    put(sink, 5)
    second = sink.read("r")[1]
    assert [frame.seq for frame in sink.read("r", after=second.id)] == [2, 3, 4]


def test_a_reader_gets_no_more_than_it_asked_for(sink: StreamSink) -> None:
    put(sink, 5)
    assert len(sink.read("r", limit=2)) == 2


def test_runs_are_told_apart(sink: StreamSink) -> None:
    put(sink, frame=replace(FRAME, run="other"))
    assert sink.read("r") == []


@pytest.mark.parametrize("after", ["", "x", "other.3", "3"])
def test_an_id_of_another_sink_is_refused(sink: StreamSink, after: str) -> None:
    put(sink)
    with pytest.raises(BadInput, match="none of this stream's"):
        sink.read("r", after=after)


def test_an_unpublished_file_reads_as_empty(file: FileSink) -> None:
    assert file.read("r") == []


def test_another_process_reads_what_one_wrote(file: FileSink) -> None:
    put(file, 3)
    code = (
        "import sys; from pathlib import Path; from perdure.storage.sinks import FileSink; "
        "print([f.seq for f in FileSink(Path(sys.argv[1])).read('r')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(file.path)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[0, 1, 2]\n"


WRITER = """
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from perdure.core.frames import Frame
from perdure.storage.sinks import FileSink
sink = FileSink(Path(sys.argv[1]))
frame = Frame(run="r", execution=sys.argv[2], kind="chunk")
for number in range(300):
    sink.publish(replace(frame, seq=number))
    if number % 50 == 0:
        sink.flush(timedelta(seconds=20))
sink.flush(timedelta(seconds=20))
print("written", flush=True)
sys.stdin.read()
"""


def test_several_processes_write_at_once_and_lose_nothing(file: FileSink) -> None:
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(file.path), f"e{number}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for number in range(3)
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"written\n"
        writer.kill()
        writer.communicate()
    frames = file.read("r", limit=10_000)
    for number in range(3):
        assert [f.seq for f in frames if f.execution == f"e{number}"] == list(range(300))


def test_a_torn_tail_of_a_killed_writer_costs_only_the_tail(file: FileSink) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(file.path), "e"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert writer.stdout is not None
    assert writer.stdout.readline() == b"written\n"
    writer.kill()
    writer.communicate()
    log = Path(f"{file.path}-wal")
    os.truncate(log, log.stat().st_size - 1000)
    seen = [frame.seq for frame in file.read("r", limit=1000)]
    assert 0 < len(seen) < 300
    assert seen == list(range(len(seen)))
    put(file, frame=replace(FRAME, run="next"))
    assert len(file.read("next")) == 1


def test_the_oldest_frames_go_when_the_file_is_too_large(tmp_path: Path) -> None:
    sink = FileSink(tmp_path / "s.db", keep_bytes=400_000)
    for _ in range(40):
        put(sink, 10, frame=replace(FRAME, data="x" * 4000))
    assert len(sink.read("r", limit=10_000)) < 120
    size = (tmp_path / "s.db").stat().st_size
    sink.close()
    assert size < 1_000_000


def test_frames_that_are_too_old_go(tmp_path: Path) -> None:
    keeper = FileSink(tmp_path / "s.db")
    put(keeper, 3)
    keeper.close()
    with sqlite3.connect(tmp_path / "s.db") as held:
        held.execute("update frames set at = at - 100000")
    sink = FileSink(tmp_path / "s.db")
    put(sink, frame=replace(FRAME, execution="new"))
    assert [frame.execution for frame in sink.read("r")] == ["new"]
    sink.close()


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.name == "perdure.stream"]


def test_a_folder_that_cannot_be_made_costs_frames_and_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    sink = FileSink(tmp_path / "file" / "s.db")
    put(sink, 3)
    put(sink, 3)
    assert len(warnings(caplog)) == 1
    assert "Runs are not affected" in warnings(caplog)[0]


def test_a_file_that_is_no_database_costs_frames_and_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "s.db"
    path.write_bytes(b"this is no database, and long enough to be sure of it" * 100)
    sink = FileSink(path)
    put(sink)
    put(sink)
    assert len(warnings(caplog)) == 1
    with pytest.raises(Unavailable, match="delete it"):
        sink.read("r")


def test_a_locked_file_costs_frames_and_does_not_block(
    file: FileSink, caplog: pytest.LogCaptureFixture
) -> None:
    put(file)
    with sqlite3.connect(file.path, isolation_level=None) as holder:
        holder.execute("begin exclusive")
        file.publish(FRAME)
        assert not file.flush(timedelta(milliseconds=10))
        assert file.flush(WITHIN)
        holder.execute("rollback")
    holder.close()
    assert len(warnings(caplog)) == 1
    put(file)
    assert len(file.read("r")) == 2


def test_a_full_disk_costs_frames_and_one_warning(
    file: FileSink, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> sqlite3.Connection:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(sqlite3, "connect", full)
    put(file, 3)
    assert len(warnings(caplog)) == 1


def test_a_writer_that_cannot_keep_up_drops_frames(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sink = FileSink(tmp_path / "s.db", waiting=2)
    gate = threading.Event()
    sink._file.write = lambda _frames: gate.wait() and None  # type: ignore[assignment,method-assign]
    for _ in range(100):
        sink.publish(FRAME)
    assert len(warnings(caplog)) == 1
    gate.set()


def test_a_file_that_was_deleted_is_made_anew(file: FileSink) -> None:
    put(file, 2)
    for path in file.path.parent.iterdir():
        path.unlink()
    put(file, 1)
    assert [frame.seq for frame in file.read("r")] == [0]


def test_a_frame_of_a_newer_version_is_passed_over(file: FileSink) -> None:
    put(file)
    with sqlite3.connect(file.path) as held:
        held.execute("insert into frames (run, at, data) values ('r', 0, '{\"kind\": \"song\"}')")
    held.close()
    put(file)
    assert len(file.read("r")) == 2


def test_a_closed_sink_takes_nothing_and_says_nothing(
    file: FileSink, caplog: pytest.LogCaptureFixture
) -> None:
    put(file)
    file.close()
    file.publish(FRAME)
    assert warnings(caplog) == []


def test_a_sink_is_opened_by_its_url(tmp_path: Path) -> None:
    assert open_sink("off") is None
    assert isinstance(open_sink("memory:"), MemorySink)
    assert isinstance(open_sink(f"sqlite:{tmp_path}/s.db"), FileSink)
    assert isinstance(open_sink(f"{tmp_path}/s.db"), FileSink)


@pytest.mark.parametrize("url", ["", "on", "redis://x", "sqlite:"])
def test_an_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(BadOption, match="sqlite:PATH"):
        open_sink(url)


def test_the_library_says_nothing_by_itself(
    file: FileSink, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        put(file)
    assert warnings(caplog) == []
