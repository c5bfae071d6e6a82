"""Reading what a person answers in a conversation, and showing what is asked."""

from dataclasses import replace
from typing import Any

import pytest

from perdure.cli.asking import lines_of, short_lines_of
from perdure.cli.turns import read_answer
from perdure.client import Waiting
from perdure.errors import BadInput

ASKED = Waiting(
    run_id="r",
    agent="a",
    id="q",
    title="tool: refund(amount=42)",
    action="refund",
    args={"amount": 42},
    text="",
    allowed=("approve", "edit", "reject", "respond"),
    asked_at="2026-01-01T00:00:00.5+00:00",
    deadline="2026-01-01T00:00:00.123456+00:00",
    on_deadline="reject",
    approvers=(),
    digest="",
    reminded=0,
    complete=True,
)
FREE = replace(ASKED, title="which?", text="which?", args=None, allowed=("respond",))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a", {"type": "approve"}),
        (" Yes ", {"type": "approve"}),
        ("r", {"type": "reject"}),
        ("no too much", {"type": "reject", "message": "too much"}),
        ("t it is done", {"type": "respond", "value": "it is done"}),
        ("respond it is done", {"type": "respond", "value": "it is done"}),
        ("e amount=7", {"type": "edit", "args": {"amount": 7}}),
        ('e {"amount": 7}', {"type": "edit", "args": {"amount": 7}}),
    ],
)
def test_an_answer_is_a_decision(text: str, told: dict[str, Any]) -> None:
    decision = read_answer(text, ASKED)
    assert {name: getattr(decision, name) for name in told} == told


def test_an_edit_keeps_what_it_does_not_name() -> None:
    asked = replace(ASKED, args={"amount": 42, "order": "A-1"})
    assert read_answer('e {"amount": 7}', asked).args == {"amount": 7, "order": "A-1"}


@pytest.mark.parametrize("text", ["yes", "a", "no", "edit it", "red"])
def test_a_free_question_takes_any_text(text: str) -> None:
    assert read_answer(text, FREE).value == text


@pytest.mark.parametrize("text", ["", "perhaps", "approved", "e", "e {", "e [1]"])
def test_what_is_no_answer_is_refused(text: str) -> None:
    with pytest.raises((ValueError, BadInput)):
        read_answer(text, ASKED)


def test_an_empty_line_is_no_answer_to_a_free_question() -> None:
    with pytest.raises(ValueError, match="empty"):
        read_answer(" ", FREE)


def test_what_is_not_allowed_is_refused() -> None:
    with pytest.raises(ValueError, match="edit is not allowed"):
        read_answer("e amount=1", replace(ASKED, allowed=("approve",)))


def test_in_a_conversation_a_question_is_short() -> None:
    assert list(short_lines_of(ASKED)) == ["? tool: refund(amount=42)", "  (overdue, then: reject)"]


def test_a_text_that_is_the_title_is_told_once() -> None:
    assert [row for row in lines_of(FREE, commands=False) if "which?" in row] == ["which?"]


def test_a_deadline_is_told_to_the_second() -> None:
    assert "  deadline  2026-01-01 00:00:00+00:00 (overdue), then: reject" in lines_of(ASKED)
