"""One-line texts for activities and timers, short enough for Temporal's summary field."""

from collections.abc import Mapping

from perdure.core.jsons import Json, shorten

LIMIT = 190
"""Temporal takes 400 bytes; UTF-8 may need two for each of these characters."""


def model_summary(model: str, turn: int, repair: int = 0) -> str:
    """Describe a model call, e.g. `model: anthropic:claude · turn 4 · repair 1`."""
    tail = f" · repair {repair}" if repair else ""
    return shorten(f"model: {model} · turn {turn}{tail}", LIMIT)


def tool_summary(tool: str, args: Mapping[str, Json]) -> str:
    """Describe a tool call, e.g. `tool: refund(amount=42)`."""
    inner = ", ".join(f"{name}={shorten(_plain(value), 40)}" for name, value in args.items())
    return shorten(f"tool: {tool}({inner})", LIMIT)


def retry_summary(call: str) -> str:
    """Describe the timer before the next attempt of a call."""
    return shorten(f"before the next attempt: {call}", LIMIT)


def deadline_summary(title: str) -> str:
    """Describe the timer that ends the wait for a person."""
    return shorten(f"approval deadline: {title}", LIMIT)


def reminder_summary(number: int, title: str) -> str:
    """Describe the timer of a reminder."""
    return shorten(f"approval reminder {number}: {title}", LIMIT)


def _plain(value: Json) -> str:
    return repr(value) if isinstance(value, str) else str(value)
