"""The public test kit: real servers and real workers, started and killed from a test."""

from importlib import import_module
from typing import TYPE_CHECKING

from perdure.testing.process import WorkerProcess
from perdure.testing.servers import DevServer, find_binary, free_port, time_skipping

if TYPE_CHECKING:
    from perdure.testing.replay import assert_replays, assert_run_replays

_REPLAY = ("assert_replays", "assert_run_replays")


def __getattr__(name: str) -> object:
    """Load what needs LangGraph only when it is asked for."""
    if name not in _REPLAY:
        raise AttributeError(f"module 'perdure.testing' has no attribute {name!r}")
    return getattr(import_module("perdure.testing.replay"), name)


__all__ = [
    "DevServer",
    "WorkerProcess",
    "assert_replays",
    "assert_run_replays",
    "find_binary",
    "free_port",
    "time_skipping",
]
