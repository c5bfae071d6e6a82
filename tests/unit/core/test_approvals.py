from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from perdure.core.approvals import (
    CHOICES,
    LONGEST,
    Approve,
    Decision,
    Docket,
    Question,
    digest_of,
    parse_decision,
)
from perdure.errors import AlreadyDecided, BadDecision, BadOption, NotAllowed, NothingWaiting

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def question(id: str = "q1", **changes: object) -> Question:
    base = {
        "title": f"send {id}?",
        "asked_at": NOW,
        "deadline": NOW + HOUR,
        "action": "send",
        "args": {"to": "ann", "amount": 42},
        "allowed": CHOICES,
    }
    return Question(id=id, **{**base, **changes})


def decide(verb: str = "approve", **parts: object) -> Decision:
    return Decision(type=verb, **{"by": "ann", **parts})


def docket(*questions: Question) -> Docket:
    made = Docket()
    for one in questions:
        made = made.ask(one)
    return made


# Terms


@pytest.mark.parametrize(
    "terms",
    [
        {"within": timedelta(0)},
        {"within": -HOUR},
        {"within": LONGEST + HOUR},
        {"within": timedelta.max},
        {"within": 3600},
        {"within": None},
        {"allowed": ()},
        {"allowed": ("approve", "bogus")},
        {"allowed": "approve"},
        {"allowed": (["approve"],)},
        {"allowed": None},
        {"allowed": ("expire",)},
        {"on_deadline": "explode"},
        {"on_deadline": None},
        {"on_deadline": ["reject"]},
        {"reminders": (timedelta(0),)},
        {"reminders": (-HOUR,)},
        {"reminders": (HOUR, timedelta(hours=24))},
        {"reminders": (60,)},
        {"reminders": HOUR},
        {"approvers": "ann"},
        {"approvers": (3,)},
        {"approvers": {"ann": 1}},
    ],
    ids=str,
)
def test_terms_that_nobody_could_meet_are_refused(terms):
    with pytest.raises(BadOption):
        Approve(**terms)


@pytest.mark.parametrize("within", [timedelta(microseconds=1), LONGEST], ids=str)
def test_any_time_up_to_the_longest_may_be_given(within):
    assert Approve(within=within).within == within


def test_a_reminder_may_lie_just_before_the_deadline():
    last = HOUR - timedelta(microseconds=1)

    assert Approve(within=HOUR, reminders=(last,)).reminders == (last,)


def test_by_default_a_person_has_a_day_and_silence_rejects():
    assert (Approve().within, Approve().on_deadline) == (timedelta(days=1), "reject")


# Reading a decision


@pytest.mark.parametrize("verb", CHOICES)
def test_each_kind_of_decision_is_read(verb):
    assert parse_decision({"type": verb, "by": "ann"}).type == verb


def test_every_part_is_read():
    raw = {
        "type": "edit",
        "by": "ann",
        "args": {"a": 1},
        "message": "less",
        "value": [1],
        "question": "q1",
        "at": "2026-01-01T12:00:00+00:00",
    }

    assert parse_decision(raw) == Decision(
        type="edit",
        by="ann",
        args={"a": 1},
        message="less",
        value=[1],
        question="q1",
        at=NOW,
    )


@pytest.mark.parametrize("verb", [*CHOICES, "expire"])
def test_what_was_written_is_read_back_the_same(verb):
    made = decide(verb, args={"a": 1}, message="m", value=0.5, at=NOW, question="q1")

    assert parse_decision(made.to_json()) == made


def test_parts_without_a_value_are_not_written():
    assert set(decide().to_json()) == {"type", "by"}


def test_a_decision_object_is_taken_as_it_is():
    made = decide()

    assert parse_decision(made) is made


@pytest.mark.parametrize("by", [None, ""], ids=repr)
def test_a_decision_without_a_name_is_by_unknown(by):
    assert parse_decision({"type": "approve", "by": by}).by == "unknown"


