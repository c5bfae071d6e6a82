import math
from collections import UserDict
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

import pytest

from perdure.core.approvals import CHOICES, Decision
from perdure.workflow.dialects import FREE_WITHIN, MARK, question_value, read_interrupt

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
OWN = question_value(
    title="send it?",
    action="send",
    args={"to": "ann"},
    text="# Look",
    allowed=("approve", "reject"),
    within=timedelta(hours=2),
    on_deadline="fail",
    reminders=(timedelta(hours=1),),
    approvers=("ann",),
)
LANGCHAIN = {
    "action_requests": [
        {"name": "refund", "args": {"amount": 42}, "description": "Refund 42 EUR?"}
    ],
    "review_configs": [{"action_name": "refund", "allowed_decisions": ["approve", "reject"]}],
}


def read(value: object):
    return read_interrupt(value, id="i1", now=NOW, node="ask")


# Perdure's own form


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("id", "i1"),
        ("title", "send it?"),
        ("action", "send"),
        ("args", {"to": "ann"}),
        ("text", "# Look"),
        ("allowed", ("approve", "reject")),
        ("asked_at", NOW),
        ("deadline", NOW + timedelta(hours=2)),
        ("on_deadline", "fail"),
        ("reminders", (timedelta(hours=1),)),
        ("approvers", ("ann",)),
        ("node", "ask"),
    ],
)
def test_an_own_question_is_read_back_as_it_was_asked(name, expected):
    assert getattr(read(OWN).question, name) == expected


def test_an_own_question_gets_the_whole_decision():
    decision = Decision(type="edit", by="ann", args={"to": "bob"}, at=NOW)

    assert read(OWN).answer(decision) == decision.to_json()


def test_an_own_question_needs_a_title_only():
    question = read({MARK: "ok?"}).question

    assert (question.allowed, question.on_deadline, question.deadline - NOW) == (
        CHOICES,
        "expire",
        timedelta(days=1),
    )


@pytest.mark.parametrize(
    "part",
    [
        {MARK: 5},
        {MARK: None},
        {MARK: ["send it?"]},
        {"action": 5},
        {"action": ["send"]},
        {"args": "to ann"},
        {"args": [1]},
        {"text": 5},
        {"text": {"a": 1}},
        {"allowed": "approve"},
        {"allowed": ["bogus"]},
        {"allowed": [["approve"]]},
        {"allowed": [None]},
        {"allowed": 5},
        {"allowed": {"approve": True}},
        {"within": "x"},
        {"within": "3600"},
        {"within": 0},
        {"within": -1},
        {"within": math.nan},
        {"within": math.inf},
        {"within": 1e300},
        {"within": 10**400},
        {"within": [60]},
        {"within": timedelta(hours=1)},
        {"on_deadline": "explode"},
        {"on_deadline": ["fail"]},
        {"on_deadline": 5},
        {"reminders": 60},
        {"reminders": ["soon"]},
        {"reminders": [0]},
        {"reminders": [7200]},
        {"reminders": [math.nan]},
        {"reminders": [None]},
        {"approvers": "ann"},
        {"approvers": [3]},
        {"approvers": {"ann": 1}},
    ],
    ids=lambda part: str(part)[:40],
)
class TestMalformedOwn:
    def test_question_is_read_as_a_free_one(self, part):
        assert read({**OWN, **part}).form == "free"

    def test_question_can_be_answered(self, part):
        assert read({**OWN, **part}).question.allowed == ("respond",)


@pytest.mark.parametrize(
    "name", ["action", "args", "text", "allowed", "within", "on_deadline", "reminders", "approvers"]
)
def test_null_leaves_a_part_to_its_default(name):
    assert read({**OWN, name: None, "reminders": None}).form == "perdure"


def test_arguments_that_are_no_json_are_shown_as_text():
    asked = read({**OWN, "args": {"at": NOW, 1: (2,)}})

    assert asked.question.args == {"at": str(NOW), "1": [2]}


def test_any_question_has_a_fingerprint():
    assert read({**OWN, "args": {"at": object}}).question.digest


@pytest.mark.parametrize("wrap", [MappingProxyType, UserDict], ids=lambda w: w.__name__)
def test_any_mapping_will_do(wrap):
    assert read(wrap(OWN)).form == "perdure"


# LangChain's middleware


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("title", "tool: refund"),
        ("action", "refund"),
        ("args", {"amount": 42}),
        ("text", "Refund 42 EUR?"),
        ("allowed", ("approve", "reject")),
        ("deadline", NOW + FREE_WITHIN),
        ("on_deadline", "reject"),
    ],
)
def test_a_request_of_the_middleware_is_read(name, expected):
    assert getattr(read(LANGCHAIN).question, name) == expected


