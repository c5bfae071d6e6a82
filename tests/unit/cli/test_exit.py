"""Exit codes and error texts."""

import json

import pytest
import typer

from perdure import errors
from perdure.cli.exit import Code, carry_out, code_of


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (errors.BadInput, Code.USAGE),
        (errors.BadOption, Code.USAGE),
        (errors.BadDecision, Code.USAGE),
        (errors.RunFailed, Code.RUN_FAILED),
        (errors.RunNotFound, Code.ERROR),
        (errors.AlreadyDecided, Code.ERROR),
        (errors.ServerUnavailable, Code.ERROR),
        (errors.AppFailed, Code.ERROR),
    ],
)
def test_an_error_has_an_exit_code(kind, code):
    assert code_of(kind("x")) == code


def leave(work, **more):
    with pytest.raises(typer.Exit) as left:
        carry_out(work, **more)
    return left.value.exit_code


async def give(code):
    return code


async def fail(error):
    raise error


def test_a_command_leaves_with_its_own_code():
    assert leave(give(Code.WAITING)) == 4


def test_an_error_is_one_line_with_its_code(capsys):
    leave(fail(errors.RunNotFound("no run 'x'")))
    assert capsys.readouterr().err == "error [run_not_found]: no run 'x'\n"


def test_an_error_as_json_is_a_document_on_standard_output(capsys):
    leave(fail(errors.RunNotFound("no run 'x'")), as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert told == {"error": {"code": "run_not_found", "message": "no run 'x'"}}


def test_an_unexpected_error_says_how_to_see_more(capsys):
    leave(fail(ZeroDivisionError("by zero")))
    expected = "error [unexpected]: ZeroDivisionError: by zero (-v shows where)\n"
    assert capsys.readouterr().err == expected


def test_an_unexpected_error_shows_its_place_when_asked(capsys):
    leave(fail(ZeroDivisionError("by zero")), verbose=True)
    assert "Traceback" in capsys.readouterr().err


def test_an_error_cannot_move_the_cursor(capsys):
    leave(fail(errors.RunNotFound("\x1b[2J")))
    assert "\x1b" not in capsys.readouterr().err


def test_an_interrupt_leaves_with_130():
    assert leave(fail(KeyboardInterrupt())) == 130
