"""The registry: which agents a worker can run."""

from collections.abc import Callable, Iterable
from typing import cast

from langgraph.graph.state import StateGraph
from langgraph.pregel import Pregel

from perdure.core.declared import DECLARED, Table
from perdure.core.jsons import Raw, shorten
from perdure.core.ports import Codec
from perdure.errors import BadOption, NameTaken, NotAGraph, PerdureError, UnknownAgent
from perdure.storage.values import ValueCodec

Built = Pregel[Raw, Raw, Raw, Raw] | StateGraph[Raw, Raw, Raw, Raw]
Build = Callable[[], Raw]


class Agents:
    """The agents of an app.

    `types` are your own dataclasses, pydantic models and enums that may travel inside tool
    results and inputs; everything else of LangChain and LangGraph is known already.
    `bridge=False` switches the sync bridge off: nodes that call models or tools must then be
    `async def`. `workflows` are hand-written `@workflow.defn` classes that the app's workers
    run as well.
    """

    def __init__(
        self,
        *,
        types: Iterable[type] = (),
        workflows: Iterable[type] = (),
        bridge: bool = True,
    ) -> None:
        self.bridge = bridge
        self.workflows = tuple(workflows)
        self._builders: dict[str, Build] = {}
        self._built: dict[str, Pregel[Raw, Raw, Raw, Raw]] = {}
        self._codec = ValueCodec(types)

    def register(self, name: str) -> Callable[[Build], Build]:
        """Register a function that returns a LangGraph graph as an agent.

        The function is called once per worker process, when the worker starts, and its graph
        is shared by all runs: nodes must keep no state of their own.

        Raises:
            NameTaken: Another agent has that name.
            BadOption: The name is missing, as in `@agents.register` without brackets.
        """
        if not isinstance(cast("Raw", name), str) or not name:
            raise BadOption(
                f"an agent's name is text, got {shorten(repr(name), 60)}; "
                'write: @agents.register("name")'
            )

        def keep(build: Build) -> Build:
            if name in self._builders:
                raise NameTaken(f"two agents are named {name!r}; give one another name")
            self._builders[name] = build
            return build

        return keep

    def add(self, name: str, graph: Raw) -> None:
        """Register a graph that exists already, compiled or not."""
        self.register(name)(lambda: graph)

    @property
    def names(self) -> list[str]:
        """The names of the registered agents."""
        return list(self._builders)

    @property
    def codec(self) -> Codec:
        """The codec that knows the app's types."""
        return self._codec

    @property
    def declared(self) -> Table:
        """The models and tools of this process."""
        return DECLARED

    def graph(self, name: str) -> Pregel[Raw, Raw, Raw, Raw]:
        """Return an agent's compiled graph, building it the first time.

        Raises:
            UnknownAgent: The text lists the known ones.
            NotAGraph: The function returned something else, or raised.
        """
        held = self._built.get(name)
        if held is not None:
            return held
        build = self._builders.get(name)
        if build is None:
            known = ", ".join(self._builders) or "none"
            raise UnknownAgent(f"no agent {name!r} on this worker; known: {known}")
        made = self._built[name] = _compile(name, build)
        return made

    def build(self) -> None:
        """Build every graph; a worker does so when it starts, to fail early.

        Raises:
            NotAGraph: One of them is none.
        """
        for name in self._builders:
            self.graph(name)


def _compile(name: str, build: Build) -> Pregel[Raw, Raw, Raw, Raw]:
    try:
        made = build()
    except PerdureError:
        raise
    except Exception as error:
        text = f"{type(error).__name__}: {shorten(str(error), 300)}"
        raise NotAGraph(f"agent {name!r} could not be built: {text}") from error
    if isinstance(made, Pregel):
        return cast("Pregel[Raw, Raw, Raw, Raw]", made)
    if isinstance(made, StateGraph):
        try:
            return cast("Pregel[Raw, Raw, Raw, Raw]", cast("Raw", made).compile())
        except Exception as error:
            raise NotAGraph(f"agent {name!r} does not compile: {error}") from error
    raise NotAGraph(
        f"agent {name!r} is a {type(made).__name__} ({shorten(repr(made), 60)}), not a graph; "
        "return a StateGraph, create_agent(...) or an @entrypoint"
    )
