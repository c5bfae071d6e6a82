"""Make the first attempt of a quick tool within the run's own step: one event, not six.

Temporal calls that a local activity. Its input is not recorded, it has no heartbeats, and while it
runs the step cannot end. So it is one short attempt only: what it does not bring back goes the
ordinary way, with all its limits and retries. Workflow side.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    FailureError,
    RetryState,
    is_cancelled_exception,
)
from temporalio.workflow import ActivityCancellationType

from perdure.core.declared import Declaration
from perdure.core.jsons import JsonObject, Raw
from perdure.core.names import TOOL_ACTIVITY
from perdure.core.options import QUICK_RESULT, QUICK_RESULTS, QUICK_TIMEOUT, CallOptions
from perdure.core.ports import Codec
from perdure.core.scenes import Outcome
from perdure.core.summaries import retry_summary

_REMEMBERED = 500
_OVERHEAD = 512
"""Bytes of an event beside its value."""


@dataclass(frozen=True, kw_only=True)
class Missed:
    """A quick attempt without a result, and how to go on."""

    tried: str
    wait: timedelta | None
    limits: CallOptions


@dataclass
class Quick:
    """What a run knows of its quick calls."""

    known: dict[tuple[str, str], bool] = field(default_factory=dict[tuple[str, str], bool])
    """By call id and tool, whether the worker that got the reply knew the tool as quick."""
    slow: dict[str, None] = field(default_factory=dict[str, None])
    """Tools that took too long or returned too much once in this run."""
    tries: int = 0
    under_way: int = 0
    settled: int = 0
    """Bytes that came back since an ordinary call was answered: all in one step at worst."""

    def note(self, calls: Iterable[tuple[str, str]], quick: Iterable[str]) -> None:
        """Note of each call (id and tool) in a model's reply whether it is quick."""
        names = frozenset(quick)
        for call_id, name in calls:
            self.known.pop((call_id, name), None)
            self.known[call_id, name] = name in names
        while len(self.known) > _REMEMBERED:
            del self.known[next(iter(self.known))]

    def takes(self, declared: Declaration, limits: CallOptions, call_id: str | None) -> bool:
        """Tell whether a call is tried quickly: as recorded with the reply, else as declared."""
        recorded = None if call_id is None else self.known.get((call_id, declared.name))
        if not (declared.override.quick is True if recorded is None else recorded):
            return False
        if declared.name in self.slow or limits.retry.attempts == 1:
            return False
        return self.settled + (self.under_way + 1) * QUICK_RESULT <= QUICK_RESULTS

    def answered(self) -> None:
        """Note that an ordinary call was answered: a new step of the run has begun."""
        self.settled = 0


async def try_quick(
    quick: Quick, codec: Codec, packed: JsonObject, limits: CallOptions, *, name: str, summary: str
) -> Raw:
    """Call a tool within the run's own step; returns what came back, or `Missed`.

    Raises:
        ActivityError: The tool failed, and trying again is of no use.
    """
    quick.tries += 1
    quick.under_way += 1
    tried = f"quick-{quick.tries}"
    try:
        raw: Raw = await workflow.execute_local_activity(
            TOOL_ACTIVITY,
            packed,
            activity_id=tried,
            start_to_close_timeout=min(QUICK_TIMEOUT, limits.timeout),
            retry_policy=_once(limits),
            cancellation_type=ActivityCancellationType.TRY_CANCEL,
            summary=summary,
        )
    except FailureError as error:
        failed = error if isinstance(error, ActivityError) else _wrapped(error, tried)
        return _after(quick, failed, limits, tried=tried, name=name)
    finally:
        quick.under_way -= 1
    quick.settled += codec.size(raw) + _OVERHEAD
    if Outcome.from_json(raw).large is None:
        return raw
    quick.slow[name] = None
    return Missed(tried=tried, wait=None, limits=limits)


def _after(
    quick: Quick, failed: ActivityError, limits: CallOptions, *, tried: str, name: str
) -> Missed:
    """Judge a failed attempt.

    Raises:
        ActivityError: It was the last one.
    """
    quick.settled += _OVERHEAD
    cause = failed.cause
    if is_cancelled_exception(failed):
        raise failed
    left = replace(limits, retry=replace(limits.retry, attempts=limits.retry.attempts - 1))
    if not isinstance(cause, ApplicationError):
        quick.slow[name] = None  # no answer in time
        return Missed(tried=tried, wait=None, limits=left)
    if cause.non_retryable:
        raise failed
    wait = max(cause.next_retry_delay or limits.retry.initial, limits.retry.initial)
    return Missed(tried=tried, wait=wait, limits=left)


async def pause(missed: Missed, summary: str) -> None:
    """Wait before the next attempt as long as its policy and the server say."""
    if missed.wait is not None:
        await workflow.sleep(missed.wait, summary=retry_summary(summary))


def _once(limits: CallOptions) -> RetryPolicy:
    retry = limits.retry
    return RetryPolicy(
        initial_interval=retry.initial,
        backoff_coefficient=retry.backoff,
        maximum_interval=retry.maximum,
        maximum_attempts=1,
    )


def _wrapped(error: FailureError, tried: str) -> ActivityError:
    """Write the failure of a local activity as that of an ordinary one."""
    failed = ActivityError(
        "the quick attempt failed",
        scheduled_event_id=0,
        started_event_id=0,
        identity="",
        activity_type=TOOL_ACTIVITY,
        activity_id=tried,
        retry_state=RetryState.MAXIMUM_ATTEMPTS_REACHED,
    )
    failed.__cause__ = error
    return failed
