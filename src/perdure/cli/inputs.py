"""Read values from the command line: JSON, files, standard input, an editor."""

import getpass
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

from perdure.core.jsons import Json, JsonObject, as_object, shorten
from perdure.errors import BadInput, BadOption

_AROUND = 20


def read_json(text: str, *, what: str) -> Json:
    """Read JSON given as text, as `@file`, or as `-` for standard input.

    Raises:
        BadInput: It is no JSON; the text shows where, or the file cannot be read.
    """
    source, where = text, what
    if text == "-":
        source, where = sys.stdin.read(), f"{what} from standard input"
    elif text.startswith("@"):
        where = f"{what} from {text[1:]}"
        try:
            source = Path(text[1:]).read_text("utf-8")
        except (OSError, ValueError) as error:
            raise BadInput(f"{where} cannot be read: {error}") from error
    try:
        return cast("Json", json.loads(source, parse_constant=_refuse_constant))
    except json.JSONDecodeError as error:
        raise BadInput(
            f"{where} is no JSON: {error.msg} at line {error.lineno} column {error.colno}"
            f"{_near(source, error.pos)}"
        ) from error
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{where} is no JSON: {error}") from error


def read_object(text: str | None, *, what: str) -> JsonObject:
    """Read a JSON object; nothing given means an empty one.

    Raises:
        BadInput: It is something else.
    """
    return {} if text is None else as_object(read_json(text, what=what), what=what)


def _refuse_constant(name: str) -> Json:
    raise ValueError(f"{name} is not a JSON number")


def _near(source: str, position: int) -> str:
    if not source.strip():
        return " (it is empty)"
    begin = max(position - _AROUND, 0)
    shown = source[begin : position + _AROUND]
    return f", near {shorten(shown)!r}"


def with_changes(args: Mapping[str, Json], changes: Sequence[str]) -> JsonObject:
    """Return arguments with `name=value` changes; a value keeps the type that it had.

    Raises:
        BadInput: A change has no `=`, or names an argument that is not there.
        BadOption: The value does not have the argument's type.
    """
    edited = dict(args)
    for change in changes:
        name, equals, text = change.partition("=")
        if not equals:
            raise BadInput(f"--set {change!r}: write name=value")
        if name not in args:
            known = ", ".join(args) or "none"
            raise BadInput(f"--set {name}: there is no such argument; there are: {known}")
        edited[name] = _typed(text, args[name], name)
    return edited


def _typed(text: str, old: Json, name: str) -> Json:
    if isinstance(old, str):
        return text
    try:
        return cast("Json", json.loads(text))
    except ValueError as error:
        if old is None:
            return text
        raise BadOption(f"--set {name}={shorten(text)}: must be JSON, as {old!r} is") from error


def edit_json(value: JsonObject) -> JsonObject:
    """Let the person change a JSON object in their editor.

    Raises:
        BadInput: The result is no JSON object, or nothing was changed.
        BadOption: No editor can be started.
    """
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    before = json.dumps(value, ensure_ascii=False, indent=2) + "\n"
    with tempfile.TemporaryDirectory(prefix="perdure-edit-") as folder:
        file = Path(folder) / "arguments.json"
        file.write_text(before, "utf-8")
        try:
            subprocess.run([*editor.split(), str(file)], check=True)  # noqa: S603 - the person's own editor
        except (OSError, subprocess.CalledProcessError) as error:
            raise BadOption(
                f"the editor {editor!r} failed: {error}; use --args or --set"
            ) from error
        after = file.read_text("utf-8")
    if after == before:
        raise BadInput("nothing was changed; use `perdure approve` for that")
    return as_object(read_json(after, what="the edited arguments"), what="the edited arguments")


def login_name() -> str:
    """Return who sits at this terminal."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return "unknown"
