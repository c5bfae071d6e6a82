"""What a run knows of the agents that it runs as tools, and of the one that runs it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

from perdure.core.jsons import Json, JsonObject, Raw

TOTALS = ("model_calls", "tool_calls")


@dataclass
class Child:
    """One sub-agent of a run."""

    id: str
    agent: str
    handle: Raw = None
    questions: tuple[str, ...] = ()
    """Ids of its questions that this run shows as its own."""
    status: str = "running"

    def to_json(self) -> JsonObject:
        """Describe the child for the status query."""
        return {"run": self.id, "agent": self.agent, "status": self.status}


@dataclass
class Family:
    """The sub-agents of one run, and their totals."""

    children: dict[str, Child] = field(default_factory=dict[str, Child])
    """By run id, in the order in which they began."""
    started: int = 0
    totals: dict[str, int] = field(default_factory=dict[str, int])
    tokens: dict[str, int] = field(default_factory=dict[str, int])
    """What the ended children and theirs used."""
    listening: bool = False

    def next(self) -> int:
        """Count a sub-agent; returns its number, from 1, allocated when it is called."""
        self.started += 1
        return self.started

    def add(self, told: Raw) -> None:
        """Add the totals of a child that ended."""
        if not isinstance(told, Mapping):
            return
        data = cast("Mapping[str, Raw]", told)
        for name in TOTALS:
            if isinstance(count := data.get(name), int):
                self.totals[name] = self.totals.get(name, 0) + count
        for name, count in cast("Mapping[str, Json]", data.get("tokens") or {}).items():
            if isinstance(count, int):
                self.tokens[name] = self.tokens.get(name, 0) + count
