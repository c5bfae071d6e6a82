"""The plain models and tools of a test's graph: called in place, or as activities if asked for."""

from collections.abc import Iterable
from contextvars import ContextVar

from langchain_core.language_models import BaseChatModel

from perdure.workflow.found import Found, Part, is_twin
from perdure.workflow.marks import label_of

INTERCEPT: ContextVar[bool] = ContextVar("perdure_testing_intercept", default=False)
"""Whether the call that this code belongs to wants activities."""


class PlainParts(Found):
    """Knows parts by identity: two fakes of a test may be alike and count for themselves."""

    def add(self, parts: Iterable[Part]) -> None:
        """Declare what a graph can reach."""
        for part in parts:
            if self.twin_of_same(part) is not None or is_twin(part):
                continue
            if isinstance(part, BaseChatModel):
                self._declare("model", label_of(part), part)
            else:
                self._declare("tool", part.name, part)

    def twin_of(self, part: Part) -> Part | None:
        """Return what a run calls in place of a part: itself, unless the call wants activities."""
        return (self.twin_of_same(part) if INTERCEPT.get() else None) or part

    def twin_of_same(self, part: Part) -> Part | None:
        """Return the twin of this very part."""
        held = self._twins.get(id(part))
        return None if held is None else held[1]
