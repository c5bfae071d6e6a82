"""Carry a command out: its errors in words, its exit code, and a clean end."""

import logging
import sys
import traceback
from collections.abc import Coroutine
from enum import IntEnum

import typer

from perdure.cli.output import clean, err, write_json
from perdure.client.exit import run_main
from perdure.core.jsons import Raw
from perdure.errors import (
    BadDecision,
    BadInput,
    BadOption,
    PerdureError,
    RunFailed,
    Unserializable,
)


class Code(IntEnum):
    """What the exit code of a command means."""

    DONE = 0
    ERROR = 1
    USAGE = 2
    RUN_FAILED = 3
    WAITING = 4
    INTERRUPTED = 130


_USAGE = (BadInput, BadOption, BadDecision, Unserializable)


def carry_out(
    work: Coroutine[Raw, Raw, int], *, as_json: bool = False, verbose: bool = False
) -> None:
    """Run a command's coroutine to its end and leave with its exit code.

    Raises:
        typer.Exit: Always; it carries the exit code.
    """
    _log(verbose=verbose)
    try:
        code = run_main(work)
    except PerdureError as error:
        report(error.code, str(error), as_json=as_json)
        code = code_of(error)
        if verbose:
            traceback.print_exc()
    except (KeyboardInterrupt, EOFError):
        code = Code.INTERRUPTED
    except (typer.Exit, typer.Abort, BrokenPipeError):
        raise
    except Exception as error:  # noqa: BLE001 - the last line of defence; -v shows all of it
        text = f"{type(error).__name__}: {error}"
        report("unexpected", text if verbose else f"{text} (-v shows where)", as_json=as_json)
        code = Code.ERROR
        if verbose:
            traceback.print_exc()
    raise typer.Exit(int(code))


def code_of(error: PerdureError) -> Code:
    """Return the exit code of an error."""
    if isinstance(error, RunFailed):
        return Code.RUN_FAILED
    return Code.USAGE if isinstance(error, _USAGE) else Code.ERROR


def report(code: str, text: str, *, as_json: bool) -> None:
    """Print an error: a line on standard error, or a JSON document on standard output."""
    if as_json:
        write_json({"error": {"code": code, "message": text}})
    else:
        err(f"error [{code}]: {clean(text)}")


def _log(*, verbose: bool) -> None:
    """Keep standard error quiet: errors only, without `-v`."""
    level = logging.INFO if verbose else logging.ERROR
    logging.basicConfig(
        level=level, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s"
    )
