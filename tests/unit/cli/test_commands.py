"""The command line before any server is asked."""

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from perdure.cli.main import COMMANDS, app, load
from perdure.testing import free_port

READING = ("ls", "show", "watch", "approvals", "doctor")
CALLERS = (
    "run",
    "ls",
    "show",
    "watch",
    "approvals",
    "approve",
    "reject",
    "edit",
    "respond",
    "cancel",
)
ON_A_RUN = ("show", "watch", "approve", "edit", "respond", "cancel")


def perdure(*arguments):
    return CliRunner().invoke(app, list(arguments))


def away():
    return f"127.0.0.1:{free_port()}"


def test_help_lists_every_command():
    shown = perdure("--help").stdout
    assert [name for name in COMMANDS if name not in shown] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name):
    assert perdure(name, "--help").exit_code == 0


@pytest.mark.parametrize("name", READING)
def test_every_reading_command_writes_json(name):
    assert any("--json" in option.opts for option in load(name).params)


def test_the_version_is_told():
    assert perdure("--version").stdout.startswith("perdure ")


def test_an_unknown_command_is_wrong_usage():
    assert perdure("aprove").exit_code == 2


def test_an_unknown_option_is_wrong_usage():
    assert perdure("ls", "--color").exit_code == 2


def test_invalid_json_is_wrong_usage_before_a_server_is_asked():
    told = perdure("run", "echo", "-i", "{", "--address", away())
    assert (told.exit_code, "bad_input" in told.stderr) == (2, True)


@pytest.mark.parametrize("name", ON_A_RUN)
def test_without_a_server_every_command_says_how_to_start_one(name):
    told = perdure(name, "run-1", "--address", away())
    assert (told.exit_code, "perdure dev" in told.stderr) == (1, True)


def test_without_a_server_json_holds_the_error():
    told = perdure("ls", "--json", "--address", away())
    assert json.loads(told.stdout)["error"]["code"] == "server_unavailable"


def test_the_doctor_fails_without_a_server():
    told = perdure("doctor", "--json", "--address", away())
    found = {check["name"]: check["state"] for check in json.loads(told.stdout)["checks"]}
    assert (told.exit_code, found["server"]) == (1, "failed")


def test_the_doctor_never_shows_a_key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    told = perdure("doctor", "--json", "--address", away())
    assert "very-secret" not in told.output


def test_a_rejection_needs_a_reason():
    assert perdure("reject", "run-1", "--address", away()).exit_code == 2


def test_the_commands_of_callers_never_load_langgraph():
    code = (
        "import sys; from perdure.cli.main import load; "
        f"[load(name) for name in {CALLERS}]; sys.exit('langgraph' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_help_loads_no_sdk():
    code = "import sys, perdure.cli.main; sys.exit('temporalio' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
