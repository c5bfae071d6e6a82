"""Write an exception so that a history can carry it.

Protobuf takes no lone surrogates and the server no megabytes; a failure that cannot be sent is
tried again for ever.
"""

from typing import cast

from perdure.core.jsons import shorten

LONGEST = 600
"""Characters of an exception's text that are kept."""
_LONGEST_CAUSE = 10_000


def words(error: BaseException) -> str:
    """Return an exception's text, short and free of what cannot be written as UTF-8."""
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - an exception's own code may fail too
        text = "(its text cannot be read)"
    return shorten(text, LONGEST).encode("utf-8", "backslashreplace").decode("utf-8")


def innermost(error: BaseException) -> BaseException:
    """Return what lies at the bottom of groups, whose own words say nothing; of several the first.

    Libraries with task groups, such as MCP's, raise whatever happened in a group.
    """
    while isinstance(error, BaseExceptionGroup):
        error = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
    return error


def as_cause(error: BaseException) -> BaseException:
    """Return an exception for use as a cause: itself, if a history can carry its chain."""
    link: BaseException | None = error
    while link is not None:
        if not _fits(link):
            stand_in = RuntimeError(f"{type(error).__name__}: {words(error)}")
            return stand_in.with_traceback(error.__traceback__)
        link = link.__cause__
    return error


def _fits(error: BaseException) -> bool:
    try:
        return len(str(error).encode()) <= _LONGEST_CAUSE
    except Exception:  # noqa: BLE001
        return False
