"""Tell a failure of a database that may pass from one that will not. Activity side."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from temporalio.exceptions import ApplicationError

from perdure.activity.heartbeat import heartbeats
from perdure.core.causes import words
from perdure.errors import PerdureError, StorageFailed, Unavailable

_PASSING = frozenset(
    {"OperationalError", "InterfaceError", "PoolTimeout", "OSError", "TimeoutError"}
)
"""By name, since a database's driver may not be installed."""
_TOLD = (ValueError, TypeError, NotImplementedError)
"""What LangGraph's stores raise at a wrong call; a node may catch it."""


@asynccontextmanager
async def keeping(what: str) -> AsyncGenerator[None]:
    """Turn what a store or a saver raises into a failure that Temporal can judge.

    Meanwhile heartbeats are sent: another worker takes over soon after this one died.

    Raises:
        ApplicationError: Its type is a code of `perdure.errors`; the first detail is the name
            of the class that was raised.
    """
    try:
        async with heartbeats():
            yield
    except ApplicationError:
        raise
    except Exception as error:
        code = error.code if isinstance(error, PerdureError) else StorageFailed.code
        raise ApplicationError(
            f"{what} failed: {type(error).__name__}: {words(error)}",
            {"class": _told(error)},
            type=code,
            non_retryable=not _passes(error),
        ) from error


def _passes(error: BaseException) -> bool:
    """Tell whether a second attempt may help: the file was locked, the server away."""
    if isinstance(error, PerdureError):
        return isinstance(error, Unavailable)
    if "readonly" in str(error):
        return False
    if _PASSING & {kind.__name__ for kind in type(error).__mro__}:
        return True
    return error.__cause__ is not None and _passes(error.__cause__)


def _told(error: Exception) -> str | None:
    return next((kind.__name__ for kind in _TOLD if isinstance(error, kind)), None)
