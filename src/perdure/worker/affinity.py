"""Run every step of a workflow on one and the same thread. Worker side.

Sync code that waits inside a workflow is parked on a greenlet, and a greenlet can go on only on
the thread that it began on.
"""

from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from functools import cache
from itertools import cycle
from threading import Lock
from typing import ParamSpec, TypeVar
from weakref import WeakKeyDictionary

from perdure.core.jsons import Raw
from perdure.errors import Incompatible

P = ParamSpec("P")
T = TypeVar("T")
THREADS = 4


class AffinityExecutor(Executor):
    """Threads for workflow tasks; a workflow stays with the thread that it began on."""

    def __init__(self, threads: int = THREADS) -> None:
        self._threads = [
            ThreadPoolExecutor(1, thread_name_prefix=f"perdure-workflow-{number}")
            for number in range(threads)
        ]
        self._next = cycle(self._threads)
        self._homes: WeakKeyDictionary[Raw, ThreadPoolExecutor] = WeakKeyDictionary()
        self._lock = Lock()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run a step of a workflow on the workflow's own thread.

        Raises:
            Incompatible: The step does not belong to a workflow that can be told from others.
        """
        owner = getattr(fn, "__self__", None)
        if owner is None:
            raise Incompatible(
                f"this version of Temporal's SDK runs workflow tasks as {fn!r}, which does not "
                "name the workflow; install the versions of Perdure's constraints.txt"
            )
        with self._lock:
            home = self._homes.get(owner)
            if home is None:
                home = self._homes[owner] = next(self._next)
        return home.submit(fn, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Stop the threads."""
        for thread in self._threads:
            thread.shutdown(wait, cancel_futures=cancel_futures)


@cache
def workflow_threads() -> AffinityExecutor:
    """Return the threads that all workers and replays of this process share."""
    return AffinityExecutor()
