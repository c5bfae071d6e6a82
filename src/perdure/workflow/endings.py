"""Write how a failed activity ended as JSON, and raise the same again. Workflow side."""

from typing import cast

from temporalio.exceptions import ActivityError, ApplicationError, TimeoutType
from temporalio.exceptions import TimeoutError as CallTimeout

from perdure.core.causes import words
from perdure.core.jsons import JsonObject, Raw, plain


def failure_to_json(error: ActivityError) -> JsonObject:
    """Write why an activity failed."""
    cause = error.cause
    data: JsonObject = {"activity": error.activity_type, "message": words(cause or error)}
    if isinstance(cause, ApplicationError):
        data["message"] = cause.message
        data["type"] = cause.type
        data["details"] = [plain(one) for one in cause.details]
        data["final"] = cause.non_retryable
    elif isinstance(cause, CallTimeout):
        data["timeout"] = None if cause.type is None else cause.type.name
    return data


def failure_from(raw: Raw) -> ActivityError:
    """Make the failure again."""
    data = cast("JsonObject", raw)
    message = str(data.get("message"))
    error = ActivityError(
        "Activity task failed",
        scheduled_event_id=0,
        started_event_id=0,
        identity="",
        activity_type=str(data.get("activity")),
        activity_id="",
        retry_state=None,
    )
    if "timeout" in data:
        kind = None if data["timeout"] is None else TimeoutType[str(data["timeout"])]
        error.__cause__ = CallTimeout(message, type=kind, last_heartbeat_details=[])
    else:
        code = data.get("type")
        details = cast("list[Raw]", data.get("details") or [])
        error.__cause__ = ApplicationError(
            message,
            *details,
            type=None if code is None else str(code),
            non_retryable=data.get("final") is True,
        )
    return error
