"""What a case is: one small graph, what it is given, and what is compared."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, Protocol

AREAS = (
    "Graph API",
    "Sync nodes",
    "Functional API",
    "Interrupts",
    "Agents",
    "Middleware",
    "Deep agents",
    "Chains",
    "Store",
    "Streaming",
    "State and history",
    "Node activities",
    "Sub-agents",
    "MCP tools",
    "Unmodified objects",
    "Threads",
    "Values",
    "Config",
    "Errors",
)


class Kit(Protocol):
    """Makes the parts of a graph: plain ones, or the same ones declared to Perdure."""

    durable: bool

    def model(self, *answers: Any, name: str = "m", **options: Any) -> Any:
        """Make a chat model that gives these answers in turn; or one callable of the messages."""
        ...

    def tool(self, function: Any, **options: Any) -> Any:
        """Make a tool of a function or a BaseTool; `options` are those of `perdure.tool`."""
        ...

    def node(self, function: Any, **options: Any) -> Any:
        """Make a node that is one activity on Perdure; `options` are those of `perdure.node`."""
        ...


class Session(Protocol):
    """One thread on plain LangGraph, or one run on Perdure, step by step."""

    async def start(self, input: Any) -> Any:
        """Begin; returns the output, or what is asked as `Paused`."""
        ...

    async def answer(self, *answers: Any) -> Any:
        """Answer the open questions, in the order of their texts; goes on to the next pause."""
        ...

    async def state(self, step: int | None = None) -> Any:
        """Tell values, next nodes and step of the newest state, or of a step."""
        ...

    async def history(self) -> Any:
        """List the states, newest first."""
        ...

    async def update(self, values: Any, as_node: str | None = None) -> Any:
        """Change the state of what waits, and let it go on to its next pause."""
        ...

    async def fork(self, step: int, values: Any = None, as_node: str | None = None) -> Any:
        """Go on from the state after a step, changed if there are `values`."""
        ...

    async def again(self, input: Any) -> Any:
        """Run once more on the same thread."""
        ...


@dataclass(frozen=True, kw_only=True)
class Paused:
    """A graph that waits; what it asks, in the order of the texts."""

    asked: tuple[Any, ...]


@dataclass(frozen=True, kw_only=True)
class Choose:
    """An answer to LangChain's human in the loop, or to an approval of Perdure's."""

    type: Literal["approve", "edit", "reject", "respond"]
    args: Mapping[str, Any] | None = None
    message: str | None = None
    name: str | None = None
    """The tool; LangChain wants it with edited arguments."""


@dataclass(kw_only=True)
class Plan:
    """A graph and what is done with it. Built twice, once with each kit."""

    graph: Any
    """A StateGraph, a compiled graph, or an entrypoint."""
    input: Any = field(default_factory=dict)
    context: Any = None
    config: Mapping[str, Any] = field(default_factory=dict)
    """`configurable`, `tags`, `metadata`, `recursion_limit`."""
    interrupt_before: tuple[str, ...] = ()
    interrupt_after: tuple[str, ...] = ()
    answers: Sequence[Any] | Mapping[str, Any] | None = None
    """Answers in the order of asking (within a pause: of the texts), or by the text asked."""
    resume: Literal["each", "all"] = "all"
    """All answers of a pause at once, or one at a time."""
    scenario: Callable[[Session], Awaitable[Any]] | None = None
    """Instead of one run: what it returns is compared."""
    modes: tuple[str, ...] = ()
    """Stream modes; the parts that the client gets are compared with those of `astream`."""
    subgraphs: bool = False
    states: bool = False
    """Compare the whole history of states too."""
    state: bool = True
    """Compare the final state."""
    checkpoints: bool = True
    """False: plain LangGraph runs without its saver, which refuses what the state holds."""
    activities: Mapping[str, int] | None = None
    """How many of each kind, e.g. {"model": 2, "tool": 1}; None means any."""
    types: tuple[type, ...] = ()
    """Classes the app registers by `Agents(types=...)`."""
    intercept: bool = False
    """Give Perdure the plain, undeclared parts too; it finds them by itself."""
    others: Mapping[str, Any] = field(default_factory=dict)
    """More agents of the app, by name; for sub-agents."""
    ordered: bool = True
    """False: lists in results are compared without their order."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One feature."""

    id: str
    area: str
    feature: str
    caveat: str | None
    unsupported: str | None
    build: Callable[[Kit], Plan]


CASES: dict[str, Case] = {}


def case(
    id: str,
    *,
    area: str,
    feature: str,
    caveat: str | None = None,
    unsupported: str | None = None,
) -> Callable[[Callable[[Kit], Plan]], Callable[[Kit], Plan]]:
    """Register a case.

    `caveat` is told beside "works". `unsupported` is the reason, rooted in LangGraph or in
    Temporal, why the two sides differ; the case then fails as soon as they no longer do.
    """
    assert area in AREAS, area
    assert id not in CASES, f"two cases are called {id}"

    def keep(build: Callable[[Kit], Plan]) -> Callable[[Kit], Plan]:
        CASES[id] = Case(
            id=id,
            area=area,
            feature=feature,
            caveat=caveat,
            unsupported=unsupported,
            build=build,
        )
        return build

    return keep


def all_cases() -> list[Case]:
    """Load every file of the folder `cases` and list what is in them."""
    for file in sorted((Path(__file__).parent / "cases").glob("*.py")):
        if not file.stem.startswith("_"):
            import_module(f"conformance.cases.{file.stem}")
    return sorted(CASES.values(), key=lambda found: AREAS.index(found.area))
