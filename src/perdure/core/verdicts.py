"""Decide what a failure means. Pure: no clock, no provider library, no Temporal."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Literal, TypeAlias, get_args

from perdure.core.options import Retry

Act: TypeAlias = Literal["retry", "give_up", "back_to_model", "unknown"]
ACTS: tuple[str, ...] = get_args(Act)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What to do next, and why, in words a person can read in the time line."""

    act: Act
    reason: str
    after: timedelta | None = None
    """Earliest next attempt; None leaves it to the call's own backoff."""


LONGEST_PAUSE = timedelta(hours=1)
"""A `Retry-After` beyond this is cut: the next attempt asks the server again."""

OVERLOADED = 529
OVERLOAD_PAUSE = timedelta(seconds=5)
"""An overloaded provider (529) is left alone at least so long."""

_PASSING = frozenset({408, 409, 429, *range(500, 600)})
_SPENT = frozenset(
    {"insufficient_quota", "billing_error", "billing_hard_limit_reached", "billing_not_active"}
)
_STATUS_OF_TYPE = {
    "overloaded_error": OVERLOADED,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "timeout_error": 504,
    "api_error": 500,
    "server_error": 500,
    "billing_error": 402,
    "insufficient_quota": 429,
    "invalid_request_error": 400,
    "context_length_exceeded": 400,
    "authentication_error": 401,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
}


def status_of_type(*names: str | None) -> int | None:
    """Return the HTTP status that the first known provider error type stands for.

    An error in the middle of a stream has no status of its own: the response began with 200.
    """
    return next((_STATUS_OF_TYPE[name] for name in names if name in _STATUS_OF_TYPE), None)


def judge_status(
    status: int,
    *,
    should_retry: bool | None = None,
    after: timedelta | None = None,
    error_code: str | None = None,
    error_type: str | None = None,
) -> Verdict:
    """Judge an HTTP error status, and what the server or its client said about it.

    A spent quota is final whatever else is said. Then `should_retry` decides (the server's
    own header, else the client library's classification), then the status.
    """
    named = next((name for name in (error_code, error_type) if name), None)
    said = f"{status} ({named})" if named else f"{status}"
    if {error_code, error_type} & _SPENT:
        return Verdict(act="give_up", reason=f"the quota is spent: {said}")
    passing = status in _PASSING
    if should_retry is False:
        because = ", and that trying again is of no use" if passing else ""
        return Verdict(act="give_up", reason=f"the server said {said}{because}")
    if not (should_retry or passing):
        return Verdict(act="give_up", reason=f"the server refused the request with {said}")
    if status == OVERLOADED:
        after = max(after or OVERLOAD_PAUSE, OVERLOAD_PAUSE)
    wait = "" if after is None else f", again after {after.total_seconds():g} s"
    return Verdict(act="retry", reason=f"the server said {said}{wait}", after=after)


def retry_after(
    headers: Mapping[str, str], *, now: datetime, cap: timedelta = LONGEST_PAUSE
) -> timedelta | None:
    """Read how long a server asks to wait; None if it does not say, or says nonsense.

    `retry-after-ms` is the more exact and wins; `Retry-After` holds seconds or an HTTP
    date, which is compared with `now`. The past is no wait at all.
    """
    lower = {name.lower(): value.strip() for name, value in headers.items()}
    seconds = _number(lower.get("retry-after-ms", ""))
    if seconds is not None:
        seconds /= 1000
    else:
        text = lower.get("retry-after", "")
        seconds = _number(text)
        if seconds is None:
            seconds = _until(text, now=now)
    if seconds is None:
        return None
    return timedelta(seconds=min(max(seconds, 0.0), cap.total_seconds()))


def no_sooner(verdict: Verdict, *, attempt: int, retry: Retry) -> Verdict:
    """Return the verdict with its wait no shorter than the backoff of this attempt.

    A named wait replaces Temporal's backoff. "Retry-After: 1" said six times would
    otherwise spend all attempts within seconds.
    """
    if verdict.act != "retry" or verdict.after is None:
        return verdict
    grown = retry.initial.total_seconds() * retry.backoff ** min(max(attempt - 1, 0), 64)
    backoff = timedelta(seconds=min(grown, retry.maximum.total_seconds()))
    return verdict if verdict.after >= backoff else replace(verdict, after=backoff)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _until(text: str, *, now: datetime) -> float | None:
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    aware = date if date.tzinfo is not None else date.replace(tzinfo=UTC)
    return (aware - now).total_seconds()
