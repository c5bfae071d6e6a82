"""Why something failed, in words: read from Temporal's failures, mapped back to our errors."""

from collections.abc import Callable
from dataclasses import dataclass

from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import TimeoutType
from temporalio.api.failure.v1 import Failure as FailureProto

from perdure import errors
from perdure.core.jsons import JsonObject, Raw

_TIMEOUTS = {
    TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE: ("timed_out", "no answer within the time limit"),
    TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_START: ("timed_out", "no worker took it in time"),
    TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_CLOSE: ("timed_out", "not done within its whole time"),
    TimeoutType.TIMEOUT_TYPE_HEARTBEAT: ("worker_lost", "its worker was not heard of any more"),
}
_DEEPEST = 12


@dataclass(frozen=True, kw_only=True)
class Failure:
    """One failure and what caused it."""

    code: str
    """A code of `perdure.errors`, or "timed_out", "worker_lost", "cancelled", "terminated",
    "unexpected"."""
    message: str
    cause: "Failure | None" = None

    def words(self) -> str:
        """Tell the failure and its causes in one sentence each, without repetition."""
        said = f"[{self.code}] {self.message}"
        cause = self.cause
        while cause is not None:
            if cause.message not in said:
                said = f"{said} <- [{cause.code}] {cause.message}"
            cause = cause.cause
        return said

    def to_json(self) -> JsonObject:
        """Write the failure as JSON."""
        data: JsonObject = {"code": self.code, "message": self.message}
        if self.cause is not None:
            data["cause"] = self.cause.to_json()
        return data


def read_failure(
    proto: FailureProto, decode: Callable[[Payload], Raw], *, depth: int = 0
) -> Failure:
    """Read a failure as it stands in a history."""
    message = proto.message
    if proto.HasField("encoded_attributes"):
        hidden = decode(proto.encoded_attributes)
        if isinstance(hidden, dict):
            message = str(hidden.get("message", message))  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
    cause = None
    if proto.HasField("cause") and depth < _DEEPEST:
        cause = read_failure(proto.cause, decode, depth=depth + 1)
    if proto.HasField("activity_failure_info") and cause is not None:
        return cause  # says only that an activity failed, which its step says better
    code, words = _kind(proto)
    return Failure(code=code, message=message or words, cause=cause)


def _kind(proto: FailureProto) -> tuple[str, str]:
    if proto.HasField("application_failure_info"):
        return proto.application_failure_info.type or "unexpected", "no message"
    if proto.HasField("timeout_failure_info"):
        kind = proto.timeout_failure_info.timeout_type
        return _TIMEOUTS.get(kind, ("timed_out", "timed out"))
    if proto.HasField("canceled_failure_info"):
        return "cancelled", "cancelled"
    if proto.HasField("terminated_failure_info"):
        return "terminated", "terminated"
    if proto.HasField("server_failure_info"):
        return "unavailable", "Temporal's server failed"
    return "unexpected", "failed"


def refusal(code: str | None, message: str) -> errors.Refused:
    """Make the error that a run refused a decision with."""
    known: dict[str, type[errors.Refused]] = {
        kind.code: kind
        for kind in (
            errors.BadDecision,
            errors.AlreadyDecided,
            errors.NothingWaiting,
            errors.NotAllowed,
            errors.RunBusy,
        )
    }
    return known.get(code or "", errors.Refused)(message)
