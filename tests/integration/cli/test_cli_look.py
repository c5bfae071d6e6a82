"""Commands that look: ls, show, watch, cancel, doctor."""

import json
import os
import subprocess
from datetime import timedelta
from uuid import uuid4

import pytest

from perdure.client.poll import until
from perdure.testing import DevServer


def new_id():
    return f"look-{uuid4().hex[:8]}"


@pytest.fixture
def done(perdure):
    run_id = new_id()
    perdure("run", "echo", "--id", run_id)
    return run_id


async def listed(client, run_id):
    async def look():
        return next((run for run in await client.ls() if run.run_id == run_id), None)

    return await until(look, within=timedelta(seconds=10))


def test_an_unknown_run_is_an_error_that_points_to_the_list(perdure):
    told = perdure("show", "no-such-run")
    assert (told.code, "[run_not_found]" in told.err, "perdure ls" in told.err) == (1, True, True)


@pytest.mark.parametrize("name", ["watch", "approve", "approvals", "cancel", "edit"])
def test_every_command_on_an_unknown_run_says_so(perdure, name):
    told = perdure(name, "no-such-run", "--json")
    assert told.data["error"]["code"] == "run_not_found"


def test_a_beginning_that_several_runs_share_lists_them(perdure):
    shared = new_id()
    for letter in "ab":
        perdure("run", "echo", "--id", f"{shared}-{letter}")
    told = perdure("show", shared)
    assert (told.code, f"{shared}-a" in told.err, f"{shared}-b" in told.err) == (1, True, True)


def test_a_time_line_shows_calls_and_result(perdure, done):
    told = perdure("show", done)
    assert ("model: fake · turn 1" in told.out, "done so" in told.out) == (True, True)


def test_a_time_line_as_json_counts_calls(perdure, done):
    told = perdure("show", done, "--json")
    assert (told.data["model_calls"], told.data["repeated_model_calls"]) == (1, 0)


def test_raw_calls_are_whole(perdure):
    run_id, text = new_id(), "much to say " * 100
    perdure("run", "echo", "-i", json.dumps({"text": text}), "--id", run_id)
    call = perdure("show", run_id, "--raw").data
    messages = [{"$": "human", "content": text}]
    assert (call["number"], call["input"]["messages"]) == (1, messages)


def test_one_raw_call_can_be_asked_for(perdure):
    run_id = new_id()
    perdure("run", "twice", "--id", run_id, "--no-wait")
    perdure("approve", run_id)
    told = perdure("show", run_id, "--call", "1")
    assert told.data["input"]["args"]["body"] == "1"


def test_a_raw_call_that_was_not_made_is_an_error_with_their_number(perdure, done):
    told = perdure("show", done, "--call", "7")
    assert (told.code, "made 1 calls; there is no number 7" in told.err) == (2, True)


def test_a_watch_of_an_ended_run_ends(perdure, done):
    assert perdure("watch", done).code == 0


def test_a_watch_as_json_is_one_line_per_change(perdure, done):
    lines = [json.loads(line) for line in perdure("watch", done, "--json").out.splitlines()]
    assert [line["type"] for line in lines] == ["call", "status"]


def test_a_watch_of_a_failed_run_leaves_with_three(perdure):
    run_id = new_id()
    perdure("run", "broken", "--id", run_id)
    assert perdure("watch", run_id).code == 3


async def test_a_run_is_listed_with_its_agent_and_status(client, perdure):
    handle = await client.start("echo", {})
    await handle.result()
    found = await listed(client, handle.run_id)
    assert (found.agent, found.status) == ("echo", "done")


def test_a_list_as_json_holds_runs(perdure, done):
    assert isinstance(perdure("ls", "--json").data["runs"], list)


def test_a_list_is_no_longer_than_asked_for(perdure, done):
    assert len(perdure("ls", "-n", "1", "--json").data["runs"]) <= 1


def test_a_list_of_an_unknown_agent_is_empty(perdure):
    assert perdure("ls", "--agent", "o'nobody", "--json").data == {"runs": []}


def test_a_status_that_does_not_exist_is_wrong_usage(perdure):
    assert perdure("ls", "--status", "sleeping").code == 2


def test_a_run_can_be_cancelled(perdure):
    run_id = perdure("run", "slow", "--no-wait").out.strip()
    told = perdure("cancel", run_id, "-m", "enough")
    perdure("watch", run_id)
    entries = perdure("show", run_id, "--json").data["entries"]
    assert (told.code, "enough" in [entry.get("text") for entry in entries]) == (0, True)


def test_a_run_that_has_ended_cannot_be_cancelled(perdure, done):
    told = perdure("cancel", done)
    assert (told.code, "has ended already (done)" in told.err) == (1, True)


def test_the_doctor_finds_all_well(perdure):
    told = perdure("doctor", "--json")
    states = {check["name"]: check["state"] for check in told.data["checks"]}
    wanted = ("server", "namespace", "search attributes", "worker")
    assert (told.code, [states[name] for name in wanted]) == (0, ["ok"] * 4)


def test_the_doctor_misses_a_worker(perdure):
    told = perdure("doctor", "--task-queue", "nobody-there", "--json")
    found = {check["name"]: check for check in told.data["checks"]}["worker"]
    assert (found["state"], "perdure worker" in found["mend"]) == ("warning", True)


def test_the_doctor_misses_a_namespace(perdure):
    told = perdure("doctor", "--namespace", "nowhere", "--json")
    found = {check["name"]: check for check in told.data["checks"]}["namespace"]
    assert (told.code, found["state"]) == (1, "failed")


def test_a_missing_namespace_is_not_a_missing_run(perdure):
    told = perdure("show", "x", "--namespace", "nowhere", "--json")
    assert told.data["error"]["code"] == "server_unavailable"


def test_a_pipe_that_closes_is_no_error_text(server, done, python):
    env = {**os.environ, "TEMPORAL_ADDRESS": server.address}
    shell = " ".join([*python, "show", done, "--json"]) + " | head -1"
    told = subprocess.run(
        ["bash", "-c", shell], env=env, capture_output=True, text=True, check=False
    )
    assert (told.stdout, "Traceback" in told.stderr) == ("{\n", False)


@pytest.fixture(scope="module")
async def bare():
    """A server on which nobody has registered search attributes."""
    async with DevServer(attributes=False) as running:
        yield running


def test_the_doctor_names_missing_search_attributes(bare, perdure):
    told = perdure("doctor", "--address", bare.address, "--json")
    found = {check["name"]: check for check in told.data["checks"]}["search attributes"]
    assert (told.code, found["mend"]) == (1, "perdure doctor --fix")


def test_a_server_without_search_attributes_still_lists_runs(bare, perdure):
    run_id = perdure("run", "echo", "--no-wait", "--address", bare.address).out.strip()
    assert perdure("show", run_id, "--address", bare.address).code == 0


def test_the_doctor_creates_search_attributes(bare, perdure):
    assert perdure("doctor", "--fix", "--address", bare.address, "--json").code == 0
    told = perdure("doctor", "--address", bare.address, "--json")
    found = {check["name"]: check for check in told.data["checks"]}["search attributes"]
    assert found["text"] == "all registered"
