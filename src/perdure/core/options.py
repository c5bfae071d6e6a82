"""What an author says about a call: time limits, retries, repairs."""

from dataclasses import dataclass, fields, replace
from datetime import timedelta
from typing import TypeGuard

from perdure.core.jsons import Json, JsonObject, Raw, as_object
from perdure.errors import BadOption

_MOST = 2**31 - 1
"""Temporal counts attempts in 32 bits; no duration in seconds is longer either."""
_LONGEST = timedelta(days=3650)


def _is_number(value: Raw) -> TypeGuard[int | float]:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return -_MOST <= value <= _MOST  # neither infinite nor NaN


def _is_count(value: Raw) -> bool:
    return _is_number(value) and isinstance(value, int)


def _is_span(value: Raw) -> bool:
    return isinstance(value, timedelta) and value <= _LONGEST


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
        if not _is_count(self.attempts) or self.attempts < 1:
            raise BadOption(
                f"attempts={self.attempts!r}: a whole number, at least 1 (1 = never retry)"
            )
        spans = _is_span(self.initial) and _is_span(self.maximum)
        if not spans or not timedelta(0) < self.initial <= self.maximum:
            raise BadOption(
                f"initial={self.initial!r}, maximum={self.maximum!r}: "
                f"need 0 < initial <= maximum <= {_LONGEST.days} days, as timedelta"
            )
        if not _is_number(self.backoff) or self.backoff < 1:
            raise BadOption(f"backoff={self.backoff!r}: at least 1.0 is needed")


LLM_RETRY = Retry(initial=timedelta(seconds=1), maximum=timedelta(seconds=30), attempts=6)
TOOL_RETRY = Retry(initial=timedelta(seconds=2), maximum=timedelta(seconds=60), attempts=4)
QUICK_TIMEOUT = timedelta(seconds=2)
"""Of the first attempt of a quick tool, which holds up the run's own step; later ones may take
as long as those of any tool."""
QUICK_RESULT = 64 * 1024
"""Bytes of one result that the run's own step carries."""
QUICK_RESULTS = 48 * QUICK_RESULT
"""Of all in one step; Temporal's server takes 4 MB in one message."""
STORE_RETRY = Retry(initial=timedelta(seconds=1), maximum=timedelta(seconds=30), attempts=8)
"""Of long-term memory and threads: about two minutes in all."""
STORE_HEARTBEAT = timedelta(seconds=10)
"""A worker that dies while it keeps something is noticed after this time."""


def _check_limits(timeout: Raw, heartbeat: Raw, retry: Raw, repairs: Raw) -> None:
    nothing = timedelta(0)
    if timeout is not None and not (_is_span(timeout) and timeout > nothing):
        raise BadOption(
            f"timeout={timeout!r}: must be a timedelta above 0 and up to {_LONGEST.days} days"
        )
    if heartbeat is not None and not (_is_span(heartbeat) and heartbeat >= timedelta(seconds=1)):
        raise BadOption(f"heartbeat={heartbeat!r}: a timedelta of at least one second is needed")
    if retry is not None and not isinstance(retry, Retry):
        raise BadOption(f"retry={retry!r}: must be a perdure.Retry")
    if repairs is not None and not (_is_count(repairs) and repairs >= 0):
        raise BadOption(f"repairs={repairs!r}: a whole number, 0 or more")


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
        _check_limits(self.timeout, self.heartbeat, self.retry, self.repairs)


MODEL_OPTIONS = CallOptions(
    timeout=timedelta(minutes=10), heartbeat=timedelta(seconds=10), retry=LLM_RETRY
)
TOOL_OPTIONS = CallOptions(
    timeout=timedelta(minutes=5), heartbeat=timedelta(seconds=10), retry=TOOL_RETRY
)
TOOL_LIST_OPTIONS = CallOptions(
    timeout=timedelta(seconds=60), heartbeat=timedelta(seconds=10), retry=TOOL_RETRY
)
"""Of asking an MCP server for its tools: one that never answers must not hold a run for long."""


