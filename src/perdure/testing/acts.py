"""What a test's call does beside its workflow: each deed is one local activity.

A local activity ends within the same workflow task. So waits have the length that the test
asks for, whatever the resolution of the server's timers, and a call costs the server two steps.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextvars import Context
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from itertools import count
from typing import TypeVar, cast

from temporalio import activity, workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, is_cancelled_exception
from temporalio.worker import (
    Interceptor,
    StartActivityInput,
    StartLocalActivityInput,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
    WorkflowOutboundInterceptor,
)

from perdure.core.jsons import Raw

ACT_ACTIVITY = "perdure.testing.act"
LONGEST_NAP = 600.0
"""Longer waits are timers of the server."""
_WITHIN = timedelta(hours=1)
_NAPS = "perdure_naps"
_ONCE = RetryPolicy(maximum_attempts=1)

T = TypeVar("T")
Deed = Callable[[], Awaitable[Raw]]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a deed came to."""

    value: Raw = None
    error: BaseException | None = None
    stopped: bool = False
    """The caller gave up before it was done."""


@dataclass
class Deeds:
    """The deeds of one call, and what they came to, by number. Objects of the process."""

    asked: dict[int, Deed] = field(default_factory=dict[int, Deed])
    outcomes: dict[int, Outcome] = field(default_factory=dict[int, Outcome])
    stopping: bool = False
    """The caller gave up, and the workflow has not been told yet."""
    wake: Callable[[], None] = lambda: None
    """Called at each deed, on the worker's loop."""
    _stop: asyncio.Event = field(default_factory=asyncio.Event)

    def stop(self) -> None:
        """Tell the workflow at its next deed that the caller gave up. On the worker's loop."""
        self.stopping = True
        self._stop.set()

    async def carry_out(self, number: int) -> None:
        """Carry out one deed. Runs as an activity."""
        self.wake()
        deed = self.asked.pop(number)
        task = asyncio.ensure_future(_awaited(deed))
        stop = asyncio.ensure_future(self._stop.wait())
        try:
            await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stop.cancel()
            if not task.done():
                task.cancel()
        if not task.done() or (self.stopping and task.cancelled()):
            self.stopping = False
            self._stop.clear()
            self.outcomes[number] = Outcome(stopped=True)
        else:
            self.outcomes[number] = task.result()


async def _awaited(deed: Deed) -> Outcome:
    try:
        return Outcome(value=await deed())
    except asyncio.CancelledError:
        raise
    except BaseException as error:  # noqa: BLE001 - it belongs to who asked
        return Outcome(error=error)


class Acts:
    """Asks for deeds from within the workflow of a call. Workflow side."""

    def __init__(self, id: str, deeds: Deeds) -> None:
        self._id = id
        self._deeds = deeds
        self._numbers: Iterator[int] = count()
        self.main: asyncio.Task[Raw] | None = None
        """What is cancelled when the caller gives up."""

    def start(self, deed: Deed) -> "tuple[int, asyncio.Task[None]]":
        """Start a deed; returns its number and what ends with it."""
        number = next(self._numbers)
        if number not in self._deeds.outcomes:
            self._deeds.asked[number] = deed
        handle = workflow.start_local_activity(
            ACT_ACTIVITY,
            args=[self._id, number],
            start_to_close_timeout=_WITHIN,
            retry_policy=_ONCE,
        )
        return number, cast("asyncio.Task[None]", handle)

    async def perform(self, deed: Callable[[], Awaitable[T]]) -> T:
        """Carry out a deed and return its result.

        Raises:
            CancelledError: The caller gave up.
            Exception: What the deed raised, the very object.
        """
        number, handle = self.start(deed)
        try:
            await handle
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise asyncio.CancelledError from None
            raise
        outcome = self.take(number)
        if outcome.stopped:
            raise asyncio.CancelledError
        if outcome.error is not None:
            raise outcome.error
        return cast("T", outcome.value)

    def take(self, number: int) -> Outcome:
        """Return what a deed came to; the first one that was stopped ends the call."""
        outcome = self._deeds.outcomes[number]
        if outcome.stopped and self.main is not None:
            self.main.cancel()
        return outcome


class Nap(asyncio.TimerHandle):
    """A timer of the workflow's loop that is a local activity."""

    act: "asyncio.Task[None] | None" = None

    def cancel(self) -> None:
        """Do not ring."""
        if not self.cancelled():
            asyncio.Handle.cancel(self)
            if self.act is not None:
                self.act.cancel()

    def ring(self) -> None:
        """Call what was to be called."""
        if not self.cancelled():
            cast("Raw", self)._run()  # noqa: SLF001 - as every loop does


def take_naps(loop: Raw, acts: Acts) -> None:
    """Let the waits of a workflow be deeds. Workflow side."""
    timer = loop.call_later

    def call_later(
        delay: float, callback: Callable[..., Raw], *args: Raw, context: Context | None = None
    ) -> asyncio.TimerHandle:
        if delay > LONGEST_NAP:
            return timer(delay, callback, *args, context=context)
        nap = Nap(loop.time() + delay, callback, args, loop, context)
        number, nap.act = acts.start(partial(asyncio.sleep, max(delay, 0)))

        def over(act: "asyncio.Task[None]") -> None:
            if not act.cancelled() and act.exception() is None and not acts.take(number).stopped:
                nap.ring()

        nap.act.add_done_callback(over)
        return nap

    loop.call_later = call_later
    setattr(loop, _NAPS, True)


class StayLocal(Interceptor):
    """Lets every activity of a call be a local one, as its waits are.

    A workflow task that a wait holds open would hold back any other activity until its end.
    """

    def workflow_interceptor_class(
        self,
        input: WorkflowInterceptorClassInput,  # noqa: ARG002 - for all workflows
    ) -> type[WorkflowInboundInterceptor] | None:
        """Return what comes between a workflow and its activities."""
        return _Inbound


class _Inbound(WorkflowInboundInterceptor):
    def init(self, outbound: WorkflowOutboundInterceptor) -> None:
        super().init(_Outbound(outbound))


class _Outbound(WorkflowOutboundInterceptor):
    def start_activity(self, input: StartActivityInput) -> "workflow.ActivityHandle[Raw]":
        if not getattr(asyncio.get_running_loop(), _NAPS, False):
            return super().start_activity(input)
        local = StartLocalActivityInput(
            activity=input.activity,
            args=input.args,
            activity_id=input.activity_id,
            schedule_to_close_timeout=input.schedule_to_close_timeout,
            schedule_to_start_timeout=None,
            start_to_close_timeout=input.start_to_close_timeout,
            retry_policy=input.retry_policy,
            local_retry_threshold=None,
            cancellation_type=input.cancellation_type,
            headers=input.headers,
            summary=input.summary,
            arg_types=input.arg_types,
            ret_type=input.ret_type,
        )
        return self.start_local_activity(local)


class DeedActivities:
    """The activity of all deeds."""

    def __init__(self, deeds_of: Callable[[str], Deeds]) -> None:
        self._deeds_of = deeds_of

    @activity.defn(name=ACT_ACTIVITY)
    async def act(self, id: str, number: int) -> None:
        """Carry out one deed of one call."""
        await self._deeds_of(id).carry_out(number)
