"""What a run did to the world, so that a fork of it does not do it again. Workflow side."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import cast

from perdure.core.jsons import Json, JsonObject, Raw


@dataclass(frozen=True, kw_only=True)
class Deed:
    """One effect that was carried out."""

    tool: str
    args: Json
    """As they crossed the wire."""
    key: str
    result: Json
    at: str
    """The newest checkpoint when it was done."""

    def to_json(self) -> JsonObject:
        """Write the deed as JSON."""
        return {
            "tool": self.tool,
            "args": self.args,
            "key": self.key,
            "result": self.result,
            "at": self.at,
        }


@dataclass
class Ledger:
    """The effects of a run, and those that the run it was forked from had done already."""

    deeds: list[Deed] = field(default_factory=list[Deed])
    inherited: list[Deed] = field(default_factory=list[Deed])
    """Done by the parent after the step of the fork, and not met again so far."""

    def add(self, *, tool: str, args: Json, key: str, result: Raw, at: str) -> None:
        """Note an effect that was carried out."""
        self.deeds.append(Deed(tool=tool, args=args, key=key, result=cast("Json", result), at=at))

    @staticmethod
    def read(raw: Iterable[Raw]) -> list[Deed]:
        """Read deeds that `Deed.to_json` wrote."""
        return [Deed(**{k: one.get(k) for k in Deed.__dataclass_fields__}) for one in raw]

    def inherit(self, raw: Iterable[Raw]) -> None:
        """Take over what the parent did after the step of the fork."""
        self.inherited += self.read(raw)

    def take(self, tool: str, args: Json) -> Deed | None:
        """Return the same effect of the parent, once for each time that it was done there."""
        for number, deed in enumerate(self.inherited):
            if deed.tool == tool and deed.args == args:
                del self.inherited[number]
                self.deeds.append(deed)
                return deed
        return None

    def after(self, checkpoint: str) -> list[Deed]:
        """List what was done at a checkpoint or later."""
        return [deed for deed in self.deeds if deed.at >= checkpoint]
