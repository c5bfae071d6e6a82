import math
from datetime import timedelta

import pytest

from perdure.core.options import (
    KEEP,
    LLM_RETRY,
    MODEL_OPTIONS,
    TOOL_OPTIONS,
    TOOL_RETRY,
    CallOptions,
    Override,
    Retry,
    override_from,
)
from perdure.errors import BadInput, BadOption

SECOND = timedelta(seconds=1)
FOREVER = timedelta.max


def retry(**changes: object) -> Retry:
    return Retry(**{"initial": SECOND, "maximum": 2 * SECOND, "attempts": 3, **changes})


def test_a_model_call_backs_off_from_one_second_to_thirty_in_six_attempts():
    assert (LLM_RETRY.initial, LLM_RETRY.backoff, LLM_RETRY.maximum, LLM_RETRY.attempts) == (
        SECOND,
        2.0,
        30 * SECOND,
        6,
    )


def test_a_tool_call_backs_off_from_two_seconds_to_sixty_in_four_attempts():
    assert (TOOL_RETRY.initial, TOOL_RETRY.backoff, TOOL_RETRY.maximum, TOOL_RETRY.attempts) == (
        2 * SECOND,
        2.0,
        60 * SECOND,
        4,
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"attempts": 0},
        {"attempts": -1},
        {"attempts": 2.5},
        {"attempts": True},
        {"attempts": "3"},
        {"attempts": 2**31},
        {"initial": timedelta(0)},
        {"initial": -SECOND},
        {"initial": 1},
        {"maximum": SECOND / 2},
        {"maximum": 30},
        {"maximum": FOREVER},
        {"backoff": 0.5},
        {"backoff": math.nan},
        {"backoff": math.inf},
        {"backoff": "2"},
    ],
    ids=str,
)
def test_an_impossible_retry_is_refused(changes):
    with pytest.raises(BadOption):
        retry(**changes)


def test_a_retry_may_be_one_single_attempt():
    assert retry(attempts=1, backoff=1).attempts == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"timeout": timedelta(0)},
        {"timeout": -SECOND},
        {"timeout": 60},
        {"timeout": FOREVER},
        {"heartbeat": SECOND / 2},
        {"heartbeat": 10},
        {"repairs": -1},
        {"repairs": 1.5},
        {"repairs": "2"},
        {"repairs": False},
        {"retry": 3},
        {"retry": {"attempts": 3}},
    ],
    ids=str,
)
class TestImpossible:
    def test_limits_are_refused_where_they_are_written(self, changes):
        with pytest.raises(BadOption):
            Override(**changes)

    def test_limits_are_refused_of_a_whole_set_too(self, changes):
        good = {"timeout": SECOND, "heartbeat": SECOND, "retry": LLM_RETRY}
        with pytest.raises(BadOption):
            CallOptions(**{**good, **changes})


def test_the_text_of_a_refusal_names_the_option_and_its_value():
    with pytest.raises(BadOption, match="timeout=60: must be a timedelta"):
        Override(timeout=60)


def test_an_empty_override_keeps_the_very_options():
    assert KEEP.apply(MODEL_OPTIONS) is MODEL_OPTIONS


def test_an_override_changes_what_it_names_only():
    changed = Override(timeout=SECOND).apply(TOOL_OPTIONS)

    assert (changed.timeout, changed.heartbeat, changed.retry, changed.repairs) == (
        SECOND,
        TOOL_OPTIONS.heartbeat,
        TOOL_RETRY,
        TOOL_OPTIONS.repairs,
    )


def test_no_repairs_is_a_choice_and_not_the_default():
    assert Override(repairs=0).apply(MODEL_OPTIONS).repairs == 0


def test_an_override_is_read_from_seconds():
    read = override_from(
        {"timeout": 90, "heartbeat": 2.5, "repairs": 1, "retry": {"attempts": 2, "initial": 5}}
    )

    assert read == Override(
        timeout=timedelta(seconds=90),
        heartbeat=timedelta(seconds=2.5),
        repairs=1,
        retry=Retry(initial=5 * SECOND, maximum=30 * SECOND, attempts=2),
    )


def test_an_empty_object_overrides_nothing():
    assert override_from({}) == KEEP


@pytest.mark.parametrize("name", ["timeout", "heartbeat", "retry", "repairs"])
def test_null_keeps_the_default(name):
    assert override_from({name: None}) == KEEP


def test_a_long_first_wait_moves_the_longest_one():
    read = override_from({"retry": {"attempts": 2, "initial": 45}})

    assert read.retry is not None
    assert read.retry.maximum == 45 * SECOND


@pytest.mark.parametrize(
    "raw",
    [
        {"time_out": 1},
        {"timeout": "60"},
        {"timeout": True},
        {"timeout": [60]},
        {"timeout": {"seconds": 60}},
        {"timeout": 0},
        {"timeout": -1},
        {"timeout": math.nan},
        {"timeout": math.inf},
        {"timeout": 1e300},
        {"timeout": 10**400},
        {"heartbeat": 0},
        {"repairs": 2.7},
        {"repairs": math.nan},
        {"repairs": -1},
        {"repairs": "two"},
        {"retry": {}},
        {"retry": {"initial": 5}},
        {"retry": {"attempts": 0}},
        {"retry": {"attempts": 1.5}},
        {"retry": {"attempts": math.inf}},
        {"retry": {"attempts": 3, "initial": 0}},
        {"retry": {"attempts": 3, "maximum": 0}},
        {"retry": {"attempts": 3, "backoff": math.nan}},
        {"retry": {"attempts": 3, "max_attempts": 5}},
        {1: 2},
        {1: 2, "x": 3},
    ],
    ids=lambda raw: str(raw)[:60],
)
def test_an_override_with_a_wrong_value_is_refused(raw):
    with pytest.raises(BadOption):
        override_from(raw)


@pytest.mark.parametrize("raw", [5, "timeout", [1], None, True], ids=str)
def test_an_override_that_is_no_object_is_refused(raw):
    with pytest.raises(BadInput, match="options of a call must be a JSON object"):
        override_from(raw)


@pytest.mark.parametrize("raw", [3, "often", [3]], ids=str)
def test_a_retry_that_is_no_object_is_refused(raw):
    with pytest.raises(BadInput, match="retry must be a JSON object"):
        override_from({"retry": raw})
