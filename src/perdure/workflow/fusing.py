"""The fused turn, as the run sees it: which tools a model's worker may call at once, and results.

A result is used once, by the call that the model asked for: the same id, tool and arguments, with
nothing from the graph. Any difference, and the call is made the ordinary way. Workflow side.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import cast

from langchain_core.messages import AIMessage
from langgraph.pregel import Pregel

from perdure.core.approvals import digest_of
from perdure.core.jsons import Json, JsonObject, Raw
from perdure.core.ports import Codec
from perdure.core.scenes import Scene
from perdure.core.wire import ModelReply, RunInput

_REMEMBERED = 200


@dataclass(frozen=True, kw_only=True)
class Ready:
    """A result that came with the reply, and the call that it answers."""

    tool: str
    args: JsonObject
    value: Json

    def answers(self, call_id: str, args: Json) -> bool:
        """Tell whether a call is the one that the model asked for; its id may be injected."""
        if not isinstance(args, dict):
            return False
        given = {k: v for k, v in args.items() if k in self.args or v != call_id}
        return digest_of(given) == digest_of(self.args)


@dataclass
class Fused:
    """What a run knows of its fused turns."""

    ready: dict[str, Ready] = field(default_factory=dict[str, Ready])
    """By call id."""
    asked_for: tuple[str, ...] | None = None
    """Tools of the graph whose calls a person reviews; None if nobody has looked yet."""
    is_halted: bool = False
    """Whether the graph stops at nodes for a person."""

    def note(self, codec: Codec, message: AIMessage, reply: ModelReply) -> None:
        """Take the results that came with a reply."""
        for call in message.tool_calls if reply.fused else ():
            result = reply.fused.get(call["id"] or "")
            if result is None:
                continue
            args = cast("JsonObject", codec.encode(call["args"], what="arguments of a call"))
            ready = Ready(tool=call["name"], args=args, value=result.get("value"))
            self.ready[str(call["id"])] = ready
        while len(self.ready) > _REMEMBERED:  # results of calls that no node has made
            del self.ready[next(iter(self.ready))]

    def take(self, call_id: str | None, tool: str, packed: JsonObject) -> Ready | None:
        """Return the result of a call that was made already; once."""
        ready = self.ready.get(call_id or "")
        if ready is None or ready.tool != tool or "live" in packed:
            return None
        scene = Scene.from_json(packed["scene"]) if "scene" in packed else Scene()
        if scene.runtime is not None or scene.stores or scene.answers:
            return None
        if not ready.answers(str(call_id), packed["args"]):
            return None
        return self.ready.pop(str(call_id))

    def look(self, graph: Raw) -> None:
        """Look once at where the run's graph stops for a person."""
        if self.asked_for is None:
            self.asked_for = tuple(dict.fromkeys(_reviewed(graph)))
            self.is_halted = _halts(graph)


def may_fuse(start: RunInput, fused: Fused, *, model: str, on: bool) -> bool:
    """Tell whether the tools of a model's reply may be called before the graph's node is there."""
    wanted = start.model_override(model).fuse
    if not (on if wanted is None else wanted) or "custom" in start.stream:
        return False
    return not (start.interrupt_before or start.interrupt_after or fused.is_halted)


def apart(start: RunInput, fused: Fused, slow: Mapping[str, None]) -> tuple[str, ...]:
    """Name the quick tools whose calls wait for the graph all the same."""
    off = [name for name, override in start.tools.items() if override.quick is False]
    return tuple(dict.fromkeys([*off, *slow, *(fused.asked_for or ())]))


def _reviewed(graph: Raw) -> Iterator[str]:
    """Yield the tools that LangChain's human-in-the-loop middleware holds back."""
    for bound in _bounds(graph):
        for name in ("func", "afunc"):
            owner = getattr(getattr(bound, name, None), "__self__", None)
            held = cast("Raw", getattr(owner, "interrupt_on", None))
            if isinstance(held, dict):
                yield from cast("dict[str, Raw]", held)


def _halts(graph: Raw) -> bool:
    if not isinstance(graph, Pregel):
        return False
    made = cast("Pregel[Raw, Raw, Raw, Raw]", graph)
    if made.interrupt_before_nodes or made.interrupt_after_nodes:
        return True
    return any(_halts(getattr(node, "bound", None)) for node in made.nodes.values())


def _bounds(graph: Raw) -> Iterator[Raw]:
    if not isinstance(graph, Pregel):
        return
    for node in cast("Pregel[Raw, Raw, Raw, Raw]", graph).nodes.values():
        bound = cast("Raw", getattr(node, "bound", None))
        yield bound
        yield from _bounds(bound)
