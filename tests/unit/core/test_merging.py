"""Whatever happens to frames on their way, a reader sees the last try and nothing else."""

import itertools
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import pytest

from perdure.core.frames import Frame
from perdure.core.jsons import Json
from perdure.core.merging import Merger, Part, Reset, text_of

WORDS = ("one", " two", " three")
BASE = Frame(run="r", execution="e", kind="chunk", mode="messages")


def chunk(*texts: str) -> Json:
    return {"parts": [{"$": "AIMessageChunk", "content": text} for text in texts], "metadata": {}}


def attempt(
    number: int, *, call: str = "c", upto: int | None = None, repair: int = 0
) -> list[Frame]:
    """Return the frames of one attempt; `upto` cuts it off after so many words."""
    base = replace(BASE, activity="1", call=call, attempt=number, repair=repair)
    first = [replace(base, kind="reset")] if number > 1 or repair else []
    words = WORDS[:upto]
    said = [replace(base, seq=i, data=chunk(word)) for i, word in enumerate(words)]
    whole = upto is None
    return [*first, *said, *([replace(base, kind="end", seq=len(words))] if whole else [])]


def message(call: str = "c", *, seq: int = 1) -> Frame:
    """Return what the run itself says at last."""
    return replace(BASE, kind="message", call=call, seq=seq, data=chunk("".join(WORDS)))


BEGIN = replace(BASE, kind="begin", mode="")


def placed(frames: Iterable[Frame]) -> list[Frame]:
    return [replace(frame, id=f"s.{number}") for number, frame in enumerate(frames, 1)]


def feed(frames: Iterable[Frame], merger: Merger | None = None) -> Iterator[Part | Reset]:
    merger = merger or Merger()
    for frame in placed(frames):
        yield from merger.feed(frame)


def shown(events: Iterable[Part | Reset]) -> dict[str, str]:
    """Read as a person does, and insist that a part never repeats what is on the screen."""
    texts: dict[str, str] = {}
    for event in events:
        if isinstance(event, Reset):
            texts.pop(event.call, None)
        else:
            texts[event.call] = texts.get(event.call, "") + event.text
            assert "".join(WORDS).startswith(texts[event.call])
    return texts


WHOLE = {"e/c": "".join(WORDS)}


def test_one_attempt_is_shown_word_by_word() -> None:
    events = list(feed([BEGIN, *attempt(1), message()]))
    assert [e.text for e in events if isinstance(e, Part)] == list(WORDS)


def test_a_message_whose_chunks_were_shown_is_not_shown_again() -> None:
    assert shown(feed([*attempt(1), message()])) == WHOLE


def test_a_message_without_chunks_is_shown() -> None:
    assert shown(feed([message()])) == WHOLE


def test_a_second_attempt_voids_the_first() -> None:
    events = list(feed([*attempt(1, upto=2), *attempt(2), message()]))
    assert [isinstance(e, Reset) for e in events].count(True) == 1
    assert shown(events) == WHOLE


def test_a_repair_voids_all_attempts_before_it() -> None:
    frames = [*attempt(1, upto=1), *attempt(2), *attempt(1, repair=1), message()]
    assert shown(feed(frames)) == WHOLE


def test_a_late_attempt_is_dropped() -> None:
    late = attempt(1, upto=3)
    assert shown(feed([late[0], *attempt(2), *late[1:], message()])) == WHOLE


def test_a_lost_chunk_is_made_good_by_the_run() -> None:
    frames = attempt(1)
    del frames[1]
    events = list(feed([*frames, message()]))
    assert isinstance(events[-2], Reset)
    texts = [e.text for e in events if isinstance(e, Part)]
    assert texts[-1] == "".join(WORDS)


def test_chunks_that_come_after_the_message_are_dropped() -> None:
    frames = attempt(1)
    assert shown(feed([frames[0], message(), *frames[1:]])) == WHOLE


def test_a_frame_of_the_graph_that_comes_twice_is_shown_once() -> None:
    update = replace(BASE, mode="updates", seq=1, data={"parts": [{"a": 1}]})
    assert len(list(feed([BEGIN, update, BEGIN, update]))) == 1


def test_executions_of_one_run_are_told_apart() -> None:
    other = [replace(frame, execution="f") for frame in [*attempt(1), message()]]
    assert shown(feed([*attempt(1), message(), *other])) == {**WHOLE, "f/c": "".join(WORDS)}


def test_several_parts_of_a_frame_have_ids_of_their_own() -> None:
    frame = replace(BASE, activity="1", call="c", data=chunk(*WORDS))
    assert [e.id for e in feed([frame])] == ["s.1:1", "s.1:2", "s.1"]


def test_a_reader_that_lost_its_frames_is_told_to_begin_the_message_again() -> None:
    events = list(feed([message()], Merger(resumed=True)))
    assert [type(e) for e in events] == [Reset, Part]


def test_a_reader_whose_frames_are_all_there_is_told_nothing_twice() -> None:
    events = list(feed([BEGIN, message()], Merger(resumed=True)))
    assert [type(e) for e in events] == [Part]


def interleave(chance: random.Random, *lists: Sequence[Frame]) -> list[Frame]:
    """Mix lists, each in its own order."""
    left = [list(one) for one in lists if one]
    mixed: list[Frame] = []
    while left:
        one = chance.choice(left)
        mixed.append(one.pop(0))
        left = [some for some in left if some]
    return mixed


@pytest.mark.parametrize("seed", range(300))
def test_no_order_loss_or_doubling_shows_a_text_twice(seed: int) -> None:
    """Two calls, up to four tries each, mixed; some frames lost, some doubled."""
    chance = random.Random(seed)  # noqa: S311 - a test case
    streams: list[list[Frame]] = []
    for call in ("c", "d"):
        tries = [attempt(n, call=call, upto=chance.choice((0, 1, 2))) for n in (1, 2, 3)]
        tries = tries[: chance.randrange(4)]
        last = attempt(len(tries) + 1, call=call)
        calm = chance.random() < 0.5
        mixed = [*itertools.chain(*tries), *last] if calm else interleave(chance, *tries, last)
        streams.append([*mixed, message(call, seq=1 if call == "c" else 2)])
    frames = interleave(chance, *streams)
    lossy: list[Frame] = []
    for frame in frames:
        fate = chance.random()
        if frame.kind == "message" or fate > 0.1:
            lossy += [frame, frame] if fate > 0.9 else [frame]
    texts: dict[str, str] = {}
    for event in feed([BEGIN, *lossy]):
        if isinstance(event, Reset):
            texts.pop(event.call, None)
        else:
            texts[event.call] = texts.get(event.call, "") + event.text
            for word in WORDS:
                assert texts[event.call].count(word.strip()) <= 1
    assert texts == {"e/c": "".join(WORDS), "e/d": "".join(WORDS)}


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("a", "a"),
        ([{"type": "text", "text": "a"}, {"type": "tool_use"}, "b"], "ab"),
        (None, ""),
        ([], ""),
    ],
)
def test_the_text_of_a_message_is_found(content: Json, text: str) -> None:
    assert text_of({"content": content}) == text


def test_a_frame_is_read_as_it_was_written() -> None:
    frame = replace(BASE, ns=("a", "b"), activity="3", call="c", repair=1, attempt=2, seq=7)
    assert Frame.from_json(frame.to_json(), id="x") == replace(frame, id="x")
