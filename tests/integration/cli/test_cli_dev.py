"""`perdure dev` and `perdure worker` as processes: start, stop, what is left behind."""

import json
import os
import signal
import subprocess
from datetime import timedelta

import pytest

from integration.cli.conftest import APP
from perdure.client import connect
from perdure.client.poll import until
from perdure.errors import AppFailed, PortTaken, Unavailable
from perdure.testing import DevServer, WorkerProcess, free_port

WITHIN = timedelta(seconds=40)


class Dev:
    """`perdure dev --json` as a process."""

    def __init__(self, python, folder, *arguments):
        self.port = free_port()
        ports = ["--port", str(self.port), "--ui-port", "0", "--data", str(folder / "data")]
        self.output = folder / "dev.out"
        with self.output.open("wb") as out:
            self.process = subprocess.Popen(
                [*python, "dev", *arguments, *ports, "--json"], stdout=out, stderr=out
            )

    def lines(self):
        found = self.output.read_text("utf-8").splitlines()
        return [json.loads(line) for line in found if line.startswith("{")]

    async def ready(self):
        async def look():
            assert self.process.poll() is None, self.output.read_text("utf-8")
            return True if any(line.get("ready") for line in self.lines()) else None

        assert await until(look, within=WITHIN)
        return self

    @property
    def server_pid(self):
        return self.lines()[0]["pid"]

    def end(self, number):
        self.process.send_signal(number)
        return self.process.wait(WITHIN.total_seconds())


def lives(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
async def dev(python, tmp_path):
    running = await Dev(python, tmp_path, str(APP)).ready()
    yield running
    if running.process.poll() is None:
        running.end(signal.SIGTERM)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_stops_worker_and_server(python, tmp_path, number):
    dev = await Dev(python, tmp_path, str(APP)).ready()
    pid = dev.server_pid
    assert (dev.end(number), lives(pid)) == (0, False)


async def test_runs_are_there_after_a_restart(python, tmp_path):
    first = await Dev(python, tmp_path, str(APP)).ready()
    client = await connect(f"127.0.0.1:{first.port}")
    run = await client.start("mail", {"text": "kept"})
    first.end(signal.SIGINT)
    second = await Dev(python, tmp_path, str(APP)).ready()
    again = await connect(f"127.0.0.1:{second.port}")
    line = await again.timeline(run.run_id)
    second.end(signal.SIGINT)
    assert (line.input, line.agent) == ({"text": "kept"}, "mail")


async def test_the_web_ui_answers(dev):
    assert dev.lines()[0]["ui"].startswith("http://127.0.0.1:")


def test_a_taken_port_is_named_with_the_option_that_mends_it(perdure, server, tmp_path):
    told = perdure("dev", "--port", str(server.port), "--data", str(tmp_path))
    assert (told.code, f"port {server.port}" in told.err, "--port" in told.err) == (1, True, True)


def test_a_taken_port_has_a_code(perdure, server, tmp_path):
    told = perdure("dev", "--port", str(server.port), "--data", str(tmp_path), "--json")
    assert told.data["error"]["code"] == PortTaken.code


async def test_two_servers_never_share_a_folder(server):
    with pytest.raises(Unavailable, match=f"pid {server.pid}"):
        await DevServer(data=server.data).start()


def test_an_app_that_raises_shows_its_own_error(perdure, tmp_path):
    file = tmp_path / "raising_app.py"
    file.write_text("value = 1 / 0\n")
    told = perdure("dev", str(file), "--data", str(tmp_path / "data"))
    assert told.code == 1
    assert "ZeroDivisionError" in told.err
    assert 'raising_app.py", line 1' in told.err


def test_an_app_that_raises_starts_no_server(perdure, tmp_path):
    file = tmp_path / "raising_app_2.py"
    file.write_text("value = 1 / 0\n")
    perdure("dev", str(file), "--data", str(tmp_path / "data"))
    assert not (tmp_path / "data").exists()


async def test_a_worker_stops_at_a_signal(server):
    worker = await WorkerProcess(str(APP), address=server.address).start().wait_ready()
    process = worker._process
    worker.stop()
    assert process.returncode == 0


async def test_a_worker_that_cannot_start_tells_why(server, tmp_path):
    worker = WorkerProcess(str(tmp_path / "nothing.py"), address=server.address)
    with pytest.raises(AppFailed, match=r"nothing\.py"):
        await worker.start().wait_ready()


async def test_a_worker_tells_its_agents_when_it_is_ready(worker):
    ready = [json.loads(line) for line in worker.output().splitlines() if line.startswith("{")]
    assert "echo" in ready[0]["agents"]


def test_a_process_ends_with_its_own_exit_code(server, worker, python):
    env = {**os.environ, "TEMPORAL_ADDRESS": server.address}
    codes = {
        subprocess.run([*python, "run", name], env=env, capture_output=True, check=False).returncode
        for name in ("broken",) * 5
    }
    assert codes == {3}
