"""What a person sees of a run that speaks."""

from typing import Any

import pytest

from perdure.cli.lines import Change
from perdure.cli.speaking import Screen
from perdure.core.merging import Part, Reset


def word(text: str, call: str = "c") -> Part:
    message: Any = {"$": "AIMessageChunk", "content": text, "id": call}
    return Part(id="s.1", mode="messages", data=[message, {}], call=call)


UPDATE = Part(id="s.2", mode="updates", data={"n": {"messages": []}})


def told(outcome: str, entry: int = 0) -> Change:
    return Change(text=f"{entry} {outcome}", data={"outcome": outcome}, entry=entry)


@pytest.fixture(params=[True, False], ids=["terminal", "pipe"])
def screen(request: pytest.FixtureRequest) -> Screen:
    return Screen(terminal=request.param, calls=False)


def test_what_happens_is_told_when_the_text_is_over(screen: Screen, capsys: Any) -> None:
    for text in ("one", " two"):
        screen.show(word(text))
        screen.tell(told("ok"))
    screen.show(UPDATE)
    assert capsys.readouterr().out == "one two\n  0 ok\n"


def test_that_a_call_began_is_not_told(screen: Screen, capsys: Any) -> None:
    screen.tell(told("running"))
    assert capsys.readouterr().out == ""


def test_between_texts_what_happens_is_told_at_once(screen: Screen, capsys: Any) -> None:
    screen.tell(told("ok"))
    assert capsys.readouterr().out == "  0 ok\n"


def test_nothing_is_shown_while_a_person_is_asked(screen: Screen, capsys: Any) -> None:
    screen.show(word("one"))
    with screen.held():
        before = capsys.readouterr().out
        screen.show(word("two", "d"))
        assert capsys.readouterr().out == ""
    screen.settle()
    assert before + capsys.readouterr().out == "one\ntwo\n"


def test_in_a_pipe_a_text_that_is_void_is_never_shown(capsys: Any) -> None:
    screen = Screen(terminal=False)
    screen.show(word("half"))
    screen.show(Reset(id="s.2", mode="messages", call="c"))
    screen.show(word("whole"))
    screen.finish("")
    assert capsys.readouterr().out == "whole\n"


def calling(*ids: str) -> Part:
    """An update of a node that asks for one tool call after the other, and has their results."""
    messages: list[Any] = []
    for one in ids:
        call = {"name": "look", "args": {"at": one}, "id": one}
        messages.append({"$": "ai", "content": "", "tool_calls": [call]})
        messages.append({"$": "tool", "name": "look", "content": "seen", "tool_call_id": one})
    return Part(id="s.3", mode="updates", data={"n": {"messages": messages}})


def test_a_call_that_a_later_node_returns_again_is_shown_once(capsys: Any) -> None:
    screen = Screen(terminal=False)
    screen.show(calling("a"))
    screen.begin()
    screen.show(calling("a", "b"))
    shown = [f"  → look(at={one})\n  ← look: seen\n" for one in "ab"]
    assert capsys.readouterr().out == "".join(shown)


def parallel(screen: Screen) -> None:
    for number in range(4):
        for call in ("c", "d"):
            screen.show(word(f"{call}{number} ", call))


def test_two_texts_that_are_told_at_once_do_not_mix(screen: Screen, capsys: Any) -> None:
    parallel(screen)
    screen.show(UPDATE)
    screen.show(word("d4", "d"))
    screen.settle()
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert "c0 c1 c2 c3" in lines
    assert "".join(lines).replace(" ", "").count("d0d1d2d3d4") == 1


def test_a_text_after_another_one_is_shown_while_it_is_told(capsys: Any) -> None:
    screen = Screen(terminal=True)
    screen.show(word("one", "c"))
    for text in ("two", " three", " four", " five"):
        screen.show(word(text, "d"))
    assert capsys.readouterr().out == "one\ntwo three four five"


def test_what_is_void_and_was_not_shown_yet_is_never_shown(capsys: Any) -> None:
    screen = Screen(terminal=True)
    screen.show(word("one", "c"))
    screen.show(word("half", "d"))
    screen.show(Reset(id="s.2", mode="messages", call="d"))
    screen.finish("")
    assert capsys.readouterr().out == "one\n"
