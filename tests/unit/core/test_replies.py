import json

import pytest

from perdure.core.replies import (
    FAULT_KINDS,
    Fault,
    bad_arguments,
    broken_arguments,
    cut_arguments,
    judge_faults,
    no_stop_reason,
    no_tool_call,
    unknown_tool,
    unparsable,
)
from perdure.errors import BadInput

ALL = (
    no_stop_reason(),
    bad_arguments("refund", tool_call_id="c1", problems=("'amount' is a required property",)),
    broken_arguments("refund", tool_call_id=None, raw='{"amount": '),
    cut_arguments("refund", tool_call_id="c1"),
    unknown_tool("delete", tool_call_id="c1", known=("refund", "search")),
    unparsable(("it is not JSON",)),
    no_tool_call("refund"),
    no_tool_call(None),
)


@pytest.mark.parametrize("fault", ALL, ids=lambda fault: fault.text[:30])
def test_a_fault_survives_json(fault):
    assert Fault.from_json(json.loads(json.dumps(fault.to_json()))) == fault


def test_what_is_not_known_is_left_out_of_the_json():
    assert set(no_stop_reason().to_json()) == {"kind", "text"}


def test_unknown_keys_of_a_fault_are_ignored():
    assert Fault.from_json({"kind": "unparsable", "text": "x", "new": 1}).text == "x"


@pytest.mark.parametrize(
    "raw",
    [
        None,
        [],
        {},
        {"kind": "new", "text": "x"},
        {"kind": "unparsable"},
        {"kind": "unparsable", "text": 1},
        {"kind": "unparsable", "text": "x", "tool": 1},
    ],
    ids=str,
)
def test_what_is_no_fault_is_refused(raw):
    with pytest.raises(BadInput):
        Fault.from_json(raw)


def test_every_kind_has_a_text():
    assert {fault.kind for fault in ALL} == set(FAULT_KINDS)


def test_bad_arguments_name_tool_problem_and_remedy():
    fault = bad_arguments(
        "refund", tool_call_id="c1", problems=("'amount' is a required property",)
    )

    assert fault.text == (
        "Tool 'refund' was called with arguments that do not fit its schema: "
        "'amount' is a required property. Call it again with corrected arguments."
    )


def test_an_unknown_tool_is_answered_with_the_known_ones():
    assert (
        "'refund', 'search'"
        in unknown_tool("x", tool_call_id=None, known=("refund", "search")).text
    )


def test_long_broken_arguments_are_quoted_in_part():
    fault = broken_arguments("refund", tool_call_id=None, raw='{"text": "' + "x" * 10_000)

    assert len(fault.text) < 400


def test_no_faults_need_no_verdict():
    assert judge_faults(()) is None


def test_an_answer_that_broke_off_is_asked_for_again():
    assert judge_faults((no_stop_reason(),)).act == "retry"


def test_any_other_fault_goes_back_to_the_model():
    assert {judge_faults((fault,)).act for fault in ALL[1:]} == {"back_to_model"}


def test_breaking_off_explains_the_other_faults_of_an_answer():
    assert judge_faults((ALL[1], no_stop_reason())).act == "retry"


def test_the_reason_names_each_kind_once():
    verdict = judge_faults((ALL[1], ALL[2], ALL[4]))

    assert verdict.reason == "the answer cannot be used: bad_arguments, unknown_tool"
