"""Draw `docs/images/demo.svg` from what `perdure demo --yes` really prints.

python docs/images/make_demo.py
"""

import re
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

HERE = Path(__file__).parent
WIDTH = 108
# Rich's own template fetches a font from elsewhere; this one uses what the reader has.
TEMPLATE = """<svg class="rich-terminal" viewBox="0 0 {width} {height}" \
xmlns="http://www.w3.org/2000/svg" role="img" aria-label="output of perdure demo">
<style>.{unique_id}-matrix {{ font-family: ui-monospace, Menlo, Consolas, monospace; \
font-size: {char_height}px; line-height: {line_height}px; }} {styles}</style>
<defs><clipPath id="{unique_id}-clip-terminal">\
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" /></clipPath>{lines}</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" \
clip-path="url(#{unique_id}-clip-terminal)">{backgrounds}
<g class="{unique_id}-matrix">{matrix}</g></g></svg>
"""
STYLES = (
    (re.compile(r"^\$ .*"), "bold"),
    (re.compile(r"^kill -9.*"), "bold red"),
    (re.compile(r"^another worker.*|^approve by.*"), "bold green"),
    (re.compile(r"^outcome .*"), "bold green"),
    (re.compile(r"^  \+.*"), "cyan"),
    (re.compile(r"^time\t.*"), "bold"),
)


def main() -> None:
    """Run the demo and draw what it printed."""
    command = [sys.executable, "-m", "perdure", "demo", "--yes"]
    ran = subprocess.run(  # noqa: S603 - our own program
        command, capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL
    )
    shown = [*_cut(ran.stderr.splitlines()), "", *_mail(ran.stdout.splitlines())]
    console = Console(record=True, width=WIDTH, file=Path("/dev/null").open("w"))  # noqa: SIM115
    for line in ["$ make demo", *shown]:
        console.print(_styled(line), no_wrap=True, overflow="ellipsis")
    svg = console.export_svg(title="make demo", code_format=TEMPLATE)
    (HERE / "demo.svg").write_text(svg, encoding="utf-8")


def _cut(lines: list[str]) -> list[str]:
    """Leave out the long description of the question; the run's own lines stay."""
    kept: list[str] = []
    skip = False
    for line in lines:
        if line.startswith("Send this reply"):
            skip = True
        if line.startswith("kill -9"):
            skip = False
        if not skip:
            kept.append(line)
    return kept


def _mail(lines: list[str]) -> list[str]:
    start = lines.index("the e-mail that arrived:")
    body = [line for line in lines[start:] if line.strip()]
    end = next(i for i, line in enumerate(body) if line.startswith("support-"))
    tail = [line for line in lines if line.startswith("outcome ")]
    return [*body[: min(end, 9)], "  …", "", *tail]


def _styled(line: str) -> Text:
    style = next((style for pattern, style in STYLES if pattern.match(line)), "")
    return Text(line, style=style)


if __name__ == "__main__":
    main()
