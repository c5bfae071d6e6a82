"""Read the quick calls of a run from its history: one marker each. Pure."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import cast

from temporalio.api.enums.v1 import EventType
from temporalio.api.failure.v1 import Failure as FailureProto
from temporalio.api.history.v1 import HistoryEvent

from perdure.client.failures import Failure, read_failure
from perdure.client.payloads import Decode, first
from perdure.client.timeline import Call, Outcome
from perdure.core.jsons import Json, Raw
from perdure.core.names import TOOL_ACTIVITY
from perdure.core.scenes import Outcome as Brought
from perdure.core.summaries import tool_summary

_MARKER = "core_local_activity"
"""What Temporal's SDK calls the marker that stands for a local activity."""


@dataclass
class QuickReader:
    """Collects the quick calls of one run."""

    decode: Decode
    calls: dict[tuple[int, str], Call] = field(default_factory=dict[tuple[int, str], Call])
    """By the execution of the run and the call's id in it."""
    step: HistoryEvent = field(default_factory=HistoryEvent)
    """The event that began the run's step: its time is the server's, as all others are."""

    def read(self, event: HistoryEvent, part: int) -> None:
        """Take in one event; `part` numbers the executions."""
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED:
            self.step = event
        held = event.marker_recorded_event_attributes
        if event.event_type != EventType.EVENT_TYPE_MARKER_RECORDED or held.marker_name != _MARKER:
            return
        data = cast("Raw", first(held.details["data"].payloads, self.decode))
        if not isinstance(data, dict):
            return
        facts = cast("dict[str, Raw]", data)
        at = self.step.event_time.ToDatetime(tzinfo=UTC)
        summary = event.user_metadata.summary if event.user_metadata.HasField("summary") else None
        words = "" if summary is None else str(self.decode(summary))
        local = facts.get("activity_type") or "local activity"
        call = Call(
            kind="tool" if local == TOOL_ACTIVITY else "activity",
            name=_name(words, str(local)),
            summary=words or str(local),
            attempts=int(facts.get("attempt") or 1),
            scheduled=at,
            started=at,
            closed=event.event_time.ToDatetime(tzinfo=UTC),
            worker=self.step.workflow_task_started_event_attributes.identity,
            quick=True,
        )
        if held.HasField("failure"):
            call = self._failed(call, held.failure)
        else:
            call = self._done(call, first(held.details["result"].payloads, self.decode))
        self.calls[part, str(facts.get("activity_id"))] = call

    def fused(self, key: tuple[int, int], model: Call, reply: Json, at: datetime) -> None:
        """Take in the tools that were called with a model, in the same activity."""
        held = reply.get("fused") if isinstance(reply, dict) and model.kind == "model" else None
        if not isinstance(held, dict):
            return
        results = cast("dict[str, dict[str, Raw]]", held)
        message = cast("dict[str, Raw]", cast("dict[str, Raw]", reply).get("message") or {})
        longest = max(int(result.get("ms") or 0) for result in results.values())
        begun = at - timedelta(milliseconds=longest)
        begun = max(begun, model.started or begun)
        for asked in cast("list[dict[str, Raw]]", message.get("tool_calls") or []):
            name, call_id = str(asked.get("name")), str(asked.get("id"))
            args = cast("dict[str, Json]", asked.get("args") or {})
            if (result := results.get(call_id)) is None:
                continue
            self.calls[key[0], f"fused-{key[1]}-{call_id}"] = Call(
                kind="tool",
                name=name,
                summary=tool_summary(name, args),
                args=args,
                call_id=call_id,
                attempts=1,
                outcome="ok",
                scheduled=begun,
                started=begun,
                closed=begun + timedelta(milliseconds=int(result.get("ms") or 0)),
                worker=model.worker,
                result=result.get("value"),
                quick=True,
            )

    def _done(self, call: Call, result: Json) -> Call:
        brought = Brought.from_json(result)
        told = brought.call or {}
        failure: Failure | None = None
        if brought.large is not None:
            text = f"its result of {brought.large:,} bytes is left to an ordinary call"
            failure = Failure(code="payload_too_large", message=text)
        return replace(
            _told(call, told),
            outcome="ok" if failure is None else "failed",
            failure=failure,
            result=replace(brought, call=None).to_json(),
        )

    def _failed(self, call: Call, proto: FailureProto) -> Call:
        failure = read_failure(proto, self.decode)
        outcome: Outcome = "timed_out" if failure.code == "timed_out" else "failed"
        if failure.code == "cancelled":
            outcome = "cancelled"
        details = first(proto.application_failure_info.details.payloads, self.decode)
        told = cast("Raw", details.get("call") if isinstance(details, dict) else None)
        return replace(_told(call, told or {}), outcome=outcome, failure=failure)


def _told(call: Call, told: dict[str, Json]) -> Call:
    """Complete a call with what its attempt said of it."""
    spent = told.get("ms")
    call_id = told.get("call_id")
    return replace(
        call,
        name=str(told.get("tool") or call.name),
        args=told.get("args"),
        call_id=None if call_id is None else str(call_id),
        closed=call.scheduled + timedelta(milliseconds=spent)
        if isinstance(spent, int)
        else call.closed,
    )


def _name(summary: str, otherwise: str) -> str:
    """Read the tool's name from `tool: name(...)`; a time-out says no more."""
    kind, _, rest = summary.partition(": ")
    return rest.partition("(")[0] if kind == "tool" and "(" in rest else otherwise
