"""The public test kit: real servers and real workers, started and killed from a test."""

from importlib import import_module
from typing import TYPE_CHECKING

from perdure.testing.process import WorkerProcess
from perdure.testing.servers import DevServer, find_binary, free_port, time_skipping

if TYPE_CHECKING:
    from perdure.testing.durable import durable
    from perdure.testing.replay import assert_replays, assert_run_replays

_LATER = {
    "assert_replays": "perdure.testing.replay",
    "assert_run_replays": "perdure.testing.replay",
    "durable": "perdure.testing.durable",
}


def __getattr__(name: str) -> object:
    """Load what needs LangGraph only when it is asked for."""
    if name not in _LATER:
        raise AttributeError(f"module 'perdure.testing' has no attribute {name!r}")
    value = getattr(import_module(_LATER[name]), name)
    globals()[name] = value  # a module of the same name must not take its place
    return value


__all__ = [
    "DevServer",
    "WorkerProcess",
    "assert_replays",
    "assert_run_replays",
    "durable",
    "find_binary",
    "free_port",
    "time_skipping",
]
