"""Run every step of a workflow on one and the same thread. Worker side.

Code that waits inside a workflow is parked on a greenlet, and a greenlet can go on only on the
thread that it began on.
"""

from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from functools import cache
from threading import Lock, get_ident
from types import ModuleType
from typing import ParamSpec, TypeVar
from weakref import WeakKeyDictionary, WeakSet

from perdure.core.jsons import Raw
from perdure.errors import Incompatible
from perdure.workflow import bridge, redirects

P = ParamSpec("P")
T = TypeVar("T")
THREADS = 8


class Home:
    """One thread, started when it is first needed, and the workflows that live on it."""

    def __init__(self, number: int) -> None:
        self.thread = ThreadPoolExecutor(1, thread_name_prefix=f"perdure-workflow-{number}")
        self.owners: WeakSet[Raw] = WeakSet()
        self.steps: set[Future[Raw]] = set()

    @property
    def load(self) -> tuple[int, int]:
        """How much it has to do: steps at hand, then workflows in memory."""
        return len(self.steps), len(self.owners)


class AffinityExecutor(Executor):
    """Threads for workflow tasks; a workflow stays with the thread that it began on.

    A new workflow gets the thread with the least to do, so one that computes for too long holds
    up those few that share its thread, and no newcomer.
    """

    def __init__(self, threads: int = THREADS) -> None:
        self._homes = [Home(number) for number in range(threads)]
        self._home_of: WeakKeyDictionary[Raw, Home] = WeakKeyDictionary()
        self._lock = Lock()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run a step of a workflow on the workflow's own thread.

        Raises:
            Incompatible: The step does not belong to a workflow that can be told from others.
        """
        owner = getattr(fn, "__self__", None)
        if owner is None or isinstance(owner, ModuleType):
            raise Incompatible(
                f"this version of Temporal's SDK runs workflow tasks as {fn!r}, which does not "
                "name the workflow; install the versions of Perdure's constraints.txt"
            )
        with self._lock:
            home = self._home_of.get(owner)
            if home is None:
                home = self._home_of[owner] = min(self._homes, key=lambda home: home.load)
                home.owners.add(owner)
            step = home.thread.submit(fn, *args, **kwargs)
            home.steps.add(step)
        step.add_done_callback(home.steps.discard)
        return step

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Stop the threads."""
        for home in self._homes:
            home.thread.shutdown(wait, cancel_futures=cancel_futures)


@cache
def workflow_threads() -> AffinityExecutor:
    """Return the threads that all workers and replays of this process share."""
    return AffinityExecutor()


class Probe:
    """Stands for a workflow in the self-test."""

    def thread(self) -> int:
        """Tell on which thread this runs."""
        return get_ident()

    def waits(self) -> bool:
        """Tell whether sync code can wait."""
        return bridge.self_test() and redirects.self_test()


@cache
def prove_bridge() -> None:
    """Try what the sync bridge needs of greenlet, Python, LangGraph and these threads.

    Takes some milliseconds, once per process. Runs on the worker, when it starts.

    Raises:
        Incompatible: Sync nodes could not wait here; the text says what to do.
    """
    threads = AffinityExecutor(2)
    probes = [Probe(), Probe()]
    try:
        first, again = ([threads.submit(p.thread).result() for p in probes] for _ in range(2))
        failed = [] if first == again else ["threads"]
        if not threads.submit(probes[0].waits).result():
            failed.append("waiting")
    except Exception as error:
        raise Incompatible(_lack(f"{type(error).__name__}: {error}")) from error
    finally:
        threads.shutdown()
    if failed:
        raise Incompatible(_lack(" and ".join(failed)))


def _lack(failed: str) -> str:
    return (
        f"sync nodes cannot wait on this machine (self-test: {failed}); install the versions of "
        "Perdure's constraints.txt, or switch the bridge off, so that nodes which call models or "
        "tools must be `async def`: perdure.Agents(bridge=False)"
    )
