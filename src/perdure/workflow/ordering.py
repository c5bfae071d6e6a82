"""Make sets of tasks iterate in the same order on every replay. Workflow side.

`asyncio.wait` returns sets, and LangGraph goes through them: which error handler begins first, or
which of two errors is raised, would depend on addresses in memory. `asyncio.as_completed` puts
what it is given in a set before it makes tasks of it: calls would begin in another order.
"""

import asyncio
from collections.abc import Callable
from contextvars import Context
from functools import wraps
from itertools import count

from temporalio import workflow

from perdure.core.jsons import Raw
from perdure.workflow.privates import register_task

MARK = "__perdure_ordered__"


def install() -> None:
    """Let `asyncio.as_completed` begin what it is given in order, in code of a run. On the worker.

    Called again, it does nothing.
    """
    modules: tuple[Raw, ...] = (asyncio, asyncio.tasks)
    for module in modules:
        original = module.as_completed
        if not hasattr(original, MARK):
            module.as_completed = _ordered(original)


def _ordered(original: Callable[..., Raw]) -> Raw:
    @wraps(original)
    def as_completed(fs: Raw, *, timeout: float | None = None) -> Raw:
        if workflow.in_workflow():
            given: list[Raw] = [asyncio.ensure_future(one) for one in dict.fromkeys(fs)]
            return original(given, timeout=timeout)
        return original(fs, timeout=timeout)

    setattr(as_completed, MARK, True)
    return as_completed


class OrderedTask(asyncio.Task[Raw]):
    """A task whose hash is its number in the run."""

    def __init__(self, coro: Raw, *, number: int, **options: Raw) -> None:
        self._number = number
        super().__init__(coro, **options)

    def __hash__(self) -> int:
        return self._number


def in_order(loop: Raw) -> Callable[..., Raw]:
    """Return a `create_task` for the loop of one workflow."""
    numbers = count()

    def create_task(coro: Raw, *, name: str | None = None, context: Context | None = None) -> Raw:
        task = OrderedTask(coro, number=next(numbers), loop=loop, context=context)
        register_task(loop, task, name)
        return task

    return create_task