@pytest.mark.parametrize(
    ("decision", "answer"),
    [
        (Decision(type="approve", by="ann"), {"type": "approve"}),
        (
            Decision(type="edit", args={"amount": 7}),
            {"type": "edit", "edited_action": {"name": "refund", "args": {"amount": 7}}},
        ),
        (Decision(type="reject", message="no"), {"type": "reject", "message": "no"}),
        (Decision(type="reject", by="ann"), {"type": "reject", "message": "rejected by ann"}),
        (Decision(type="respond", value="done"), {"type": "respond", "message": "done"}),
        (Decision(type="respond", message="done"), {"type": "respond", "message": "done"}),
        (Decision(type="respond", value=7), {"type": "respond", "message": "7"}),
        (
            Decision(type="expire", by="deadline", message="nobody"),
            {"type": "reject", "message": "nobody"},
        ),
    ],
    ids=lambda v: v.type if isinstance(v, Decision) else "",
)
def test_the_middleware_is_answered_in_its_own_words(decision, answer):
    assert read(LANGCHAIN).answer(decision) == {"decisions": [answer]}


@pytest.mark.parametrize(
    "configs",
    [None, [], [{}], [{"allowed_decisions": None}], [{"allowed_decisions": []}]],
    ids=str,
)
def test_without_a_review_config_any_decision_is_allowed(configs):
    assert read({**LANGCHAIN, "review_configs": configs}).question.allowed == CHOICES


def test_a_decision_of_a_later_langchain_is_left_out():
    configs = [{"allowed_decisions": ["approve", "ponder", ["x"], None]}]

    assert read({**LANGCHAIN, "review_configs": configs}).question.allowed == ("approve",)


@pytest.mark.parametrize(
    "value",
    [
        {"action_requests": None},
        {"action_requests": []},
        {"action_requests": "refund"},
        {"action_requests": {"name": "refund"}},
        {"action_requests": [None]},
        {"action_requests": ["refund"]},
        {"action_requests": [{}]},
        {"action_requests": [{"name": 5}]},
        {"action_requests": [{"name": "a", "args": "all"}]},
        {"action_requests": [{"name": "a", "description": 5}]},
        {**LANGCHAIN, "review_configs": "approve"},
        {**LANGCHAIN, "review_configs": [None]},
        {**LANGCHAIN, "review_configs": ["approve"]},
        {**LANGCHAIN, "review_configs": {"refund": ["approve"]}},
        {**LANGCHAIN, "review_configs": [{"allowed_decisions": "approve"}]},
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_request_of_another_shape_is_free_form(value):
    assert read(value).form == "free"


# Free form


class Mute:
    def __repr__(self) -> str:
        raise RuntimeError("no")


LOOP: dict[str, object] = {}
LOOP["self"] = LOOP


@pytest.mark.parametrize(
    "value",
    [
        None, True, 0, math.nan, "", "what now?", "\ud800\x00", b"x", [], {}, {"question": "?"},
        {1: 2}, object(), Mute(), {"x": Mute()}, LOOP, {MARK: "?", "args": LOOP},
        {MARK: "?", "args": {"x": Mute()}},
    ],
    ids=lambda v: type(v).__name__,
)  # fmt: skip
def test_anything_can_be_asked(value):
    asked = read(value)

    assert (asked.form, asked.question.digest != "") == ("free", True)


def test_a_free_text_is_title_and_text():
    question = read("Which colour?").question

    assert (question.title, question.text) == ("Which colour?", "Which colour?")


def test_a_long_value_is_shown_in_full_below_its_title():
    value = {"question": "x" * 500}

    assert read(value).question.text == repr(value)


def test_the_title_of_a_long_value_is_short():
    assert len(read("x" * 5000).question.title) == 120


def test_a_free_question_that_nobody_answers_fails_the_run():
    assert read("?").question.on_deadline == "fail"


@pytest.mark.parametrize(
    ("decision", "answer"),
    [
        (Decision(type="respond", value={"a": 1}), {"a": 1}),
        (Decision(type="respond", value=False), False),
        (Decision(type="respond", message="blue"), "blue"),
        (Decision(type="respond", value="red", message="I like it"), "red"),
    ],
    ids=str,
)
def test_a_free_question_gets_the_bare_answer(decision, answer):
    assert read("?").answer(decision) == answer
