"""What reaches the terminal."""

import io
import json
import sys
from datetime import UTC, datetime, timedelta

import pytest

from perdure.cli.output import clean, one_line, out, span, until_text, write_json, write_table

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred", "\\u001b[31mred"),
        ("a\rb", "a\\u000db"),
        ("a\0b", "a\\u0000b"),
        ("pay \u202e001", "pay \\u202e001"),
        ("\u2066x", "\\u2066x"),
        ("\ud800", "\\ud800"),
    ],
    ids=["escape", "return", "nul", "reversed", "isolated", "half a pair"],
)
def test_characters_that_deceive_are_made_visible(text, shown):
    assert clean(text) == shown


@pytest.mark.parametrize("text", ["plain", "two\nlines", "🦜", "שלום", "a\tb"])
def test_other_text_stays_as_it_is(text):
    assert clean(text) == text


def test_one_line_folds_breaks():
    assert one_line("a\n  b") == "a b"


def test_one_line_is_cut_with_an_ellipsis():
    assert one_line("x" * 200, 10) == "x" * 9 + "…"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, ""), (0.04, "0.0 s"), (59.9, "59.9 s"), (61, "1 min 01 s"), (7260, "2 h 01 min")],
)
def test_a_duration_is_readable(seconds, text):
    assert span(seconds) == text


def test_a_deadline_ahead_is_told_as_time_left():
    ahead = (NOW + timedelta(hours=2)).isoformat()
    assert until_text(ahead, now=NOW) == "2 h 00 min left"


def test_a_deadline_behind_is_overdue():
    assert until_text((NOW - timedelta(1)).isoformat(), now=NOW) == "overdue"


def test_a_deadline_that_is_no_time_is_shown_as_it_is():
    assert until_text("soon", now=NOW) == "soon"


def test_json_keeps_characters_readable(capsys):
    write_json({"text": "🦜 é"})
    assert "🦜 é" in capsys.readouterr().out


def test_json_of_a_line_is_one_line(capsys):
    write_json({"a": [1, {"b": 2}]}, line=True)
    assert capsys.readouterr().out == '{"a": [1, {"b": 2}]}\n'


def test_json_survives_a_terminal_without_unicode(monkeypatch):
    narrow = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", narrow)
    write_json({"text": "🦜"})
    narrow.flush()
    assert json.loads(narrow.buffer.getvalue()) == {"text": "🦜"}


def test_json_of_half_a_pair_is_still_json(capsys):
    write_json({"text": "\ud800"})
    assert json.loads(capsys.readouterr().out) == {"text": "\ud800"}


def test_text_survives_a_terminal_without_unicode(monkeypatch):
    narrow = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", narrow)
    out("é")
    narrow.flush()
    assert narrow.buffer.getvalue() == b"\\xe9\n"


def test_a_table_for_a_program_has_a_header_and_tabs(capsys):
    write_table(("a", "b"), [["1", "2"]])
    assert capsys.readouterr().out == "a\tb\n1\t2\n"


def test_a_cell_cannot_break_the_table(capsys):
    write_table(("a", "b"), [["x\ty\nz", ""]])
    assert capsys.readouterr().out.splitlines()[1] == "x y z\t"


def test_a_table_for_a_person_is_drawn(monkeypatch, capsys):
    monkeypatch.setattr("perdure.cli.output.is_terminal", lambda: True)
    write_table(("name",), [["[bold]x"]])
    assert "[bold]x" in capsys.readouterr().out
