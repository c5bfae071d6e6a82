"""Read the lines of a `.env` file: names and values, quotes, comments, `${NAME}`. No I/O."""

import re
from collections.abc import Mapping

from perdure.errors import AppFailed

_LINE = re.compile(
    r"""^[ \t]*(?:export[ \t]+)?(?P<name>[A-Za-z_][\w.-]*)[ \t]*=[ \t]*
    (?:(?:'(?P<single>[^']*)'|"(?P<double>(?:[^"\\]|\\.)*)")[ \t]*(?:\#[^\n]*)?
    |(?P<bare>(?!['"])[^\n]*))$""",
    re.MULTILINE | re.VERBOSE | re.DOTALL,
)
_SKIPPED = re.compile(r"^[ \t]*(?:#.*)?$")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES: Mapping[str, str] = {"n": "\n", "t": "\t", "r": "\r"}


def read_dotenv(text: str, *, what: str, around: Mapping[str, str]) -> dict[str, str]:
    """Read the text of a `.env` file; `around` is what `${NAME}` may also refer to.

    Raises:
        AppFailed: A line is no assignment; the text names the line, never its value.
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    values: dict[str, str] = {}
    position, number = 0, 1
    while position < len(text):
        end = text.find("\n", position)
        line = text[position : end if end >= 0 else len(text)]
        found = None if _SKIPPED.match(line) else _LINE.match(text, position)
        if found is None and not _SKIPPED.match(line):
            raise AppFailed(f"{what}, line {number}: expected NAME=value")
        if found is not None:
            values[found["name"]] = _value(found, {**values, **around})
            line = found[0]
        number += line.count("\n") + 1
        position += len(line) + 1
    return values


def _value(found: re.Match[str], known: Mapping[str, str]) -> str:
    if found["single"] is not None:
        return found["single"]
    if found["double"] is not None:
        told = _ESCAPE.sub(lambda e: _ESCAPES.get(e[1], e[1]), found["double"])
    else:
        told = re.split(r"(?:^|\s)#", found["bare"], maxsplit=1)[0].strip()
    return re.sub(r"\$\{(\w+)(?::-([^}]*))?\}", lambda m: known.get(m[1], m[2] or ""), told)
