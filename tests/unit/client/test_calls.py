"""What a time line tells about calls of models and tools."""

from datetime import timedelta

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import PendingActivityState, TimeoutType
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionResponse

from unit.client.events import DECODE, START, Story, failure


def sole(story, **more):
    calls = story.line(**more).calls
    assert len(calls) == 1
    return calls[0]


def reply(**usage):
    return {"message": {"content": "x"}, "usage": usage}


def test_a_model_call_is_named_after_its_model():
    story = Story()
    story.model_call()
    assert (sole(story).kind, sole(story).name) == ("model", "fake")


def test_a_call_shows_the_summary_of_its_activity():
    story = Story()
    story.model_call(turn=4)
    assert sole(story).summary == "model: fake · turn 4"


def test_a_tool_call_shows_its_arguments_its_call_id_and_its_key():
    story = Story()
    story.tool_call({"to": "bob"})
    call = sole(story)
    assert (call.name, call.args, call.call_id, call.key) == ("send", {"to": "bob"}, "c1", "k1")


def test_a_foreign_activity_is_named_after_its_type():
    story = Story()
    story.call("charge_card", {"amount": 3}, "charge")
    assert (sole(story).kind, sole(story).name) == ("activity", "charge_card")


def test_a_call_that_no_worker_has_taken_waits():
    story = Story()
    story.model_call()
    assert sole(story).outcome == "waiting"


def test_a_call_that_a_worker_has_taken_runs():
    story = Story()
    story.begin(story.model_call())
    assert sole(story).outcome == "running"


def test_the_tokens_of_a_model_call_come_from_its_reply():
    story = Story()
    number = story.model_call()
    story.begin(number).complete(number, reply(input_tokens=12, output_tokens=5))
    assert (sole(story).input_tokens, sole(story).output_tokens) == (12, 5)


def test_the_tokens_of_all_model_calls_are_added_up():
    story = Story()
    for turn in (1, 2):
        number = story.model_call(turn)
        story.begin(number).complete(number, reply(input_tokens=10, output_tokens=1))
    assert story.line().tokens == {"input_tokens": 20, "output_tokens": 2}


def test_a_reply_without_usage_has_no_tokens():
    story = Story()
    number = story.model_call()
    story.begin(number).complete(number, {"message": {}})
    assert sole(story).input_tokens is None


def test_a_call_takes_from_being_asked_for_to_its_end():
    story = Story()
    number = story.tool_call()
    story.begin(number).complete(number, "sent")
    assert sole(story).seconds == 2.0


def test_the_result_of_a_tool_is_kept():
    story = Story()
    number = story.tool_call()
    story.begin(number).complete(number, "sent")
    assert sole(story).to_json()["result"] == "sent"


def test_the_result_of_a_model_is_left_out_of_json():
    story = Story()
    number = story.model_call()
    story.begin(number).complete(number, reply())
    assert sole(story).to_json()["result"] is None


def test_attempts_before_the_last_are_counted():
    story = Story()
    number = story.model_call()
    story.begin(number, attempt=3, last=failure("429", "model_failed")).complete(number, reply())
    assert sole(story).attempts == 3


def test_the_failure_of_the_attempt_before_is_kept():
    story = Story()
    number = story.model_call()
    story.begin(number, attempt=2, last=failure("429", "model_failed")).complete(number, reply())
    assert sole(story).earlier.words() == "[model_failed] 429"


def test_repeated_model_calls_are_attempts_beyond_the_first():
    story = Story()
    for attempt in (1, 3):
        number = story.model_call()
        story.begin(number, attempt=attempt).complete(number, reply())
    assert story.line().repeated_model_calls == 2


def test_repeated_tool_calls_do_not_count_as_model_calls():
    story = Story()
    number = story.tool_call()
    story.begin(number, attempt=4).complete(number, "sent")
    assert story.line().repeated_model_calls == 0


def test_a_failed_call_tells_its_code_and_words():
    story = Story()
    number = story.tool_call()
    story.begin(number).fail(number, failure("no such user"))
    assert (sole(story).outcome, sole(story).failure.words()) == (
        "failed",
        "[tool_failed] no such user",
    )


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE, "timed_out"),
        (TimeoutType.TIMEOUT_TYPE_HEARTBEAT, "worker_lost"),
        (TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_START, "timed_out"),
    ],
)
def test_a_timed_out_call_tells_which_limit_it_met(kind, code):
    story = Story()
    number = story.tool_call()
    story.begin(number).time_out(number, kind)
    assert (sole(story).outcome, sole(story).failure.code) == ("timed_out", code)


def test_a_cancelled_call_is_told_as_cancelled():
    story = Story()
    number = story.tool_call()
    story.begin(number).cancel_call(number)
    assert sole(story).outcome == "cancelled"


def test_a_call_that_the_run_did_not_wait_for_counts_as_cancelled():
    story = Story()
    story.begin(story.tool_call())
    story.done({})
    assert sole(story).outcome == "cancelled"


def pending(number, *, attempt, started):
    described = DescribeWorkflowExecutionResponse()
    info = described.pending_activities.add()
    info.activity_id, info.attempt = str(number), attempt
    info.last_failure.CopyFrom(failure("503", "model_failed"))
    state = PendingActivityState
    info.state = (
        state.PENDING_ACTIVITY_STATE_STARTED if started else state.PENDING_ACTIVITY_STATE_SCHEDULED
    )
    info.next_attempt_schedule_time.FromDatetime(START + timedelta(minutes=1))
    return described


def test_a_pending_call_shows_why_it_is_tried_again():
    story = Story()
    number = story.model_call()
    call = sole(story, description=pending(number, attempt=3, started=False))
    assert (call.attempts, call.earlier.message) == (2, "503")


def test_a_pending_call_shows_when_it_is_tried_again():
    story = Story()
    number = story.model_call()
    call = sole(story, description=pending(number, attempt=3, started=False))
    assert call.next_attempt == START + timedelta(minutes=1)


def test_a_pending_call_that_is_being_tried_runs():
    story = Story()
    number = story.model_call()
    call = sole(story, description=pending(number, attempt=3, started=True))
    assert (call.outcome, call.attempts, call.next_attempt) == ("running", 3, None)


def test_a_call_that_ended_after_it_was_described_keeps_its_end():
    story = Story()
    number = story.model_call()
    story.begin(number).complete(number, reply())
    assert sole(story, description=pending(number, attempt=1, started=True)).outcome == "ok"


def test_a_value_that_cannot_be_read_is_shown_as_such():
    secret = Payload(metadata={"encoding": b"binary/encrypted"}, data=b"\x00")
    assert DECODE(secret) == "(unreadable: binary/encrypted)"
