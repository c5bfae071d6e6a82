"""Make sets of tasks iterate in the same order on every replay. Workflow side.

`asyncio.wait` returns sets, and LangGraph goes through them: which error handler begins first, or
which of two errors is raised, would depend on addresses in memory.
"""

import asyncio
from collections.abc import Callable
from contextvars import Context
from itertools import count

from perdure.core.jsons import Raw
from perdure.workflow.privates import register_task


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
