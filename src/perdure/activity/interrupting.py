"""`interrupt()` inside an activity: it returns what is answered, or stops the call with a question.

LangGraph's own `interrupt` looks for a scratchpad in the config. The one that is put there holds
the answers so far, which the workflow sends along; where none is left, `interrupt` raises, and
the question travels to the workflow, which asks it in the node.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count

from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import set_config_context
from langgraph.errors import GraphInterrupt
from langgraph.types import interrupt

from perdure.core.jsons import Json, JsonObject, Raw
from perdure.core.ports import Codec
from perdure.core.scenes import NAMESPACE, SCRATCHPAD, SEND
from perdure.errors import Incompatible


def _counter() -> Callable[[], int]:
    numbers = count()
    return lambda: next(numbers)


@dataclass(kw_only=True)
class Scratchpad:
    """What LangGraph's `interrupt` and its sub-graphs read; of the shape that it has there."""

    resume: list[Raw]
    step: int = 0
    stop: int = 1
    call_counter: Callable[[], int] = field(default_factory=_counter)
    interrupt_counter: Callable[[], int] = field(default_factory=_counter)
    subgraph_counter: Callable[[], int] = field(default_factory=_counter)

    def get_null_resume(self, consume: bool = False) -> None:
        """Give nothing: every answer is for a known question."""


def answering(answers: Sequence[Raw], *, namespace: str) -> dict[str, Raw]:
    """Return what `configurable` needs, so that `interrupt` gives these answers in turn."""
    return {
        SCRATCHPAD: Scratchpad(resume=list(answers)),
        SEND: _ignore,
        NAMESPACE: namespace,
    }


def question_of(error: GraphInterrupt, codec: Codec, *, what: str) -> JsonObject:
    """Write the question that stopped a call.

    Raises:
        Unserializable: What it asks has no JSON form.
    """
    asked: Raw = error.args[0][0]
    question: JsonObject = {"value": codec.encode(asked.value, what=f"what {what} asks")}
    schema: Json = getattr(asked, "response_schema", None)
    if schema is not None:
        question["schema"] = codec.encode(schema, what=f"the schema of what {what} asks")
    return question


def check() -> None:
    """Try an interrupt; a worker does so when it starts.

    Raises:
        Incompatible: LangGraph looks for its answers elsewhere.
    """

    def ask(answers: Sequence[Raw]) -> Raw:
        parts = answering(answers, namespace="check")
        with set_config_context(RunnableConfig(configurable=parts)) as context:
            return context.run(interrupt, "?")

    try:
        if ask(["yes"]) == "yes":
            ask([])
    except GraphInterrupt as error:
        if error.args[0][0].value == "?":
            return
    except (KeyError, AttributeError, TypeError) as error:
        raise Incompatible(_TOLD) from error
    raise Incompatible(_TOLD)


_TOLD = (
    "interrupt() of this version of LangGraph does not work inside an activity; "
    "install the versions of Perdure's constraints.txt, or a newer Perdure"
)


def _ignore(_: Raw) -> None:
    """Take what a task writes to its graph: the workflow's own graph keeps the answers."""
