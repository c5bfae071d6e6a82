"""Decisions on the command line: each lands once, and a wrong one costs nothing."""

from uuid import uuid4

import pytest


@pytest.fixture
def waiting(perdure):
    """Start a run that waits for a person."""

    def start(agent="mail", text="hello"):
        run_id = f"{agent}-{uuid4().hex[:8]}"
        perdure("run", agent, "--id", run_id, "-i", f'{{"text": "{text}"}}')
        return run_id

    return start


def said(perdure, run_id):
    perdure("watch", run_id)
    return perdure("show", run_id, "--json").data["result"]


def decision(perdure, run_id):
    entries = perdure("show", run_id, "--json").data["entries"]
    return next(entry["decision"] for entry in entries if entry["type"] == "question")


def test_an_approval_lets_the_run_go_on(perdure, waiting):
    perdure("approve", run_id := waiting())
    assert said(perdure, run_id)["said"] == "sent 1 to ann@example.com: hello"


def test_an_approval_tells_what_was_approved(perdure, waiting):
    told = perdure("approve", waiting(), "--by", "ann")
    assert "approve: tool: send(" in told.out
    assert "(by ann)" in told.out


def test_an_approval_as_json_is_what_the_run_recorded(perdure, waiting):
    told = perdure("approve", run_id := waiting(), "--by", "ann", "-m", "fine", "--json")
    assert (told.data["run_id"], told.data["decision"]["message"]) == (run_id, "fine")


def test_a_decision_has_an_author_by_default(perdure, waiting):
    perdure("approve", run_id := waiting())
    assert decision(perdure, run_id)["by"] not in ("", "unknown")


def test_a_rejection_is_recorded_with_its_reason(perdure, waiting):
    perdure("reject", run_id := waiting(), "-m", "too dear", "--by", "ann")
    found = decision(perdure, run_id)
    assert (found["type"], found["message"], found["by"]) == ("reject", "too dear", "ann")


def test_one_argument_can_be_changed(perdure, waiting):
    perdure("edit", run_id := waiting(), "--set", "body=better")
    assert said(perdure, run_id)["said"] == "sent 1 to ann@example.com: better"


def test_all_arguments_can_be_changed(perdure, waiting):
    perdure("edit", run_id := waiting(), "--args", '{"to": "bob@example.com", "body": "b"}')
    assert said(perdure, run_id)["said"] == "sent 1 to bob@example.com: b"


def test_arguments_that_do_not_fit_the_tool_are_refused(perdure, waiting):
    told = perdure("edit", waiting(), "--args", '{"to": 3, "body": "b"}')
    assert (told.code, "[bad_decision]" in told.err) == (2, True)


def test_after_a_refused_decision_the_run_takes_a_good_one(perdure, waiting):
    perdure("edit", run_id := waiting(), "--args", '{"to": 3, "body": "b"}')
    assert perdure("approve", run_id).code == 0


def test_an_edit_without_a_terminal_says_how_to_give_the_change(perdure, waiting):
    told = perdure("edit", waiting())
    assert (told.code, "--set" in told.err) == (2, True)


def test_an_edit_with_both_ways_is_refused(perdure, waiting):
    assert perdure("edit", waiting(), "--args", "{}", "--set", "body=x").code == 2


def test_a_free_question_is_answered_with_text(perdure, waiting):
    perdure("respond", run_id := waiting("free"), "blue")
    assert said(perdure, run_id)["answer"] == "blue"


def test_a_free_question_is_answered_with_json(perdure, waiting):
    perdure("respond", run_id := waiting("free"), "--value", '{"r": 1}')
    assert said(perdure, run_id)["answer"] == {"r": 1}


def test_a_response_needs_an_answer(perdure, waiting):
    assert perdure("respond", waiting("free")).code == 2


def test_what_is_not_allowed_is_refused_with_what_is(perdure, waiting):
    told = perdure("approve", waiting("free"))
    assert (told.code, "[not_allowed]" in told.err, "choose respond" in told.err) == (1, True, True)


def test_a_run_id_may_be_shortened(perdure, waiting):
    run_id = waiting()
    assert perdure("approve", run_id[:-2]).code == 0


def test_a_second_decision_on_an_ended_run_tells_how_it_ended(perdure, waiting):
    perdure("approve", run_id := waiting())
    perdure("watch", run_id)
    told = perdure("approve", run_id)
    assert (told.code, "[nothing_waiting]" in told.err, "done" in told.err) == (1, True, True)


def test_a_question_that_does_not_exist_is_named(perdure, waiting):
    told = perdure("approve", waiting(), "--question", "no-such")
    assert (told.code, "no-such" in told.err) == (1, True)


def test_a_run_that_asks_nothing_says_so(perdure):
    run_id = perdure("run", "slow", "--no-wait").out.strip()
    told = perdure("approve", run_id)
    assert (told.code, "[nothing_waiting]" in told.err) == (1, True)
    perdure("cancel", run_id)


def test_the_open_questions_of_a_run_are_listed(perdure, waiting):
    told = perdure("approvals", run_id := waiting(), "--json")
    assert [question["run_id"] for question in told.data["questions"]] == [run_id]


def test_a_list_of_approvals_shows_what_would_be_done(perdure, waiting):
    assert "body = look here" in perdure("approvals", waiting(text="look here")).out


def test_a_run_whose_question_is_answered_is_not_listed(perdure, waiting):
    perdure("approve", run_id := waiting())
    assert perdure("approvals", run_id, "--json").data["questions"] == []
