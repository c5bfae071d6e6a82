"""Say why a call failed for good, and what is known of its effect. Workflow side."""

from collections.abc import Mapping
from datetime import timedelta
from typing import cast

from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    TimeoutType,
    is_cancelled_exception,
)
from temporalio.exceptions import TimeoutError as CallTimeout

from perdure.core.jsons import Json, shorten
from perdure.core.options import CallOptions
from perdure.errors import PayloadTooLarge, PerdureError, UsageError

_SHUTDOWN = "WorkerShutdown"
"""What Temporal's SDK calls an attempt that ended because its worker was stopped."""


def explain(subject: str, error: ActivityError, limits: CallOptions) -> str:
    """Explain a failure in one sentence that begins with what was called."""
    cause = error.cause
    if isinstance(cause, ApplicationError):
        told = cause.message
        return told if told.startswith(subject) else f"{subject}: {told}"
    if isinstance(cause, CallTimeout):
        kind = cause.type
        if kind == TimeoutType.HEARTBEAT:
            return f"{subject}: its worker was not heard of for {_span(limits.heartbeat)}"
        if kind == TimeoutType.START_TO_CLOSE:
            tried = f"tried {limits.retry.attempts} times at most"
            return f"{subject}: no answer within {_span(limits.timeout)}, {tried}"
        return f"{subject}: timed out ({kind.name.lower() if kind else 'unknown'})"
    return f"{subject}: {shorten(str(cause or error), 300)}"


def kind_of(error: ActivityError, otherwise: type[PerdureError]) -> type[PerdureError]:
    """Return the class that the activity named by its code: the developer's part, mostly."""
    cause = error.cause
    code = cause.type if isinstance(cause, ApplicationError) else None
    return next(
        (c for c in (*UsageError.__subclasses__(), PayloadTooLarge) if c.code == code), otherwise
    )


def _span(value: timedelta) -> str:
    return f"{value.total_seconds():g} s"


def is_unknown(error: ActivityError) -> bool:
    """Tell whether a call may have done its work all the same."""
    cause = error.cause
    if isinstance(cause, CallTimeout) or is_cancelled_exception(error):
        return True
    if isinstance(cause, ApplicationError) and cause.type == _SHUTDOWN:
        return True
    details = cause.details if isinstance(cause, ApplicationError) else ()
    first = details[0] if details else None
    return isinstance(first, Mapping) and cast("Mapping[str, Json]", first).get("verdict") in (
        "retry",
        "unknown",
    )
