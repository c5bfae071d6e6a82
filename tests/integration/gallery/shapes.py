"""What is done with the gallery: the commands of its README, and decisions for what asks."""

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

GALLERY = Path(__file__).parents[3] / "examples" / "gallery"
README = (GALLERY / "README.md").read_text("utf-8")
SHAPES: tuple[str, ...] = tuple(json.loads((GALLERY / "langgraph.json").read_text())["graphs"])

MODEL = "ChatAnthropic:claude-sonnet-4-6"
CALLS: Mapping[str, Mapping[str, int]] = {
    "react": {MODEL: 3, "temperature": 2, "subtract": 1},
    "supervisor": {MODEL: 7, "population": 2, "add": 1},
    "swarm": {MODEL: 6, "book_flight": 1, "transfer_to_hotels": 1, "book_hotel": 2},
    "plan_and_execute": {MODEL: 10, "height": 2, "difference": 1},
    "map_reduce": {MODEL: 5},
    "reflection": {MODEL: 4},
    "rag": {MODEL: 6, "search_handbook": 2},
    "sql_agent": {MODEL: 4, "sql_tables": 1, "sql_schema": 3, "sql_query": 1},
    "memory": {MODEL: 6},
    "human_review": {MODEL: 3, "send_email": 2},
}
"""How many calls all turns of a shape make together."""

_EDITED = {"to": "ann@example.com", "body": "Sorry!"}
_DECISIONS: tuple[Mapping[str, Any], ...] = (
    {"type": "approve"},
    {"type": "edit", "args": _EDITED},
    {"type": "reject", "message": "too short"},
)


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One run of a shape."""

    shape: str
    input: Any
    thread: str | None = None
    decision: Mapping[str, Any] | None = None
    """What a person says to its question."""

    @property
    def resume(self) -> Any:
        """The decision as plain LangGraph is given it."""
        assert self.decision is not None
        told = dict(self.decision)
        if "args" in told:
            told["edited_action"] = {"name": "send_email", "args": told.pop("args")}
        return {"decisions": [told]}


def turns_of(shape: str) -> list[Turn]:
    """List the runs of a shape in the order of the README; one that asks, once per decision."""
    found: list[Turn] = []
    for line in re.findall(rf"^perdure run {shape} .*$", README, re.MULTILINE):
        words = shlex.split(line)
        thread = words[words.index("--thread") + 1] if "--thread" in words else None
        found.append(
            Turn(shape=shape, input=json.loads(words[words.index("-i") + 1]), thread=thread)
        )
    if shape == "human_review":
        return [replace(turn, decision=decision) for turn in found for decision in _DECISIONS]
    return found
