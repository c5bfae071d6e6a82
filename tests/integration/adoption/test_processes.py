"""`perdure dev`, `worker`, `run` and `doctor` in a folder with a `langgraph.json`, as processes."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from datetime import timedelta

import pytest
from llmock.pytest_plugin import LLMock
from llmock.scenarios import Reply, ToolCall

from perdure.client import connect
from perdure.client.poll import until
from perdure.testing import WorkerProcess, free_port
from perdure.testing.replay import assert_run_replays
from perdure.worker.projects import open_app

HELLO = json.dumps({"messages": [{"role": "user", "content": "Where is A-1?"}]})
PYTHON = [sys.executable, "-m", "perdure"]
WITHIN = timedelta(seconds=40)


def script(llmock: LLMock) -> None:
    """Let the model call two tools at once, then answer."""
    calls = (ToolCall("look_up", {"order": "A-1"}), ToolCall("note", {"text": "hello"}))
    llmock.add(Reply(tool_calls=calls)).reply("It was sent.")


def perdure(project, address, *arguments):
    env = {**os.environ, "TEMPORAL_ADDRESS": address}
    return subprocess.run(
        [*PYTHON, *arguments], cwd=project, env=env, capture_output=True, text=True, check=False
    )


def run(project, address, agent, *, queue=None):
    more = ["--task-queue", queue] if queue else []
    told = perdure(project, address, "run", agent, "-i", HELLO, "--json", *more)
    assert told.returncode == 0, told.stdout + told.stderr
    return json.loads(told.stdout)


@pytest.fixture
async def worker(project, keys, server):
    queue = project.name
    async with WorkerProcess(".", address=server.address, cwd=project, task_queue=queue) as running:
        yield running


async def calls_of(server, run_id):
    client = await connect(server.address)
    line = await client.timeline(run_id)
    return Counter(call.name for call in line.calls)


async def test_a_plain_agent_calls_model_and_tools_as_activities(project, server, worker, llmock):
    script(llmock)
    done = run(project, server.address, "helper", queue=project.name)
    assert await calls_of(server, done["run_id"]) == {
        "ChatAnthropic:claude-sonnet-4-6": 2,
        "look_up": 1,
        "note": 1,
    }


async def test_a_tool_reads_what_the_env_file_sets(project, server, worker, llmock):
    script(llmock)
    done = run(project, server.address, "helper", queue=project.name)
    assert "noted hello for Ann" in json.dumps(done["result"])


async def test_a_plain_graph_calls_from_sync_and_async_nodes(project, server, worker, llmock):
    llmock.reply("All is well.")
    done = run(project, server.address, "pipeline", queue=project.name)
    assert await calls_of(server, done["run_id"]) == {"look_up": 1, "ChatOpenAI:gpt-4o-mini": 1}


async def test_another_worker_carries_the_calls_out(project, server, keys, llmock):
    """The first worker dies while a call waits for its next try; the second one makes it."""
    llmock.rate_limit(times=1, retry_after=4)
    script(llmock)
    places = {"address": server.address, "cwd": project, "task_queue": project.name}
    client = await connect(server.address)

    async def refused():
        return (await asyncio.to_thread(lambda: llmock.requests)) or None

    async with WorkerProcess(".", **places) as first:
        started = await client.start("helper", json.loads(HELLO), task_queue=project.name)
        assert await until(refused, within=WITHIN)
        first.kill()
    async with WorkerProcess(".", **places):
        await started.result()
    assert set(await calls_of(server, started.run_id)) == {
        "ChatAnthropic:claude-sonnet-4-6",
        "look_up",
        "note",
    }


@pytest.fixture
def own_keys(keys, monkeypatch):
    """Give this process what the project's `.env` sets, to build the graphs once more."""
    for name, value in keys.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "path", list(sys.path))


@pytest.mark.usefixtures("worker", "own_keys")
@pytest.mark.parametrize("agent", ["helper", "pipeline"])
async def test_the_history_of_a_plain_graph_replays(project, server, llmock, agent):
    script(llmock)
    done = run(project, server.address, agent, queue=project.name)
    client = await connect(server.address)
    agents, _ = open_app(str(project), environment=os.environ)
    await assert_run_replays(agents, client.temporal, done["run_id"])


async def test_dev_without_an_app_takes_the_langgraph_json(project, keys, llmock):
    script(llmock)
    port = free_port()
    output = project / "dev.out"
    with output.open("wb") as out:
        dev = subprocess.Popen(
            [*PYTHON, "dev", "--port", str(port), "--ui-port", "0", "--json"],
            cwd=project,
            stdout=out,
            stderr=out,
        )

    async def ready():
        assert dev.poll() is None, output.read_text("utf-8")
        return '"ready"' in output.read_text("utf-8") or None

    try:
        assert await until(ready, within=WITHIN)
        done = run(project, f"127.0.0.1:{port}", "helper")
    finally:
        dev.send_signal(signal.SIGTERM)
        code = dev.wait(WITHIN.total_seconds())
    assert (code, done["status"]) == (0, "done")


async def test_a_worker_says_what_has_no_effect(worker):
    assert "warning: langgraph.json: http has no effect" in worker.output()


async def test_no_command_prints_a_secret(project, server, worker, llmock, keys):
    script(llmock)
    told = perdure(
        project, server.address, "run", "helper", "-i", HELLO, "-v", "--task-queue", project.name
    )
    shown = told.stdout + told.stderr + worker.output()
    assert keys["OPENAI_API_KEY"] not in shown


def test_the_doctor_lists_what_it_found(project, server, keys):
    told = perdure(project, server.address, "doctor", "--json")
    checks = {c["name"]: c["text"] for c in json.loads(told.stdout)["checks"]}
    assert [checks[name] for name in ("agents", "models", "tools")] == [
        "helper, pipeline",
        "ChatAnthropic:claude-sonnet-4-6, ChatOpenAI:gpt-4o-mini",
        "look_up, note",
    ]


def test_the_doctor_tells_what_makes_a_worker_refuse(project, server, keys):
    (project / "helpdesk.py").write_text(
        "import time\n"
        "from langgraph.graph import START, MessagesState, StateGraph\n"
        "def node(state):\n    return {'messages': [str(time.time())]}\n"
        "helper = StateGraph(MessagesState).add_node(node).add_edge(START, 'node')\n"
        "pipeline = helper.compile()\n"
    )
    told = perdure(project, server.address, "doctor", "--json")
    (nodes,) = [c for c in json.loads(told.stdout)["checks"] if c["name"] == "nodes"]
    assert (told.returncode, nodes["state"]) == (1, "failed")
    assert "calls time.time()" in nodes["text"]


def test_a_worker_in_an_empty_folder_says_what_it_needs(tmp_path, server):
    told = perdure(tmp_path, server.address, "worker")
    assert (told.returncode, "langgraph.json" in told.stderr) == (2, True)


def test_a_wrong_graph_is_named_with_file_key_and_value(project, server, keys):
    (project / "langgraph.json").write_text('{"graphs": {"helper": "./nothing.py:helper"}}')
    told = perdure(project, server.address, "worker")
    assert told.returncode == 1
    for part in ("langgraph.json", "graphs.helper", "./nothing.py:helper"):
        assert part in told.stderr
