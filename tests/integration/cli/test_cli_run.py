"""`perdure run` against a real server and a real worker."""

import json
from uuid import uuid4

import pytest


def new_id():
    return f"run-{uuid4().hex[:8]}"


def test_a_run_prints_its_output_as_json(perdure):
    told = perdure("run", "echo", "-i", '{"text": "hello"}')
    assert (told.code, told.data) == (0, {"text": "hello", "said": "done so"})


def test_progress_goes_to_standard_error(perdure):
    assert "model: fake · turn 1  ok" in perdure("run", "echo").err


def test_a_run_can_be_told_as_one_json_document(perdure):
    told = perdure("run", "echo", "--json", "--id", run_id := new_id())
    assert (told.data["run_id"], told.data["status"]) == (run_id, "done")


def test_a_run_may_be_left_to_itself(perdure):
    told = perdure("run", "echo", "--no-wait", "--id", run_id := new_id())
    assert (told.code, told.out) == (0, f"{run_id}\n")


def test_input_is_read_from_standard_input(perdure):
    told = perdure("run", "echo", "-i", "-", text='{"text": "piped"}')
    assert told.data["text"] == "piped"


@pytest.mark.parametrize(
    "text",
    ["", "a\0b", "🦜 parrot", "שלום \u202e olleh", "\ud800", "x" * 100_000],
    ids=["empty", "nul", "emoji", "right to left", "half a pair", "long"],
)
def test_any_text_comes_back_as_it_went_in(perdure, text):
    told = perdure("run", "echo", "-i", json.dumps({"text": text}))
    assert (told.code, told.data["text"]) == (0, text)


def test_a_run_is_given_context_and_config(perdure):
    told = perdure(
        "run",
        "who",
        "--context",
        '{"user": "ben"}',
        "--config",
        '{"configurable": {"town": "Ulm"}}',
    )
    assert (told.code, told.data["said"]) == (0, "ben in Ulm")


def test_a_config_that_does_not_travel_is_refused(perdure):
    told = perdure("run", "who", "--config", '{"callbacks": []}')
    assert (told.code, "[bad_option]" in told.err, "'callbacks'" in told.err) == (2, True, True)


def test_without_a_store_five_megabytes_are_refused_with_their_size(perdure, tmp_path):
    file = tmp_path / "big.json"
    file.write_text(json.dumps({"text": "x" * 5_000_000}))
    told = perdure("run", "echo", "-i", f"@{file}", PERDURE_BLOBS="off")
    assert (told.code, "[payload_too_large]" in told.err, "5,000," in told.err) == (1, True, True)


def test_an_unknown_agent_fails_the_run_and_lists_the_known_ones(perdure):
    told = perdure("run", "nobody")
    assert (told.code, "[unknown_agent]" in told.err, "echo, mail" in told.err) == (3, True, True)


def test_an_input_of_the_wrong_shape_fails_the_run(perdure):
    told = perdure("run", "echo", "-i", "[1]")
    assert (told.code, "[bad_input]" in told.err) == (3, True)


def test_a_run_that_fails_tells_why(perdure):
    told = perdure("run", "broken")
    assert (told.code, "[tool_failed]" in told.err, "it is broken" in told.err) == (3, True, True)


def test_a_run_that_fails_tells_why_as_json(perdure):
    told = perdure("run", "broken", "--json")
    assert (told.code, told.data["error"]["code"]) == (3, "tool_failed")


def test_an_agent_that_is_no_graph_is_told_when_a_worker_starts(perdure, tmp_path):
    file = tmp_path / "no_graph_app.py"
    file.write_text("import perdure\nagents = perdure.Agents()\nagents.add('odd', 42)\n")
    told = perdure("worker", str(file))
    assert (told.code, "agent 'odd' is a int (42), not a graph" in told.err) == (1, True)


def test_a_run_id_that_is_taken_tells_what_is_there(perdure):
    perdure("run", "echo", "--id", run_id := new_id())
    told = perdure("run", "mail", "--id", run_id)
    assert told.code == 1
    assert f"[run_exists]: run '{run_id}' exists already: agent 'echo', done" in told.err


def test_a_run_id_that_is_taken_points_to_the_run(perdure):
    perdure("run", "echo", "--id", run_id := new_id())
    assert f"perdure show {run_id}" in perdure("run", "echo", "--id", run_id).err


def test_a_run_that_waits_for_a_person_leaves_with_four(perdure):
    assert perdure("run", "mail").code == 4


def test_a_run_that_waits_shows_the_command_that_answers(perdure):
    told = perdure("run", "mail", "--id", run_id := new_id())
    assert f"perdure approve {run_id}" in told.err


def test_a_run_that_waits_tells_its_questions_as_json(perdure):
    told = perdure("run", "mail", "--json", "--id", run_id := new_id())
    question = told.data["questions"][0]
    assert (told.data["status"], question["action"]) == ("waiting", "send")
    assert question["commands"][0] == f"perdure approve {run_id}"


def test_following_ends_with_its_time_and_the_run_goes_on(perdure):
    told = perdure("run", "slow", "--timeout", "1", "--id", run_id := new_id())
    assert (told.code, f"perdure watch {run_id}" in told.err) == (1, True)
    assert perdure("cancel", run_id).code == 0


def test_without_a_worker_the_command_says_so(perdure):
    told = perdure("run", "echo", "--task-queue", "nobody-there", "--timeout", "7")
    assert "no worker has taken the run from task queue 'nobody-there'" in told.err


def test_an_option_of_calls_that_is_unknown_is_wrong_usage(perdure):
    told = perdure("run", "echo", "--options", '{"models": {"*": {"speed": 9}}}')
    assert (told.code, "unknown option 'speed'" in told.err) == (2, True)


@pytest.mark.parametrize("run_id", ["", "a/b", "a\0b"])
def test_a_run_id_that_cannot_be_carried_is_wrong_usage(perdure, run_id):
    assert perdure("run", "echo", "--id", run_id).code == 2
