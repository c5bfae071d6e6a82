"""Read whole histories of runs, without a worker."""

from typing import Protocol

import temporalio.client
from temporalio.client import WorkflowExecutionDescription, WorkflowHistory

from perdure.client.finding import fetch_chain
from perdure.client.payloads import Decode, decoder, uncover
from perdure.client.rawcalls import RawCall, read_calls
from perdure.errors import BadInput


class Reader(Protocol):
    """What reading a history needs of the client."""

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

    async def histories(
        self, execution: WorkflowExecutionDescription
    ) -> tuple[list[WorkflowHistory], Decode]:
        """Fetch a run's executions, oldest first, and what reads their values."""
        ...


class HistoryCalls:
    """The part of the client that reads whole histories."""

    async def raw_calls(self: Reader, run_id: str, *, only: int | None = None) -> list[RawCall]:
        """Read what each call of a run really got, or one of them (from 1); needs no worker.

        Raises:
            RunNotFound: There is no such run.
            BadInput: The run made no call of that number.
        """
        histories, decode = await self.histories(await self.describe(run_id))
        found = list(read_calls(histories, decode=decode, only=only))
        if only is not None and not found:
            made = sum(1 for _ in read_calls(histories, decode=decode))
            raise BadInput(f"run {run_id!r} made {made} calls; there is no number {only}")
        return found

    async def histories(
        self: Reader, execution: WorkflowExecutionDescription
    ) -> tuple[list[WorkflowHistory], Decode]:
        """Fetch a run's executions, oldest first, and what reads their values."""
        histories = await fetch_chain(self.temporal, execution, target=self.target)
        converter = self.temporal.data_converter
        raw = execution.raw_description
        await uncover(converter, [*(e for h in histories for e in h.events), raw])
        return histories, decoder(converter)
