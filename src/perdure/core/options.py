"""What an author says about a call: time limits, retries, repairs."""

from dataclasses import dataclass, fields, replace
from datetime import timedelta

from perdure.core.jsons import Json, JsonObject, Raw, as_object
from perdure.errors import BadOption


@dataclass(frozen=True, kw_only=True)
class Retry:
    """Transport retries: the same request again after a failure that may pass."""

    initial: timedelta
    """Wait before the second attempt."""
    backoff: float = 2.0
    maximum: timedelta
    """Longest wait between two attempts; a server's Retry-After may be longer."""
    attempts: int
    """Attempts in all, the first included."""

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise BadOption(f"attempts={self.attempts!r}: at least 1 is needed (1 = never retry)")
        if self.initial <= timedelta(0) or self.maximum < self.initial:
            raise BadOption(
                f"initial={self.initial!r}, maximum={self.maximum!r}: "
                "need 0 < initial <= maximum, as timedelta"
            )
        if self.backoff < 1:
            raise BadOption(f"backoff={self.backoff!r}: at least 1.0 is needed")


LLM_RETRY = Retry(initial=timedelta(seconds=1), maximum=timedelta(seconds=30), attempts=6)
TOOL_RETRY = Retry(initial=timedelta(seconds=2), maximum=timedelta(seconds=60), attempts=4)


@dataclass(frozen=True, kw_only=True)
class CallOptions:
    """How one kind of call runs."""

    timeout: timedelta
    """Longest one attempt may take (Temporal's start-to-close)."""
    heartbeat: timedelta
    """A worker that was not heard of for so long is given up."""
    retry: Retry
    repairs: int = 2
    """How often the model is told what is wrong with its answer and asked again."""

    def __post_init__(self) -> None:
        if self.timeout <= timedelta(0):
            raise BadOption(f"timeout={self.timeout!r}: must be longer than nothing")
        if self.heartbeat < timedelta(seconds=1):
            raise BadOption(f"heartbeat={self.heartbeat!r}: at least one second is needed")
        if self.repairs < 0:
            raise BadOption(f"repairs={self.repairs!r}: 0 or more")


MODEL_OPTIONS = CallOptions(
    timeout=timedelta(minutes=10), heartbeat=timedelta(seconds=10), retry=LLM_RETRY
)
TOOL_OPTIONS = CallOptions(
    timeout=timedelta(minutes=5), heartbeat=timedelta(seconds=10), retry=TOOL_RETRY
)


@dataclass(frozen=True, kw_only=True)
class Override:
    """What one model, one tool or one run changes of the defaults; None keeps them."""

    timeout: timedelta | None = None
    heartbeat: timedelta | None = None
    retry: Retry | None = None
    repairs: int | None = None

    def apply(self, options: CallOptions) -> CallOptions:
        """Return `options` with what this override names."""
        changes = {f.name: v for f in fields(self) if (v := getattr(self, f.name)) is not None}
        return replace(options, **changes) if changes else options


KEEP = Override()


def override_from(raw: Raw) -> Override:
    """Read an override from JSON: seconds for durations, an object for `retry`.

    Raises:
        BadOption: A key is unknown or a value has the wrong type.
    """
    data = as_object(raw, what="options of a call")
    known = {"timeout", "heartbeat", "retry", "repairs"}
    if unknown := sorted(set(data) - known):
        raise BadOption(f"unknown option {unknown[0]!r}: known are {', '.join(sorted(known))}")
    retry = data.get("retry")
    repairs = data.get("repairs")
    return Override(
        timeout=_seconds(data.get("timeout"), "timeout"),
        heartbeat=_seconds(data.get("heartbeat"), "heartbeat"),
        retry=None if retry is None else _retry(as_object(retry, what="retry")),
        repairs=None if repairs is None else int(_number(repairs, "repairs")),
    )


def _retry(data: JsonObject) -> Retry:
    initial = _seconds(data.get("initial", 1.0), "retry.initial") or timedelta(seconds=1)
    return Retry(
        initial=initial,
        backoff=_number(data.get("backoff", 2.0), "retry.backoff"),
        maximum=_seconds(data.get("maximum"), "retry.maximum")
        or max(initial, timedelta(seconds=30)),
        attempts=int(_number(data.get("attempts", 1), "retry.attempts")),
    )


def _seconds(value: Json, name: str) -> timedelta | None:
    return None if value is None else timedelta(seconds=_number(value, name))


def _number(value: Json, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadOption(f"{name}={value!r}: must be a number (durations are in seconds)")
    return float(value)