@pytest.mark.parametrize(
    "raw",
    [
        None,
        True,
        0,
        "approve",
        ["approve"],
        [],
        {},
        {"type": None},
        {"type": True},
        {"type": 1},
        {"type": ""},
        {"type": "Approve"},
        {"type": "approved"},
        {"type": ["approve"]},
        {"type": {"approve": 1}},
        {"type": "\ud800"},
        {"type": "x" * 10_000},
        {"type": "approve", "by": 3},
        {"type": "approve", "by": ["ann"]},
        {"type": "approve", "by": {"name": "ann"}},
        {"type": "approve", "by": False},
        {"type": "approve", "message": 5},
        {"type": "approve", "message": ["no"]},
        {"type": "approve", "question": 7},
        {"type": "approve", "question": ["q1"]},
        {"type": "edit", "args": "{}"},
        {"type": "edit", "args": []},
        {"type": "edit", "args": 0},
        {"type": "edit", "args": False},
        {"type": "approve", "at": "soon"},
        {"type": "approve", "at": 20260101},
        {"type": "approve", "at": ["2026-01-01T12:00:00+00:00"]},
        {"type": "approve", "at": "2026-01-01T12:00:00"},
        {"type": "approve", "at": ""},
        {"type": "approve", "verdict": "yes"},
        {"type": "approve", 1: "x", "also": "y"},
        {None: "approve"},
        {"decisions": [{"type": "approve"}]},
    ],
    ids=lambda raw: ascii(raw)[:60],
)
def test_what_is_no_decision_is_refused(raw):
    with pytest.raises(BadDecision):
        parse_decision(raw)


def test_a_refusal_quotes_a_large_value_in_part():
    with pytest.raises(BadDecision) as caught:
        parse_decision({"type": "x" * 10_000})

    assert len(str(caught.value)) < 300


def test_a_misspelt_part_is_named_with_the_known_ones():
    with pytest.raises(BadDecision, match=r"unknown field 'coment': known are args, at, by"):
        parse_decision({"type": "approve", "coment": "fine"})


# Finding the question


def test_the_only_open_question_needs_no_name():
    assert docket(question()).find(decide()).id == "q1"


def test_a_named_question_is_found_among_several():
    assert docket(question("q1"), question("q2")).find(decide(question="q2")).id == "q2"


def test_among_several_a_question_must_be_named():
    with pytest.raises(BadDecision, match="2 questions are open; name one of: q1, q2"):
        docket(question("q1"), question("q2")).find(decide())


@pytest.mark.parametrize("wanted", [None, "q1"])
def test_a_run_that_asked_nothing_waits_for_nobody(wanted):
    with pytest.raises(NothingWaiting):
        Docket().find(decide(question=wanted))


def test_an_unknown_name_is_answered_with_the_open_ones():
    with pytest.raises(NothingWaiting, match="no question 'q9' in this run; open: q1"):
        docket(question()).find(decide(question="q9"))


@pytest.mark.parametrize("wanted", [None, "q1"])
def test_a_second_decision_is_told_who_decided_before(wanted):
    asked = question()
    settled = docket(asked).settle(asked, decide("reject", at=NOW))

    with pytest.raises(AlreadyDecided, match="reject by 'ann' at 2026-01-01T12:00:00"):
        settled.find(decide(question=wanted))


def test_a_second_decision_is_told_that_the_deadline_was_first():
    asked = question()
    settled = docket(asked).settle(asked, Decision(type="expire", by="deadline"))

    with pytest.raises(AlreadyDecided, match="expire by the deadline"):
        settled.find(decide())


def test_a_late_decision_without_a_name_goes_to_the_one_that_is_open():
    first, second = question("q1"), question("q2")
    settled = docket(first, second).settle(first, decide())

    assert settled.find(decide()).id == "q2"


# Ids


def test_a_new_id_stays():
    asked = question("q2")

    assert docket(question("q1")).distinct(asked) is asked


def test_the_id_of_an_open_question_is_not_given_twice():
    assert docket(question("q1")).distinct(question("q1")).id == "q1-2"


def test_the_id_of_a_decided_question_is_not_given_again():
    asked = question("q1")
    settled = docket(asked).settle(asked, decide())

    assert settled.distinct(question("q1")).id == "q1-2"


def test_ids_are_counted_on():
    assert docket(question("q1"), question("q1-2")).distinct(question("q1")).id == "q1-3"


def test_a_double_click_does_not_approve_the_next_question():
    first = question("call_0")
    settled = docket(first).settle(first, decide())
    both = settled.ask(settled.distinct(question("call_0", args={"to": "eve"})))

    with pytest.raises(AlreadyDecided):
        both.check(decide(question="call_0"), now=NOW)


# Checking a decision


@pytest.mark.parametrize(
    "decision",
    [
        decide("approve"),
        decide("reject"),
        decide("reject", message="no"),
        decide("edit", args={"to": "bob"}),
        decide("edit", args={}),
        decide("respond", value=0),
        decide("respond", message="done by hand"),
    ],
    ids=lambda d: str(d.to_json()),
)
def test_a_proper_decision_is_taken(decision):
    assert docket(question()).check(decision, now=NOW).id == "q1"


@pytest.mark.parametrize(
    "moment", [NOW + HOUR, NOW + HOUR + timedelta(microseconds=1)], ids=["at", "after"]
)
def test_at_the_deadline_it_is_too_late(moment):
    with pytest.raises(AlreadyDecided, match="too late: the deadline of 'send q1"):
        docket(question()).check(decide(), now=moment)


