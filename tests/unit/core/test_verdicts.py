from datetime import UTC, datetime, timedelta

import pytest

from perdure.core.options import LLM_RETRY
from perdure.core.verdicts import (
    LONGEST_PAUSE,
    OVERLOAD_PAUSE,
    Verdict,
    judge_status,
    no_sooner,
    retry_after,
    status_of_type,
)

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def seconds(value: float) -> timedelta:
    return timedelta(seconds=value)


@pytest.mark.parametrize("status", [408, 409, 429, 500, 501, 502, 503, 504, 529, 599])
def test_a_status_that_may_pass_is_tried_again(status):
    assert judge_status(status).act == "retry"


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 405, 413, 418, 422, 451])
def test_any_other_status_is_final(status):
    assert judge_status(status).act == "give_up"


@pytest.mark.parametrize(("said", "act"), [(True, "retry"), (False, "give_up")])
@pytest.mark.parametrize("status", [400, 429, 503])
def test_what_the_server_says_wins_over_the_status(status, said, act):
    assert judge_status(status, should_retry=said).act == act


@pytest.mark.parametrize("field", ["error_code", "error_type"])
@pytest.mark.parametrize("said", [True, None])
def test_a_spent_quota_is_final_whatever_else_is_said(field, said):
    verdict = judge_status(429, should_retry=said, **{field: "insufficient_quota"})

    assert verdict.act == "give_up"


def test_the_wait_that_the_server_names_is_kept():
    assert judge_status(429, after=seconds(7)).after == seconds(7)


def test_without_a_named_wait_the_call_backs_off_by_itself():
    assert judge_status(429).after is None


@pytest.mark.parametrize("named", [None, seconds(0), seconds(1)])
def test_an_overloaded_provider_is_left_alone_for_a_while(named):
    assert judge_status(529, after=named).after == OVERLOAD_PAUSE


def test_an_overloaded_provider_that_names_a_longer_wait_gets_it():
    assert judge_status(529, after=seconds(30)).after == seconds(30)


def test_a_final_verdict_names_no_wait():
    assert judge_status(400, after=seconds(7)).after is None


def test_the_reason_names_status_and_code():
    verdict = judge_status(429, after=seconds(7), error_code="rate_limit_exceeded")

    assert verdict.reason == "the server said 429 (rate_limit_exceeded), again after 7 s"


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"retry-after": "7"}, 7),
        ({"Retry-After": "7"}, 7),
        ({"retry-after": " 0.25 "}, 0.25),
        ({"retry-after": "0"}, 0),
        ({"retry-after": "-3"}, 0),
        ({"retry-after": "Thu, 01 Jan 2026 12:00:10 GMT"}, 10),
        ({"retry-after": "Thu, 01 Jan 2026 13:00:10 +0100"}, 10),
        ({"retry-after": "Thu, 01 Jan 2026 12:00:10 -0000"}, 10),
        ({"retry-after": "Thu, 01 Jan 2026 11:00:00 GMT"}, 0),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"Retry-After-Ms": "1500", "Retry-After": "9"}, 1.5),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9),
    ],
    ids=str,
)
def test_a_named_wait_is_read(headers, wait):
    assert retry_after(headers, now=NOW) == seconds(wait)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "soon",
        "nan",
        "inf",
        "-inf",
        "9" * 400,
        "12 minutes",
        "Thu, 99 Foo 2026",
        "2026-01-01T12:00:10Z",
    ],
)
def test_a_wait_that_makes_no_sense_counts_as_none(text):
    assert retry_after({"retry-after": text}, now=NOW) is None


def test_without_headers_there_is_no_wait():
    assert retry_after({}, now=NOW) is None


@pytest.mark.parametrize("text", ["86400", "1e300", "Thu, 01 Jan 2099 12:00:00 GMT"])
def test_a_wait_beyond_reason_is_cut(text):
    assert retry_after({"retry-after": text}, now=NOW) == LONGEST_PAUSE


def test_the_cap_can_be_chosen():
    assert retry_after({"retry-after": "60"}, now=NOW, cap=seconds(5)) == seconds(5)


@pytest.mark.parametrize(
    ("attempt", "wait"), [(1, 1), (2, 2), (3, 4), (6, 30), (10**9, 30)], ids=str
)
def test_a_short_named_wait_grows_with_the_backoff(attempt, wait):
    verdict = Verdict(act="retry", reason="", after=seconds(0.5))

    assert no_sooner(verdict, attempt=attempt, retry=LLM_RETRY).after == seconds(wait)


def test_a_long_named_wait_stays():
    verdict = Verdict(act="retry", reason="", after=seconds(90))

    assert no_sooner(verdict, attempt=6, retry=LLM_RETRY) is verdict


def test_a_verdict_without_a_wait_stays_without_one():
    verdict = Verdict(act="retry", reason="")

    assert no_sooner(verdict, attempt=6, retry=LLM_RETRY) is verdict


@pytest.mark.parametrize(
    ("names", "status"),
    [
        (("overloaded_error",), 529),
        ((None, "rate_limit_exceeded"), 429),
        (("something_new", "server_error"), 500),
        (("something_new",), None),
        ((), None),
    ],
    ids=str,
)
def test_a_provider_error_type_stands_for_a_status(names, status):
    assert status_of_type(*names) == status
