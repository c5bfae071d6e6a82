"""A call that may ask a person: ask in the node, and make the call again with the answers.

LangGraph tells the interrupts of a task apart by their order. Calls that run beside one another
in one task therefore ask in the order in which they began, whichever activity is back first.
"""

from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from typing import cast

from langgraph.config import get_config
from langgraph.types import interrupt
from temporalio import workflow

from perdure.core.jsons import Json, JsonObject, Raw
from perdure.core.ports import Codec
from perdure.core.scenes import NAMESPACE, SCRATCHPAD, Outcome
from perdure.errors import NotInRun

Ask = Callable[[list[Json]], Awaitable[Outcome]]
"""Make the call with the encoded answers so far."""


@dataclass(kw_only=True)
class Held:
    """A call that stopped with a question; its node starts again when that is answered."""

    key: str | None
    questions: list[JsonObject] = field(default_factory=list[JsonObject])


@dataclass
class Line:
    """The calls of one execution of a task that are not done, in the order of their begin."""

    scratchpad: Raw
    waiting: list["Turn"] = field(default_factory=list["Turn"])
    begun: dict[Hashable, int] = field(default_factory=dict[Hashable, int])


@dataclass(eq=False)
class Turn:
    """The place of one call in the line of its task."""

    line: Line
    namespace: str
    what: Hashable

    async def first(self) -> None:
        """Wait until every call that began before is done."""
        if self.line.waiting[0] is not self:
            await workflow.wait_condition(lambda: self.line.waiting[0] is self)


@dataclass
class Pauses:
    """What the calls of a run have asked so far."""

    lines: dict[int, Line] = field(default_factory=dict[int, Line])
    """By the identity of LangGraph's scratchpad, which is new each time that a task starts."""
    held: dict[Hashable, Held] = field(default_factory=dict[Hashable, Held])

    def enter(self, what: Hashable) -> Turn | None:
        """Line up a call; None outside a graph, where nobody could be asked."""
        conf = configurable()
        scratchpad = conf.get(SCRATCHPAD)
        if scratchpad is None:
            return None
        line = self.lines.setdefault(id(scratchpad), Line(scratchpad))
        number = line.begun[what] = line.begun.get(what, 0) + 1
        turn = Turn(line, str(conf.get(NAMESPACE, "")), (what, number))
        line.waiting.append(turn)
        return turn

    def leave(self, turn: Turn) -> None:
        """Take a call out of its line."""
        turn.line.waiting.remove(turn)
        if not turn.line.waiting:
            self.lines.pop(id(turn.line.scratchpad), None)

    def find(self, turn: Turn | None) -> Held | None:
        """Return what the same call asked before its node started again."""
        return None if turn is None else self.held.get((turn.namespace, turn.what))

    def hold(self, turn: Turn, question: JsonObject, *, key: str | None) -> None:
        """Note a question, so that the call need not be made again to come to it."""
        held = self.held.setdefault((turn.namespace, turn.what), Held(key=key))
        held.questions.append(question)

    def close(self, namespace: str) -> None:
        """Forget what was asked inside of a namespace whose super-step is complete."""
        for key in [key for key in self.held if is_inside(cast("Raw", key)[0], namespace)]:
            del self.held[key]


def is_inside(inner: str, outer: str) -> bool:
    """Tell whether a namespace belongs to a task of the graph that has the other one."""
    if not outer:
        return bool(inner)
    if not inner.startswith(f"{outer}|"):
        return False
    # A number there names the second graph that the same task called, which goes on by itself.
    return not inner[len(outer) + 1 :].partition("|")[0].isdigit()


def configuration() -> dict[str, Raw]:
    """Return the config where a node or a tool runs; empty elsewhere."""
    try:
        return cast("dict[str, Raw]", get_config())
    except RuntimeError:
        return {}


def configurable() -> dict[str, Raw]:
    """Return the config's `configurable` where a node or a tool runs; empty elsewhere."""
    return configuration().get("configurable") or {}


async def answered(
    pauses: Pauses, turn: Turn | None, codec: Codec, call: Ask, *, key: str | None, what: str
) -> Outcome:
    """Make a call until it asks no more; returns its last outcome.

    Raises:
        GraphInterrupt: A question has no answer yet; the node starts again when it has.
        NotInRun: It asks, but was not called inside a graph.
        Unserializable: An answer has no JSON form.
    """
    held = pauses.find(turn)
    asked = [] if held is None else list(held.questions)
    answers = [await _ask(turn, question, codec, what) for question in asked]
    while True:
        outcome = await call(answers)
        if outcome.question is None:
            return outcome
        if turn is None:
            raise NotInRun(f"{what} called interrupt(), which works inside a graph only")
        pauses.hold(turn, outcome.question, key=key)
        answers.append(await _ask(turn, outcome.question, codec, what))


async def _ask(turn: Turn | None, question: JsonObject, codec: Codec, what: str) -> Json:
    if turn is not None:
        await turn.first()
    value = codec.decode(question["value"])
    schema = cast("dict[str, Raw] | None", codec.decode(question.get("schema")))
    answer = interrupt(value, response_schema=schema)
    return codec.encode(answer, what=f"the answer to what {what} asks")
