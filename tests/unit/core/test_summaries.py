import pytest

from perdure.core.summaries import (
    LIMIT,
    deadline_summary,
    model_summary,
    reminder_summary,
    tool_summary,
)


def test_a_model_call_names_model_and_turn():
    assert model_summary("anthropic:claude", 4) == "model: anthropic:claude · turn 4"


def test_a_repair_is_counted():
    assert model_summary("m", 4, 1) == "model: m · turn 4 · repair 1"


def test_a_tool_call_shows_its_arguments():
    shown = tool_summary("refund", {"amount": 42, "why": "late"})

    assert shown == "tool: refund(amount=42, why='late')"


def test_a_tool_call_without_arguments_has_empty_brackets():
    assert tool_summary("ping", {}) == "tool: ping()"


def test_a_long_argument_is_cut_and_the_next_one_still_shows():
    shown = tool_summary("send", {"body": "x" * 500, "to": "ann"})

    assert shown.endswith("…, to='ann')")


@pytest.mark.parametrize(
    "text",
    [
        model_summary("m" * 500, 1),
        tool_summary("t", {f"a{i}": "x" * 50 for i in range(50)}),
        tool_summary("t" * 500, {}),
        deadline_summary("q" * 500),
        reminder_summary(1, "q" * 500),
    ],
    ids=lambda text: text[:10],
)
def test_no_summary_is_longer_than_the_limit(text):
    assert len(text) == LIMIT


def test_a_summary_is_one_line():
    assert deadline_summary("pay\n\nthe bill?") == "approval deadline: pay the bill?"


def test_a_reminder_has_a_number():
    assert reminder_summary(2, "pay?") == "approval reminder 2: pay?"


def test_a_lone_surrogate_of_an_argument_is_written_out():
    assert tool_summary("t", {"x": "\ud800"}).isascii()
