"""The models, tools and nodes that a process has declared, by name.

One process-wide table, filled while the app is imported and read afterwards: a call crosses
the wire as a name, and any worker that imported the same app can look it up. It holds no
state of a run.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from perdure.core.approvals import Approve
from perdure.core.options import KEEP, Override
from perdure.errors import NameTaken

Kind = Literal["model", "tool", "node", "agent", "agent_tool", "mcp"]
Where = Literal["activity", "workflow"]


@dataclass(frozen=True, kw_only=True)
class Declaration:
    """One declared model or tool."""

    kind: Kind
    name: str
    identity: object
    """What it is; a second declaration of the same name must equal it."""
    build: Callable[[], object]
    """Makes or returns the real object; may raise, e.g. when a key is missing."""
    override: Override = KEEP
    effect: bool = False
    idempotent: bool = True
    approve: Approve | None = None
    max_result: int | None = None
    """Bytes of a tool's result that its model is given at most."""
    where: Where | None = None
    """Where a tool's body runs; None lets its code decide."""
    terms: object = None
    """What only this kind of declaration knows: `perdure.core.nodes.NodeTerms`,
    or `perdure.core.toolservers.ServerTool` of a tool that a server carries out."""
    part: object | None = None
    """The real object, where one is at hand without building it."""


@dataclass
class Table:
    """Declarations by kind and name."""

    parent: "Table | None" = None
    """Where to look for what is not here."""
    make: Callable[[Kind, str], Declaration | None] | None = None
    """Makes the declaration of a name that says all there is to know; the last resort."""
    _entries: dict[tuple[Kind, str], Declaration] = field(
        default_factory=dict[tuple[Kind, str], Declaration]
    )

    def add(self, entry: Declaration) -> Declaration:
        """Add a declaration; the same one again replaces the first (a reloaded app).

        Raises:
            NameTaken: Something else holds the name.
        """
        key = (entry.kind, entry.name)
        held = self._entries.get(key)
        if held is not None and held.identity != entry.identity:
            raise NameTaken(
                f"two different {entry.kind}s are named {entry.name!r}; "
                f"give one another name: perdure.{entry.kind}(..., name=...)"
            )
        self._entries[key] = entry
        return entry

    def find(self, kind: Kind, name: str) -> Declaration | None:
        """Return a declaration, or None."""
        held = self._entries.get((kind, name))
        if held is None and self.parent is not None:
            held = self.parent.find(kind, name)
        if held is None and self.make is not None:
            held = self.make(kind, name)
        return held

    def names(self, kind: Kind) -> list[str]:
        """List the names of one kind, in order of declaration."""
        above = self.parent.names(kind) if self.parent is not None else []
        return [*above, *(name for k, name in self._entries if k == kind)]

    def all(self) -> list[Declaration]:
        """List the declarations, in order."""
        above = self.parent.all() if self.parent is not None else []
        return [*above, *self._entries.values()]

    def clear(self) -> None:
        """Forget everything; for tests."""
        self._entries.clear()


DECLARED = Table()
