"""What a time line tells about a run as a whole."""

import json
from pathlib import Path

import pytest
from temporalio.api.enums.v1 import TimeoutType
from temporalio.api.failure.v1 import Failure
from temporalio.client import WorkflowHistory

from perdure.client.failures import read_failure
from perdure.client.reading import read_timeline
from unit.client.events import DECODE, START, Story, failure, payload

HISTORIES = Path(__file__).parent / "histories"


def test_a_run_is_told_with_its_agent_input_and_tenant():
    line = Story(agent="support", given={"text": "hello"}).line()
    assert (line.agent, line.input, line.tenant) == ("support", {"text": "hello"}, "acme")


def test_a_fork_tells_where_it_begins():
    line = Story(seed={"from": "run-0", "step": 3}, thread="t").line()
    assert (line.forked_from, line.from_step, line.thread) == ("run-0", 3, "t")


def test_a_run_without_an_end_is_running():
    assert Story().line().status == "running"


def test_a_run_with_an_open_question_is_waiting():
    story = Story()
    story.timer("approval deadline: Send?")
    assert story.line().status == "waiting"


def test_a_run_that_is_done_has_its_result():
    line = Story().done({"said": "yes"}).line()
    assert (line.status, line.result) == ("done", {"said": "yes"})


def test_a_run_takes_from_its_first_event_to_its_last():
    assert Story().task().done({}).line().seconds == 2.0


def test_a_failed_run_tells_the_chain_of_causes():
    cause = failure("429 too many", "model_failed")
    line = Story().failed(failure("gave up", "run_failed", cause)).line()
    assert line.failure.words() == "[run_failed] gave up <- [model_failed] 429 too many"


def test_a_cause_that_says_the_same_is_not_repeated():
    line = Story().failed(failure("gave up: no", "tool_failed", failure("no"))).line()
    assert line.failure.words() == "[tool_failed] gave up: no"


def test_a_cancelled_run_is_told_as_cancelled():
    assert Story().cancelled().line().status == "cancelled"


def test_the_reason_of_a_cancel_is_told():
    line = Story().cancel_requested("too late").cancelled().line()
    assert [entry.text for entry in line.entries] == ["too late"]


def test_the_workers_of_a_run_are_named_once_each():
    assert Story().task("one").task("two").task("one").line().workers == ("one", "two")


def test_a_change_of_workers_is_told():
    line = Story().task("one").task("two").line()
    assert [entry.what for entry in line.entries] == ["worker_changed"]


def test_one_worker_alone_is_no_change():
    assert Story().task("one").task("one").line().entries == ()


@pytest.mark.parametrize(
    "kind",
    [TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_START, TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE],
    ids=["sticky", "in the middle"],
)
def test_a_killed_worker_is_told_as_lost(kind):
    line = Story().task("one").task_lost(kind).line()
    assert [entry.what for entry in line.entries] == ["worker_lost"]


def test_a_step_that_failed_is_told_with_its_words():
    line = Story().task_failed("nondeterminism").line()
    assert "nondeterminism" in line.entries[0].text


def test_all_events_are_counted():
    assert Story().task().done({}).line().events == 3


def test_the_bytes_of_the_history_are_counted():
    small, large = Story().done("x").line(), Story().done("x" * 1000).line()
    assert large.history_bytes - small.history_bytes > 990


def test_entries_are_in_the_order_in_which_they_began():
    story = Story()
    story.tool_call()
    story.timer("approval deadline: Send?")
    story.model_call()
    kinds = [entry.to_json()["type"] for entry in story.line().entries]
    assert kinds == ["call", "question", "call"]


def test_a_run_that_continued_is_told_as_one():
    first, second = Story(), Story()
    first.begin(first.model_call())
    first.continued()
    second.begin(second.model_call(2))
    line = read_timeline([first.history, second.history], decode=DECODE)
    assert (line.executions, line.model_calls) == (2, 2)


def test_a_time_line_is_json():
    story = Story()
    number = story.tool_call()
    story.begin(number).fail(number, failure()).timer("approval deadline: Send?")
    data = story.line().to_json()
    assert json.loads(json.dumps(data)) == data


def test_hidden_failure_texts_are_read_with_the_codec():
    hidden = Failure(message="Encoded failure")
    hidden.encoded_attributes.CopyFrom(payload({"message": "the real text", "stack_trace": ""}))
    hidden.application_failure_info.type = "tool_failed"
    assert read_failure(hidden, DECODE).message == "the real text"


def test_a_failure_without_words_gets_some():
    late = Failure()
    late.timeout_failure_info.timeout_type = TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE
    assert read_failure(late, DECODE).message == "no answer within the time limit"


def recorded(name):
    text = (HISTORIES / f"{name}.json").read_text("utf-8")
    return read_timeline([WorkflowHistory.from_json(name, text)], decode=DECODE)


def test_a_recorded_run_with_an_edited_approval_is_read_whole():
    line = recorded("mail")
    asked = line.questions[0]
    assert (line.status, asked.outcome, asked.decision["type"], asked.decision["by"]) == (
        "done",
        "decided",
        "edit",
        "bob",
    )


def test_a_recorded_run_tells_the_call_that_followed_the_edit():
    assert recorded("mail").calls[0].args == {"to": "ann@example.com", "body": "changed"}


def test_a_recorded_model_call_has_tokens():
    assert recorded("echo").tokens == {"input_tokens": 7, "output_tokens": 3}


def test_a_recorded_failure_has_its_code():
    assert recorded("broken").failure.code == "tool_failed"


def test_times_are_aware():
    assert Story().line().started == START