def test_just_before_the_deadline_is_in_time():
    moment = NOW + HOUR - timedelta(microseconds=1)

    assert docket(question()).check(decide(), now=moment).id == "q1"


def test_another_time_zone_is_the_same_moment():
    there = (NOW + HOUR).astimezone(timezone(timedelta(hours=9)))

    with pytest.raises(AlreadyDecided):
        docket(question()).check(decide(), now=there)


def test_a_clock_without_a_zone_is_a_mistake_in_the_code():
    with pytest.raises(TypeError):
        docket(question()).check(decide(), now=NOW.replace(tzinfo=None))


def test_a_person_cannot_play_the_deadline():
    with pytest.raises(NotAllowed, match="by the deadline alone"):
        docket(question()).check(decide("expire"), now=NOW)


@pytest.mark.parametrize("verb", ["edit", "reject", "respond"])
def test_a_kind_that_is_not_allowed_is_refused_with_the_allowed_ones(verb):
    with pytest.raises(NotAllowed, match="choose approve"):
        docket(question(allowed=("approve",))).check(decide(verb), now=NOW)


def test_a_person_who_may_not_decide_is_refused():
    asked = question(approvers=("ann", "bob"))

    with pytest.raises(NotAllowed, match=r"'eve' may not decide .*: only ann, bob"):
        docket(asked).check(decide(by="eve"), now=NOW)


@pytest.mark.parametrize("by", ["an", "Ann", "unknown", "ann "])
def test_a_name_must_be_the_very_same(by):
    with pytest.raises(NotAllowed):
        docket(question(approvers=("ann",))).check(decide(by=by), now=NOW)


def test_an_edit_needs_arguments():
    with pytest.raises(BadDecision, match="an edit needs 'args'"):
        docket(question()).check(decide("edit"), now=NOW)


@pytest.mark.parametrize("args", [{"cc": 1}, {"to": 1, "cc": 2}, {"cc": 1, 5: 2}], ids=str)
def test_an_edit_cannot_bring_arguments_that_are_not_there(args):
    with pytest.raises(BadDecision, match="is not one of amount, to"):
        docket(question()).check(decide("edit", args=args), now=NOW)


@pytest.mark.parametrize("verb", ["approve", "reject", "respond"])
def test_arguments_go_with_an_edit_only(verb):
    with pytest.raises(BadDecision, match=f"'args' goes with an edit, not with '{verb}'"):
        docket(question()).check(decide(verb, args={}, value=1), now=NOW)


def test_a_response_needs_an_answer():
    with pytest.raises(BadDecision, match="a response needs"):
        docket(question()).check(decide("respond"), now=NOW)


def test_a_refused_decision_leaves_the_docket_as_it_was():
    before = docket(question())
    with pytest.raises(NotAllowed):
        before.check(decide("expire"), now=NOW)

    assert before == docket(question())


# Settling


def test_a_settled_question_is_no_longer_open():
    asked = question()

    assert docket(asked).settle(asked, decide()).open == ()


def test_the_others_stay_open():
    first, second = question("q1"), question("q2")

    assert docket(first, second).settle(first, decide()).open == (second,)


def test_a_docket_is_a_value():
    before = docket(question())
    before.settle(before.open[0], decide())

    assert len(before.open) == 1


# Fingerprints


def test_the_order_of_keys_does_not_change_a_fingerprint():
    assert digest_of({"a": 1, "b": 2}) == digest_of({"b": 2, "a": 1})


@pytest.mark.parametrize(
    "change",
    [{"action": "pay"}, {"args": {"to": "ann", "amount": 43}}, {"text": "really?"}],
    ids=str,
)
def test_the_fingerprint_covers_what_is_approved(change):
    assert replace(question(), **change).digest != question().digest


@pytest.mark.parametrize("change", [{"id": "q2"}, {"title": "?"}, {"node": "n"}], ids=str)
def test_the_fingerprint_leaves_out_what_is_not_approved(change):
    assert replace(question(), **change).digest == question().digest


@pytest.mark.parametrize("text", ["\ud800", "\x00", "ß中\U0001f600"], ids=ascii)
def test_any_text_has_a_fingerprint(text):
    assert len(digest_of(text)) == 24


def test_a_question_is_written_with_its_fingerprint():
    written = question().to_json()

    assert written["digest"] == question().digest


def test_the_times_of_a_question_are_written_with_their_zone():
    assert question().to_json()["deadline"] == "2026-01-01T13:00:00+00:00"


def test_a_free_question_has_no_arguments():
    assert question(action=None, args=None).to_json()["args"] is None
