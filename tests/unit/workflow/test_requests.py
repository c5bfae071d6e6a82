"""Interrupts with several requests, by single call, and of Agent Inbox."""

from datetime import UTC, datetime
from typing import Any

import pytest
from langchain.agents.middleware.human_in_the_loop import (
    _decision_schema,  # pyright: ignore[reportPrivateUsage]
)
from langchain_core.tools import tool
from pydantic import TypeAdapter

from perdure.core.approvals import CHOICES, Decision
from perdure.workflow.dialects import read_interrupt

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
SEVERAL = {
    "action_requests": [{"name": "a", "args": {"x": 1}}, {"name": "b", "args": {}}],
    "review_configs": [
        {"action_name": "b", "allowed_decisions": ["approve"]},
        {"action_name": "a", "allowed_decisions": ["reject", "edit"]},
    ],
}


def read(value: object, schema: Any = None) -> Any:
    return read_interrupt(value, id="i1", now=NOW, schema=schema)


def test_each_request_is_a_question_with_its_own_id_and_terms() -> None:
    asked = read(SEVERAL)
    assert [q.id for q in asked.questions] == ["i1.1", "i1.2"]
    assert [q.allowed for q in asked.questions] == [("edit", "reject"), ("approve",)]


def test_the_answers_are_put_together_in_the_order_of_the_requests() -> None:
    edit = Decision(type="edit", args={"x": 2})
    assert read(SEVERAL).answer(edit, Decision(type="approve")) == {
        "decisions": [
            {"type": "edit", "edited_action": {"name": "a", "args": {"x": 2}}},
            {"type": "approve"},
        ]
    }


@tool
def send(to: str) -> str:
    """Send."""
    return to


CALL = {"type": "tool_approval", "tool_call_id": "c1", "name": "send", "args": {"to": "ann"},
        "description": "send it?"}  # fmt: skip


@pytest.mark.parametrize(
    "allowed", [("approve",), ("approve", "reject"), ("edit",), CHOICES], ids=str
)
def test_the_schema_of_a_single_call_says_what_is_allowed(allowed: Any) -> None:
    schema = TypeAdapter(_decision_schema(allowed, "send", send)).json_schema()
    asked = read(CALL, schema)
    assert asked.form == "call"
    assert asked.question.allowed == allowed
    fits = "edit" in allowed
    assert (asked.schema is not None) is fits
    assert not fits or asked.schema["properties"]["to"]["type"] == "string"


def test_a_single_call_without_a_schema_takes_every_decision() -> None:
    assert read(CALL).question.allowed == CHOICES


def test_a_single_call_gets_one_decision() -> None:
    assert read(CALL).answer(Decision(type="approve")) == {"type": "approve"}


def request(**flags: bool) -> dict[str, Any]:
    return {"action_request": {"action": "send", "args": {"to": "ann"}}, "config": flags}


def test_one_request_of_agent_inbox_needs_no_list() -> None:
    asked = read(request(allow_accept=True, allow_ignore=True))
    assert asked.form == "inbox"
    assert asked.question.allowed == ("approve", "reject")
    assert asked.answer(Decision(type="reject")) == [{"type": "ignore", "args": None}]


def test_several_requests_of_agent_inbox_are_several_questions() -> None:
    asked = read([request(allow_accept=True), request(allow_respond=True)])
    assert [q.id for q in asked.questions] == ["i1.1", "i1.2"]


@pytest.mark.parametrize(
    "value",
    [
        [], [1], [{}], {"action_request": {}}, {"type": "tool_approval"},
        {"type": "tool_approval", "name": 5}, [{"action_request": {"action": "a"}}],
        {"action_requests": [{"name": "a"}, {"name": 5}]},
    ],
    ids=str,
)  # fmt: skip
def test_a_value_of_another_shape_is_free_form(value: Any) -> None:
    assert read(value).form == "free"
