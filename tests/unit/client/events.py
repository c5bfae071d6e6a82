"""Hand-made histories: one short call per event."""

import json
from datetime import UTC, datetime, timedelta

from google.protobuf.duration_pb2 import Duration
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.api.enums.v1 import EventType, RetryState, TimeoutType
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowHistory
from temporalio.converter import DataConverter

from perdure.client.payloads import decoder
from perdure.client.reading import read_timeline

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
DECODE = decoder(DataConverter.default)


def payload(value):
    return Payload(metadata={"encoding": b"json/plain"}, data=json.dumps(value).encode())


def payloads(value):
    return Payloads(payloads=[payload(value)])


def failure(message="no", code="tool_failed", cause=None):
    made = Failure(message=message)
    made.application_failure_info.type = code
    if cause is not None:
        made.cause.CopyFrom(cause)
    return made


class Story:
    """Builds a history; every event comes one second after the one before."""

    def __init__(self, agent="support", given=None, **more):
        self.events = []
        start = self._add("WORKFLOW_EXECUTION_STARTED")
        value = {"agent": agent, "input": given or {"text": "hi"}, "tenant": "acme", **more}
        start.workflow_execution_started_event_attributes.input.CopyFrom(payloads(value))

    def _add(self, kind, summary=None):
        event = HistoryEvent(
            event_id=len(self.events) + 1, event_type=EventType.Value(f"EVENT_TYPE_{kind}")
        )
        event.event_time.FromDatetime(START + timedelta(seconds=len(self.events)))
        if summary is not None:
            event.user_metadata.summary.CopyFrom(payload(summary))
        self.events.append(event)
        return event

    def task(self, worker="one"):
        event = self._add("WORKFLOW_TASK_STARTED")
        event.workflow_task_started_event_attributes.identity = worker
        return self

    def task_lost(self, kind=TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_START):
        self._add(
            "WORKFLOW_TASK_TIMED_OUT"
        ).workflow_task_timed_out_event_attributes.timeout_type = kind
        return self

    def task_failed(self, message):
        event = self._add("WORKFLOW_TASK_FAILED")
        event.workflow_task_failed_event_attributes.failure.CopyFrom(failure(message, "Broken"))
        return self

    def call(self, activity, argument, summary):
        event = self._add("ACTIVITY_TASK_SCHEDULED", summary)
        held = event.activity_task_scheduled_event_attributes
        held.activity_id = str(event.event_id)
        held.activity_type.name = activity
        held.input.CopyFrom(payloads(argument))
        return event.event_id

    def model_call(self, turn=1):
        return self.call("perdure.model", {"model": "fake"}, f"model: fake · turn {turn}")

    def tool_call(self, args=None):
        argument = {"tool": "send", "args": args or {"to": "ann"}, "call_id": "c1", "key": "k1"}
        return self.call("perdure.tool", argument, "tool: send(to='ann')")

    def begin(self, scheduled, attempt=1, last=None, worker="one"):
        held = self._add("ACTIVITY_TASK_STARTED").activity_task_started_event_attributes
        held.scheduled_event_id, held.attempt, held.identity = scheduled, attempt, worker
        if last is not None:
            held.last_failure.CopyFrom(last)
        return self

    def complete(self, scheduled, result):
        held = self._add("ACTIVITY_TASK_COMPLETED").activity_task_completed_event_attributes
        held.scheduled_event_id = scheduled
        held.result.CopyFrom(payloads(result))
        return self

    def fail(self, scheduled, why):
        held = self._add("ACTIVITY_TASK_FAILED").activity_task_failed_event_attributes
        held.scheduled_event_id = scheduled
        held.failure.CopyFrom(why)
        held.retry_state = RetryState.RETRY_STATE_NON_RETRYABLE_FAILURE
        return self

    def time_out(self, scheduled, kind):
        held = self._add("ACTIVITY_TASK_TIMED_OUT").activity_task_timed_out_event_attributes
        held.scheduled_event_id = scheduled
        held.failure.timeout_failure_info.timeout_type = kind
        return self

    def cancel_call(self, scheduled):
        held = self._add("ACTIVITY_TASK_CANCELED").activity_task_canceled_event_attributes
        held.scheduled_event_id = scheduled
        return self

    def timer(self, summary, seconds=3600):
        event = self._add("TIMER_STARTED", summary)
        event.timer_started_event_attributes.start_to_fire_timeout.CopyFrom(
            Duration(seconds=seconds)
        )
        return event.event_id

    def fire(self, timer):
        self._add("TIMER_FIRED").timer_fired_event_attributes.started_event_id = timer
        return self

    def cancel_timer(self, timer):
        self._add("TIMER_CANCELED").timer_canceled_event_attributes.started_event_id = timer
        return self

    def decided(self, ack, update="u1"):
        accepted = self._add("WORKFLOW_EXECUTION_UPDATE_ACCEPTED")
        held = accepted.workflow_execution_update_accepted_event_attributes
        held.protocol_instance_id = update
        held.accepted_request.input.name = "decide"
        completed = self._add("WORKFLOW_EXECUTION_UPDATE_COMPLETED")
        done = completed.workflow_execution_update_completed_event_attributes
        done.meta.update_id = update
        done.outcome.success.CopyFrom(payloads(ack))
        return self

    def signal(self, decision):
        held = self._add("WORKFLOW_EXECUTION_SIGNALED").workflow_execution_signaled_event_attributes
        held.signal_name = "decide_later"
        held.input.CopyFrom(payloads(decision))
        return self

    def cancel_requested(self, reason):
        event = self._add("WORKFLOW_EXECUTION_CANCEL_REQUESTED")
        event.workflow_execution_cancel_requested_event_attributes.cause = reason
        return self

    def done(self, result):
        event = self._add("WORKFLOW_EXECUTION_COMPLETED")
        event.workflow_execution_completed_event_attributes.result.CopyFrom(payloads(result))
        return self

    def failed(self, why):
        event = self._add("WORKFLOW_EXECUTION_FAILED")
        event.workflow_execution_failed_event_attributes.failure.CopyFrom(why)
        return self

    def cancelled(self):
        self._add("WORKFLOW_EXECUTION_CANCELED")
        return self

    def continued(self):
        self._add("WORKFLOW_EXECUTION_CONTINUED_AS_NEW")
        return self

    @property
    def history(self):
        return WorkflowHistory("run-1", self.events)

    def line(self, description=None):
        return read_timeline([self.history], decode=DECODE, description=description)


def ack(title="Send?", verb="approve", asked_at=START, **more):
    return {
        "question": "q1",
        "title": title,
        "action": "send",
        "digest": "abc",
        "asked_at": asked_at.isoformat(),
        "decision": {"type": verb, "by": "ann", **more},
    }
