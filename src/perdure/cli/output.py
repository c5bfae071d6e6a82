"""Write to the terminal: data on standard output, everything else on standard error."""

import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TextIO

import typer

from perdure.core.jsons import Json

_KEPT = "\n\t"
_HIDDEN = frozenset(
    "\u200b\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff"
)
"""Characters that reorder or hide text: an approver must see what really stands there."""


def clean(text: str) -> str:
    """Make characters visible that could move the cursor, or reorder or hide text."""
    return "".join(_visible(char) if _is_control(char) else char for char in text)


def one_line(text: str, limit: int = 100) -> str:
    """Clean a text and fold it to one line."""
    flat = " ".join(clean(text).split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"


def _is_control(char: str) -> bool:
    return (
        (char < " " and char not in _KEPT)
        or "\x7f" <= char <= "\x9f"
        or "\ud800" <= char <= "\udfff"
        or char in _HIDDEN
    )


def _visible(char: str) -> str:
    return f"\\u{ord(char):04x}"


def out(text: str) -> None:
    """Print a line of data."""
    typer.echo(_encodable(text, sys.stdout))


def err(text: str) -> None:
    """Print a line for the person who watches."""
    typer.echo(_encodable(text, sys.stderr), err=True)


def write_json(value: Json, *, line: bool = False) -> None:
    """Print one JSON document, on one line or indented."""
    indent = None if line else 2
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    if _encodable(text, sys.stdout) != text:
        text = json.dumps(value, indent=indent)
    typer.echo(text)


def _encodable(text: str, stream: TextIO) -> str:
    encoding = stream.encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def is_terminal() -> bool:
    """Tell whether a person reads standard output."""
    return sys.stdout.isatty()


def write_table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows: a table for a person, tab-separated lines with a header for a program.

    A tab or a line break inside a cell becomes a space.
    """
    cells = [[" ".join(clean(cell).split()) for cell in row] for row in rows]
    if not is_terminal():
        for row in [list(titles), *cells]:
            out("\t".join(row))
        return
    from rich.console import Console  # noqa: PLC0415 - only for a terminal
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in titles:
        table.add_column(title, overflow="fold")
    for row in cells:
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)


def span(seconds: float | None) -> str:
    """Write a duration for a person."""
    if seconds is None:
        return ""
    total = int(seconds)
    if total < 60:  # noqa: PLR2004 - a minute
        return f"{seconds:.1f} s"
    hours, rest = divmod(total, 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {left:02d} s"


def moment_text(moment: str) -> str:
    """Write a moment in ISO form for a person, without parts of a second."""
    try:
        return datetime.fromisoformat(moment).isoformat(" ", timespec="seconds")
    except ValueError:
        return moment


def until_text(deadline: str, *, now: datetime | None = None) -> str:
    """Write how long a deadline is away."""
    try:
        left = (datetime.fromisoformat(deadline) - (now or datetime.now(UTC))).total_seconds()
    except (ValueError, TypeError):
        return deadline
    return f"{span(left)} left" if left > 0 else "overdue"
