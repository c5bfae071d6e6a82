"""Read the sub-agents of a run from its history: one child run each. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import cast

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent

from perdure.client.failures import Failure, read_failure
from perdure.client.payloads import Decode, first
from perdure.client.timeline import Call, Outcome
from perdure.core.jsons import Json, Raw

_ENDS: Mapping[str, Outcome] = {
    "CHILD_WORKFLOW_EXECUTION_COMPLETED": "ok",
    "CHILD_WORKFLOW_EXECUTION_FAILED": "failed",
    "CHILD_WORKFLOW_EXECUTION_CANCELED": "cancelled",
    "CHILD_WORKFLOW_EXECUTION_TERMINATED": "failed",
    "CHILD_WORKFLOW_EXECUTION_TIMED_OUT": "timed_out",
    "START_CHILD_WORKFLOW_EXECUTION_FAILED": "failed",
}
_ASKED = "START_CHILD_WORKFLOW_EXECUTION_INITIATED"
_BEGUN = "CHILD_WORKFLOW_EXECUTION_STARTED"


@dataclass
class ChildReader:
    """Collects the child runs of one run."""

    decode: Decode
    calls: dict[tuple[int, int], Call] = field(default_factory=dict[tuple[int, int], Call])

    def read(self, event: HistoryEvent, part: int) -> None:
        """Take in one event; `part` numbers the executions of the run."""
        name = EventType.Name(event.event_type).removeprefix("EVENT_TYPE_")
        at = event.event_time.ToDatetime(tzinfo=UTC)
        if name == _ASKED:
            self._begin(event, part, at)
            return
        told = cast("Raw", getattr(event, f"{name.lower()}_event_attributes", None))
        key = (part, int(getattr(told, "initiated_event_id", 0)))
        call = self.calls.get(key)
        if call is None:
            return
        if name == _BEGUN:
            self.calls[key] = replace(call, started=at, attempts=1, outcome="running")
        elif name in _ENDS:
            self.calls[key] = self._ended(call, name, told, at)

    def close(self) -> None:
        """Close what the run did not wait for any more."""
        for key, call in self.calls.items():
            if call.closed is None:
                self.calls[key] = replace(call, outcome="cancelled")

    def _begin(self, event: HistoryEvent, part: int, at: datetime) -> None:
        asked = event.start_child_workflow_execution_initiated_event_attributes
        argument = first(asked.input.payloads, self.decode)
        start = cast("dict[str, Json]", argument) if isinstance(argument, dict) else {}
        agent = str(start.get("agent") or asked.workflow_type.name)
        self.calls[part, event.event_id] = Call(
            kind="agent",
            name=agent,
            summary=f"agent: {agent} (run {asked.workflow_id})",
            args=start.get("input"),
            run=asked.workflow_id,
            scheduled=at,
        )

    def _ended(self, call: Call, name: str, told: Raw, at: datetime) -> Call:
        outcome = _ENDS[name]
        failure: Failure | None = None
        result: Json = None
        if outcome == "ok":
            result = first(told.result.payloads, self.decode)
        elif name == "CHILD_WORKFLOW_EXECUTION_FAILED":
            failure = read_failure(told.failure, self.decode)
        elif outcome != "cancelled":
            words = name.removeprefix("CHILD_WORKFLOW_EXECUTION_").lower().replace("_", " ")
            failure = Failure(code=outcome, message=f"the child run: {words}")
        data = cast("dict[str, Raw]", result) if isinstance(result, dict) else {}
        tokens = cast("dict[str, Raw]", (data.get("totals") or {}).get("tokens") or {})
        return replace(
            call,
            closed=at,
            outcome=outcome,
            failure=failure,
            result=data.get("output", result),
            input_tokens=tokens.get("input_tokens"),
            output_tokens=tokens.get("output_tokens"),
        )
