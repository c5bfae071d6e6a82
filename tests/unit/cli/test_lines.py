"""How a time line reads."""

from perdure.cli.lines import Changes, headline, rows, totals
from unit.client.events import Story, ack, failure


def outcome(story):
    return rows(story.line())[0][-1]


def call(story):
    number = story.model_call()
    story.begin(number, attempt=2, last=failure("503", "model_failed"))
    return number


def test_a_row_tells_when_what_how_often_how_long_and_how_it_ended():
    story = Story()
    number = story.model_call()
    usage = {"input_tokens": 7, "output_tokens": 3}
    story.begin(number).complete(number, {"message": {}, "usage": usage})
    assert rows(story.line()) == [
        ["+1.0 s", "model: fake · turn 1", "1", "2.0 s", "7 in 3 out", "ok"]
    ]


def test_an_attempt_that_failed_before_is_told():
    story = Story()
    story.complete(call(story), {"message": {}})
    assert outcome(story) == "ok, before: [model_failed] 503"


def test_a_rejection_is_told_with_its_reason():
    story = Story()
    story.timer("approval deadline: Send?")
    story.decided(ack(verb="reject", message="too dear"))
    assert outcome(story) == "reject by ann: too dear"


def test_an_open_question_is_told_with_its_deadline():
    story = Story()
    story.timer("approval deadline: Send?")
    assert outcome(story).startswith("waits for a person until 2026-03-01")


def test_an_expired_question_is_told_with_its_reminders():
    story = Story()
    story.fire(story.timer("approval reminder 1: Send?", 5))
    story.fire(story.timer("approval deadline: Send?"))
    assert outcome(story) == "nobody decided in time, reminded 1 times"


def test_text_of_a_model_cannot_move_the_cursor():
    story = Story()
    number = story.tool_call()
    story.begin(number).fail(number, failure("\x1b[2Jgone"))
    assert "\x1b" not in outcome(story)


def test_the_headline_names_run_agent_state_and_time():
    assert headline(Story().done({}).line()) == "run-1  agent support  done after 1.0 s"


def test_the_totals_count_calls_made_again():
    story = Story()
    story.complete(call(story), {"message": {}})
    assert totals(story.line()).startswith("1 model call, 1 made again, 0 tool calls")


def test_a_change_is_told_once():
    story = Story()
    story.begin(story.model_call())
    changes = Changes()
    changes.of(story.line())
    assert changes.of(story.line()) == []


def test_a_call_is_told_again_when_it_ends():
    story = Story()
    number = story.model_call()
    story.begin(number)
    changes = Changes()
    changes.of(story.line())
    story.complete(number, {"message": {}})
    assert [change.data["outcome"] for change in changes.of(story.line())] == ["ok"]


def test_the_end_of_a_run_is_told_with_its_result():
    changes = Changes()
    found = changes.of(Story().done({"a": 1}).line())
    assert found[-1].data == {
        "type": "status",
        "run_id": "run-1",
        "status": "done",
        "result": {"a": 1},
        "failure": None,
    }
