"""Write the page of results. Every row comes from a case that was run."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from conformance.case import AREAS, Case

PAGE = "langgraph.md"
DATA = "langgraph.json"
PACKAGES = ("langgraph", "langchain", "langchain-core", "deepagents")
_SHORT = 400


@dataclass(frozen=True, kw_only=True)
class Row:
    """The result of one case."""

    case: Case
    passed: bool
    said: str = ""

    @property
    def verdict(self) -> str:
        if not self.passed:
            return "fails"
        if self.case.unsupported:
            return "not supported"
        return "works with a caveat" if self.case.caveat else "works"

    @property
    def note(self) -> str:
        if not self.passed:
            return self.said.strip().split("\n")[0][:_SHORT]
        return self.case.unsupported or self.case.caveat or ""


def write_page(folder: Path, rows: Iterable[Row]) -> None:
    """Write the page and its data."""
    listed = sorted(rows, key=lambda row: (AREAS.index(row.case.area), row.case.id))
    data = {
        "versions": {name: version(name) for name in PACKAGES if _has(name)},
        "cases": [_data(row) for row in listed],
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / DATA).write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n")
    (folder / PAGE).write_text(_page(listed))


def _has(name: str) -> bool:
    try:
        return bool(version(name))
    except ModuleNotFoundError:
        return False


def _data(row: Row) -> dict[str, Any]:
    case = row.case
    return {
        "id": case.id,
        "area": case.area,
        "feature": case.feature,
        "verdict": row.verdict,
        "note": row.note,
    }


def _page(rows: list[Row]) -> str:
    works = sum(row.verdict.startswith("works") for row in rows)
    lines = [
        "# What of LangGraph runs on Perdure",
        "",
        "Each row is a small graph that was run twice: by plain LangGraph and by Perdure, on a",
        "real server and a worker that keeps no run in memory, so that every step replayed the",
        "run from its start. Results, final state, questions, errors and streams were compared,",
        "and the history was replayed once more. `make conformance` writes this page; the cases",
        "are in `tests/conformance/cases`.",
        "",
        f"{works} of {len(rows)} work.",
    ]
    for area in AREAS:
        held = [row for row in rows if row.case.area == area]
        if not held:
            continue
        works = sum(row.verdict.startswith("works") for row in held)
        lines += ["", f"## {area}", "", f"{works} of {len(held)} work.", ""]
        lines += ["| feature | | case |", "|---|---|---|"]
        lines += [
            f"| {_cell(row.case.feature)} | {_cell(_verdict(row))} | `{row.case.id}` |"
            for row in held
        ]
    return "\n".join(lines) + "\n"


def _verdict(row: Row) -> str:
    return f"{row.verdict}: {row.note}" if row.note else row.verdict


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
