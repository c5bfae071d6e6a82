"""When an execution of a run ends so that the run goes on in a new one. Workflow side.

Near a limit the graph is asked to stop at the next boundary of a super-step. One super-step may be
very long, so if no boundary comes, or if nothing but people is waited for, no further call may
begin; what the open super-steps did so far goes along in the journal.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from langgraph.runtime import RunControl
from temporalio import workflow

from perdure.core.continuing import LAST_BYTES, LAST_EVENTS
from perdure.core.wire import RunInput
from perdure.errors import PayloadTooLarge
from perdure.workflow.carrying import close_places
from perdure.workflow.checkpoints import Place
from perdure.workflow.current import Run

_FORCE = 2
"""How many times the limit may be passed before an open super-step is cut."""


@dataclass
class Leaving:
    """Watch how long this execution is, and say when it is to end."""

    run: Run
    control: RunControl = field(default_factory=RunControl)
    forced: bool = False
    """Nothing is under way but what waits for people: the graph may be left as it stands."""
    expected: int = 0
    """Answers that the graph was given; it must have taken them."""
    stuck: str = ""
    """Why the run cannot go on in a new execution."""
    asking: int = 0
    """People who are waited for inside of a node."""
    _events: int = 0
    _bytes: int = 0
    """What the execution had when it began, its carry included."""
    _puts: int = 0
    _waits: int = 1
    """How many times the limits must be passed before it is tried again."""
    _asked_at: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        info = workflow.info()
        self._events = info.get_current_history_length()
        self._bytes = info.get_current_history_size()
        self._puts = self.run.saver.puts

    def near(self) -> bool:
        """Tell whether a limit is near."""
        limits = self.run.start.continues
        if limits is None:
            return False
        info = workflow.info()
        events = info.get_current_history_length() - self._events
        size = info.get_current_history_size() - self._bytes
        if events >= limits.events * self._waits or size >= limits.bytes * self._waits:
            return True
        return not self.stuck and info.is_continue_as_new_suggested()

    def may_leave(self) -> bool:
        """Tell whether the run may go on in a new execution, as far as others are concerned."""
        thread = self.run.thread
        children = self.run.family.children.values()
        return (
            self.near()
            and not any(child.status == "running" for child in children)
            and not (thread is not None and thread.rollback)
        )

    async def watch(self) -> None:
        """Ask the graph to stop when it is time; runs beside it, to the end of the execution."""
        while True:
            await workflow.wait_condition(self._may_stop)
            await self._stop(self.control)

    async def _stop(self, control: RunControl) -> None:
        """Ask the graph to stop, and hold its calls if it does not; to the end or `give_up`."""
        info = workflow.info()
        self._asked_at = info.get_current_history_length(), info.get_current_history_size()
        control.request_drain("the run goes on in a new execution")
        await workflow.wait_condition(lambda: self._is_overdue(control))
        if control is not self.control:
            return
        self.run.journal.holding = True
        await workflow.wait_condition(lambda: self._is_still(control))
        if control is self.control:
            self.forced = True
        await workflow.wait_condition(lambda: control is not self.control)

    def has_moved(self) -> bool:
        """Tell whether this execution has come further than the one before."""
        return self.run.saver.puts > self._puts

    def _may_stop(self) -> bool:
        progress = self.has_moved()
        taken = len(self.run.saver.resumed) >= self.expected
        here = progress and taken and not self.run.lead.is_ahead
        return here and self.may_leave() and not self.control.drain_requested

    def _is_overdue(self, control: RunControl) -> bool:
        if control is not self.control:
            return True
        if self.asking and not self.run.journal.busy:
            return True
        info = workflow.info()
        events, size = self._asked_at
        return info.get_current_history_length() - self._events >= _FORCE * (
            events - self._events
        ) or info.get_current_history_size() - self._bytes >= _FORCE * (size - self._bytes)

    def _is_still(self, control: RunControl) -> bool:
        children = self.run.family.children.values()
        still = not self.run.journal.busy and not any(c.status == "running" for c in children)
        return still or control is not self.control

    def give_up(self, why: str) -> None:
        """Note that the carry is too large; the execution goes on, and tries again later."""
        self.stuck, self._waits = why, self._waits * _FORCE
        workflow.logger.warning("the run stays in its execution: %s", why)
        self.control, self.forced = RunControl(), False
        self.run.journal.holding = False

    def is_full(self) -> bool:
        """Tell whether the execution cannot become any longer."""
        info = workflow.info()
        length, size = info.get_current_history_length(), info.get_current_history_size()
        return bool(self.stuck) and (length >= LAST_EVENTS or size >= LAST_BYTES)

    def refuse(self) -> PayloadTooLarge:
        """Return the error that ends a run which cannot go on."""
        info = workflow.info()
        return PayloadTooLarge(
            f"the run's history has {info.get_current_history_length():,} events and "
            f"{info.get_current_history_size():,} bytes, which is all that Temporal keeps of one "
            f"execution, and it cannot go on in a new one: {self.stuck}"
        )

    def expect(self, answers: int) -> None:
        """Note that the graph is called with so many answers, which it must take first."""
        self.expected = answers
        self.run.saver.resumed = {}

    async def first_of(
        self, call: "asyncio.Task[object]", over: Callable[[], bool] | None = None
    ) -> bool:
        """Wait for the graph; True if it is to be left as it stands, or has gone too far.

        Raises:
            PayloadTooLarge: The execution is full.
        """
        try:
            await workflow.wait_condition(
                lambda: (
                    call.done() or self.forced or self.is_full() or (over is not None and over())
                )
            )
        except asyncio.CancelledError:
            call.cancel()
            return False
        if call.done():
            return False
        if self.forced:
            return True
        call.cancel()
        await asyncio.wait([call])
        if self.is_full():
            raise self.refuse()
        return True


def begin_watch(run: Run) -> Leaving | None:
    """Begin to watch the length of a run's execution, if the run continues."""
    start: RunInput = run.start
    if start.continues is None:
        return None
    leaving = run.leaving = Leaving(run)
    run.journal.on = True

    def close(place: Place) -> None:
        run.journal.close(place[1])
        run.pauses.close(place[1])
        if run.saver.salt is None:
            close_places(run, place)

    run.saver.on_put = close
    return leaving
