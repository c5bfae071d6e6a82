"""Reading a stream whose frames went away meanwhile."""

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from perdure.client.stream import Reader, check_modes
from perdure.core.frames import Frame, StreamSink
from perdure.core.jsons import Json
from perdure.core.merging import Part, Reset
from perdure.errors import BadInput
from perdure.storage.sinks import FileSink, MemorySink

WORDS = ("one", " two", " three")
BASE = Frame(run="r", execution="e", kind="chunk", mode="messages")
BEGIN = replace(BASE, kind="begin", mode="")


def chunk(text: str) -> Json:
    return {"parts": [{"$": "AIMessageChunk", "content": text}], "metadata": {}}


SAID = [
    replace(BASE, activity="1", call="c", seq=number, data=chunk(word))
    for number, word in enumerate(WORDS)
]
LAST = replace(BASE, kind="end", activity="1", call="c", seq=len(WORDS))
MESSAGE = replace(BASE, kind="message", call="c", seq=1, data=chunk("".join(WORDS)))
END = replace(BASE, kind="end", mode="", seq=2)


async def read(sink: StreamSink, *, after: str | None = None) -> list[Part | Reset]:
    reader = Reader(sink=sink, run_id="r", after=after)
    await reader.check()
    return [event async for event in reader.follow(asyncio.create_task(asyncio.sleep(0)))]


def filled(frames: Iterable[Frame], sink: StreamSink | None = None) -> StreamSink:
    sink = sink or MemorySink()
    for frame in frames:
        sink.publish(frame)
    return sink


def shown(events: Iterable[Part | Reset]) -> str:
    text = ""
    for event in events:
        text = "" if isinstance(event, Reset) else text + event.text
    return text


async def test_a_place_in_a_sink_that_is_gone_goes_on_with_what_is_left() -> None:
    before = await read(filled([BEGIN, *SAID[:2]]))
    rest = await read(filled([SAID[2], LAST, MESSAGE, END]), after=before[-1].id)
    assert shown([*before, *rest]) == "one two three"


async def test_a_file_that_is_deleted_while_it_is_read_doubles_nothing(tmp_path: Path) -> None:
    writing, reading = FileSink(tmp_path / "s.db"), FileSink(tmp_path / "s.db")
    filled([BEGIN, *SAID[:2]], writing)
    writing.close()
    reader = Reader(sink=reading, run_id="r", after=None)
    going = asyncio.get_running_loop().create_future()

    async def ended() -> None:
        await going

    events: list[Part | Reset] = []
    async for event in reader.follow(asyncio.create_task(ended())):
        events.append(event)
        if isinstance(event, Part) and event.text == " two":
            for path in tmp_path.iterdir():
                path.unlink()
            anew = FileSink(tmp_path / "s.db")
            filled([SAID[2], LAST, MESSAGE, END], anew)
            anew.close()
            going.set_result(None)
    reading.close()
    assert shown(events) == "one two three"
    assert [e.text for e in events if isinstance(e, Part)] == list(WORDS)


async def test_without_its_frames_a_run_still_ends() -> None:
    assert await read(MemorySink(), after="gone.7") == []


async def test_a_part_tells_where_it_is_from() -> None:
    [part, *_] = await read(filled([BEGIN, *SAID]))
    assert isinstance(part, Part)
    assert (part.run, part.activity, part.attempt, part.seq) == ("r", "1", 1, 0)


@pytest.mark.parametrize("after", ["", "xyz", "a.b", "a.1:x"])
async def test_what_is_no_place_is_refused(after: str) -> None:
    with pytest.raises(BadInput, match="give the id of an event"):
        await read(MemorySink(), after=after)


def test_one_mode_may_be_given_as_text() -> None:
    assert check_modes(("updates", "values"), "values", "r") == ("values",)


@pytest.mark.parametrize("modes", ["song", ["song"], []])
def test_what_is_no_mode_is_told_with_those_that_are(modes: list[str] | str) -> None:
    with pytest.raises(BadInput, match="choose of values, updates"):
        check_modes(("updates",), modes, "r")