@dataclass(frozen=True, kw_only=True)
class Override:
    """What one model, one tool or one run changes of the defaults; None keeps them."""

    timeout: timedelta | None = None
    heartbeat: timedelta | None = None
    retry: Retry | None = None
    repairs: int | None = None
    quick: bool | None = None
    """Whether a tool's first attempt is made within the run's own step; False switches that off."""
    fuse: bool | None = None
    """Of a model: whether the worker that gets its reply calls the quick tools at once."""

    def __post_init__(self) -> None:
        # Told where the app is imported, not by the first call of a run.
        _check_limits(self.timeout, self.heartbeat, self.retry, self.repairs)

    def apply(self, options: CallOptions) -> CallOptions:
        """Return `options` with what this override names."""
        changes = {f.name: v for f in fields(options) if (v := getattr(self, f.name)) is not None}
        return replace(options, **changes) if changes else options


KEEP = Override()


def override_from(raw: Raw, *, tool: bool = True) -> Override:
    """Read an override from JSON: seconds for durations, an object for `retry`.

    `quick` can be switched off only, for tools: a tool is quick because its author says so.
    `fuse` is for models.

    Raises:
        BadOption: A key is unknown or a value has the wrong type.
    """
    data = as_object(raw, what="options of a call")
    known = {"timeout", "heartbeat", "retry", "repairs", "quick" if tool else "fuse"}
    if unknown := sorted(set(data) - known, key=str):
        raise BadOption(f"unknown option {unknown[0]!r}: known are {', '.join(sorted(known))}")
    retry = data.get("retry")
    repairs = data.get("repairs")
    quick = data.get("quick")
    if quick is not None and quick is not False:
        raise BadOption(
            f"quick={quick!r}: a run can only switch it off (false); "
            "declare the tool as quick: perdure.tool(..., quick=True)"
        )
    return Override(
        timeout=_seconds(data.get("timeout"), "timeout"),
        heartbeat=_seconds(data.get("heartbeat"), "heartbeat"),
        retry=None if retry is None else _retry(as_object(retry, what="retry")),
        repairs=None if repairs is None else _count(repairs, "repairs"),
        quick=quick,
        fuse=_flag(data.get("fuse"), "fuse"),
    )


def _retry(data: JsonObject) -> Retry:
    known = {f.name for f in fields(Retry)}
    if unknown := sorted(set(data) - known, key=str):
        raise BadOption(
            f"unknown option {unknown[0]!r} of retry: known are {', '.join(sorted(known))}"
        )
    if "attempts" not in data:
        raise BadOption("retry.attempts is missing: say how many in all (1 = never retry)")
    initial = _seconds(data.get("initial"), "retry.initial")
    initial = timedelta(seconds=1) if initial is None else initial
    maximum = _seconds(data.get("maximum"), "retry.maximum")
    return Retry(
        initial=initial,
        backoff=_number(data.get("backoff", 2.0), "retry.backoff"),
        maximum=max(initial, timedelta(seconds=30)) if maximum is None else maximum,
        attempts=_count(data["attempts"], "retry.attempts"),
    )


def _seconds(value: Json, name: str) -> timedelta | None:
    return None if value is None else timedelta(seconds=_number(value, name))


def _flag(value: Json, name: str) -> bool | None:
    if value is not None and not isinstance(value, bool):
        raise BadOption(f"{name}={value!r}: must be true or false")
    return value


def _number(value: Json, name: str) -> float:
    if not _is_number(value):
        raise BadOption(f"{name}={value!r}: must be a number (durations are in seconds)")
    return float(value)


def _count(value: Json, name: str) -> int:
    if not _is_number(value) or value != int(value):
        raise BadOption(f"{name}={value!r}: must be a whole number")
    return int(value)
