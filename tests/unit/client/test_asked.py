"""What a time line tells about questions to a person."""

from datetime import timedelta

from unit.client.events import START, Story, ack


def sole(story):
    questions = story.line().questions
    assert len(questions) == 1
    return questions[0]


def waiting(title="Send?"):
    story = Story()
    return story, story.timer(f"approval deadline: {title}")


def test_a_running_deadline_is_an_open_question():
    story, _ = waiting()
    assert (sole(story).title, sole(story).outcome) == ("Send?", "waiting")


def test_the_deadline_is_the_end_of_its_timer():
    story, _ = waiting()
    assert sole(story).deadline == START + timedelta(seconds=1 + 3600)


def test_a_decision_has_its_author():
    story, timer = waiting()
    story.decided(ack()).cancel_timer(timer)
    assert (sole(story).outcome, sole(story).decision["by"]) == ("decided", "ann")


def test_a_decision_names_question_and_digest():
    story, timer = waiting()
    story.decided(ack()).cancel_timer(timer)
    assert (sole(story).question, sole(story).digest) == ("q1", "abc")


def test_an_update_of_another_name_is_no_decision():
    story, _ = waiting()
    story.decided(ack())
    story.events[
        -2
    ].workflow_execution_update_accepted_event_attributes.accepted_request.input.name = "other"
    assert sole(story).outcome == "waiting"


def test_a_fired_deadline_is_an_expired_question():
    story, timer = waiting()
    story.fire(timer)
    assert (sole(story).outcome, sole(story).via) == ("expired", "deadline")


def test_a_fired_reminder_is_counted():
    story = Story()
    story.fire(story.timer("approval reminder 1: Send?", 60))
    story.timer("approval deadline: Send?")
    assert (sole(story).outcome, len(sole(story).reminders)) == ("waiting", 1)


def test_a_question_with_reminders_keeps_the_time_it_was_asked():
    story = Story()
    story.fire(story.timer("approval reminder 1: Send?", 60))
    story.timer("approval deadline: Send?")
    assert sole(story).asked_at == START + timedelta(seconds=1)


def test_a_signal_that_stops_the_timer_is_a_decision():
    story, timer = waiting()
    story.signal({"type": "approve", "by": "eve"}).cancel_timer(timer)
    assert (sole(story).decision["by"], sole(story).via) == ("eve", "signal")


def test_a_stopped_timer_without_a_decision_is_a_withdrawn_question():
    story, timer = waiting()
    story.cancel_timer(timer)
    assert sole(story).outcome == "withdrawn"


def test_a_question_that_is_open_when_the_run_ends_is_withdrawn():
    story, _ = waiting()
    story.cancelled()
    assert sole(story).outcome == "withdrawn"


def test_two_questions_of_one_title_are_two():
    story = Story()
    first = story.timer("approval deadline: Send?")
    story.timer("approval deadline: Send?")
    story.decided(ack(asked_at=START + timedelta(seconds=1))).cancel_timer(first)
    outcomes = sorted(question.outcome for question in story.line().questions)
    assert outcomes == ["decided", "waiting"]


def test_a_long_title_matches_its_shortened_timer():
    title = "Send " + "x" * 300
    story, timer = waiting(title[:170] + "…")
    story.decided(ack(title=title)).cancel_timer(timer)
    assert {question.outcome for question in story.line().questions} == {"decided"}


def test_a_timer_of_the_graph_is_no_question():
    story = Story()
    story.timer("wait for the weather")
    assert story.line().questions == ()


def test_a_decision_without_a_timer_is_told_all_the_same():
    assert sole(Story().decided(ack())).decision["type"] == "approve"
