"""The part of the client that reads histories. Caller side."""

from typing import Protocol

import temporalio.client
from temporalio.client import (
    WorkflowExecutionDescription,
    WorkflowHistory,
    WorkflowHistoryEventFilterType,
)

from perdure.client.faults import translated
from perdure.client.finding import fetch_chain
from perdure.client.payloads import decoder, first, for_run, seal_of, uncover
from perdure.client.reading import read_timeline
from perdure.client.timeline import Timeline
from perdure.core.pieces import is_result


class Describing(Protocol):
    """A client that knows its server."""

    @property
    def temporal(self) -> temporalio.client.Client:
        """Temporal's own client."""
        ...

    @property
    def target(self) -> str:
        """The server's name in error texts."""
        ...

    async def describe(self, run_id: str) -> WorkflowExecutionDescription:
        """Return Temporal's own description of a run."""
        ...

    async def timeline(
        self, run_id: str, *, known: dict[str, WorkflowHistory] | None = None
    ) -> Timeline:
        """Read a run's time line."""
        ...


class HistoryCalls:
    """Read what a run did from the history of its executions; needs no worker."""

    async def timeline(
        self: Describing, run_id: str, *, known: dict[str, WorkflowHistory] | None = None
    ) -> Timeline:
        """Read a run's time line from the histories of all its executions.

        `known` keeps what was read of executions that have ended, for the next time.

        Raises:
            RunNotFound: There is no such run.
        """
        execution = await self.describe(run_id)
        before = {id(history) for history in (known or {}).values()}
        histories = await fetch_chain(self.temporal, execution, target=self.target, known=known)
        raw = execution.raw_description
        converter = for_run(self.temporal, run_id)
        fresh = [history for history in histories if id(history) not in before]
        await uncover(converter, [*(e for h in fresh for e in h.events), raw])
        seal = seal_of(converter)
        return read_timeline(histories, decode=decoder(converter), description=raw, seal=seal)

    async def closing(self: Describing, run_id: str) -> Timeline:
        """Read how a run ended; of a run that is under way there is nothing to read yet."""
        handle = self.temporal.get_workflow_handle(run_id)
        with translated(target=self.target, run_id=run_id):
            history = await handle.fetch_history(
                event_filter_type=WorkflowHistoryEventFilterType.CLOSE_EVENT
            )
        converter = for_run(self.temporal, run_id)
        await uncover(converter, history.events)
        decode = decoder(converter)
        for event in history.events:
            done = event.workflow_execution_completed_event_attributes
            if is_result(first(done.result.payloads, decode)):
                return await self.timeline(run_id)
        return read_timeline([history], decode=decode)
