"""The registry: which agents a worker can run."""

from collections.abc import Callable, Iterable
from typing import cast

from langgraph.graph.state import StateGraph
from langgraph.pregel import Pregel

from perdure.core.ahead import Durability, check_durability
from perdure.core.causes import innermost
from perdure.core.declared import DECLARED, Table
from perdure.core.frames import Frame, StreamSink
from perdure.core.jsons import Raw, shorten
from perdure.core.offloading import Payloads
from perdure.core.ports import Codec
from perdure.errors import BadOption, NameTaken, NotAGraph, PerdureError, UnknownAgent
from perdure.storage.places import Place, Places
from perdure.storage.sinks import open_sink
from perdure.storage.values import ValueCodec
from perdure.worker.annotations import types_of
from perdure.workflow.found import Found

Build = Callable[[], Raw]


class Agents:
    """The agents of an app.

    `types` are your own dataclasses, pydantic models and enums that may travel inside tool
    results and inputs; those that a state, a context, a node or a tool names in its annotations
    are found, and everything of LangChain and LangGraph is known already.
    `bridge=False` switches the sync bridge off: nodes that call models or tools must then be
    `async def`. `fuse=False` lets the graph's own nodes call quick tools; else, when all tools that
    a model asks for are quick, the worker that got the reply calls them at once, and both are
    one activity. `workflows` are hand-written `@workflow.defn` classes that the app's workers
    run as well. `stream` is where tokens and other parts of streams go while runs are under
    way: a sink, or its URL such as "sqlite:.perdure/stream.db", which all processes of one
    machine can share. `store` and `threads` are where long-term memory and threads are kept:
    a URL (`sqlite:///memory.sqlite`, `postgresql://...`), a store or saver of LangGraph's, or
    a function that returns one; SQLite files under `.perdure/` by default. `payloads` says where
    large values rest and which keys encrypt; clients must have the same.

    Plain models and tools of the graphs (`ChatOpenAI(...)`, `@tool`) are found when a worker
    starts, and their calls in runs are activities too. `intercept=False` leaves plain tools in
    the workflow and makes the call of a plain model an error that shows the line to write.
    """

    def __init__(
        self,
        *,
        types: Iterable[type] = (),
        workflows: Iterable[type] = (),
        bridge: bool = True,
        fuse: bool = True,
        stream: StreamSink | str | None = None,
        store: Place = None,
        threads: Place = None,
        intercept: bool = True,
        payloads: Payloads | None = None,
    ) -> None:
        self.payloads = payloads
        self._seal = b""
        self.intercept = intercept
        self.found: Found | None = None
        self._declared = Table(parent=DECLARED)
        self.sink = open_sink(stream) if isinstance(stream, str) else stream
        self.bridge = bridge
        self.fuse = fuse
        self.places = Places(store=store, threads=threads, types=types)
        self.workflows = tuple(workflows)
        self._builders: dict[str, Build] = {}
        self._durable: dict[str, Durability] = {}
        self._built: dict[str, Pregel[Raw, Raw, Raw, Raw]] = {}
        self._codec = ValueCodec(types)

    def register(self, name: str, *, durability: Durability = "sync") -> Callable[[Build], Build]:
        """Register a function that returns a LangGraph graph as an agent.

        `durability` is LangGraph's word for how its runs record their calls, where a run says
        nothing: each one before the next begins ("sync"), or several turns in one activity
        that runs ahead ("async", and "exit" for a run that may as well begin again).

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
            check_durability(durability)
            if name in self._builders:
                raise NameTaken(f"two agents are named {name!r}; give one another name")
            self._builders[name] = build
            self._durable[name] = durability
            return build

        return keep

    def add(self, name: str, graph: Raw) -> None:
        """Register a graph that exists already, compiled or not."""
        self.register(name)(lambda: graph)

    @property
    def names(self) -> list[str]:
        """The names of the registered agents."""
        return list(self._builders)

    def durability(self, agent: str) -> Durability:
        """Return how an agent's runs record their calls, where a run says nothing."""
        return self._durable.get(agent, "sync")

    def publish(self, frame: Frame) -> None:
        """Send a frame to the sink; without one it is dropped."""
        if self.sink is not None:
            self.sink.publish(frame)

    @property
    def codec(self) -> Codec:
        """The codec that knows the app's types."""
        return self._codec

    @property
    def largest(self) -> int:
        """Bytes of one value that a worker of these agents can carry."""
        return self._codec.largest

    @property
    def seal(self) -> bytes:
        """What keys the digests of values; empty without keys."""
        return self._seal

    def carry(self, payloads: Payloads) -> None:
        """Note how the payloads of a worker are carried. Called when one is made."""
        self._codec.largest = payloads.most
        self._seal = payloads.seal

    @property
    def remembers(self) -> bool:
        """Whether a store is configured, so that every graph is given it."""
        return self.places.remembers

    @property
    def declared(self) -> Table:
        """The models and tools that this app's workers know: declared, or found in its graphs."""
        return self._declared

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
        found = types_of(made)
        self._codec.learn(found)
        self.places.learn(found)
        if made.store is not None:
            self.places.adopt(made.store)
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
        cause = innermost(error)
        text = f"{type(cause).__name__}: {shorten(str(cause), 300)}"
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
