"""What a run knows of those that ran ahead of it. Workflow side."""

import asyncio
from collections import deque
from dataclasses import dataclass, field

from perdure.core.ahead import Journal, Kept
from perdure.core.jsons import Json

WRONG = 2
"""Journals that did not have what was asked for, after which the run goes alone."""


@dataclass
class Lead:
    """The results that are there already, and where they were asked for."""

    models: dict[str, deque[Json]] = field(default_factory=dict[str, deque[Json]])
    tools: dict[str, deque[Json]] = field(default_factory=dict[str, deque[Json]])
    at: str | None = None
    """The newest checkpoint when a call was made last: from an older one it would be made twice."""
    under_way: "asyncio.Future[None] | None" = None
    wrong: int = 0

    def take(self, kind: str, key: str) -> Json | None:
        """Return a result of a model or of a tool; each is given once."""
        values = (self.models if kind == "model" else self.tools).get(key)
        return values.popleft() if values else None

    @property
    def is_ahead(self) -> bool:
        """Whether replies are there that the run has not come to yet; they would be lost."""
        return self.under_way is not None or any(self.models.values())

    def bring(self, journal: Journal) -> None:
        """Take a journal in place of the last one."""
        self.models, self.tools = _by_key(journal.models), _by_key(journal.tools)

    def may_begin(self, newest: str) -> bool:
        """Tell whether to run ahead from a checkpoint."""
        return bool(newest) and newest != self.at and self.wrong < WRONG


def _by_key(kept: list[Kept]) -> dict[str, deque[Json]]:
    held: dict[str, deque[Json]] = {}
    for one in kept:
        held.setdefault(one.key, deque[Json]()).append(one.value)
    return held
