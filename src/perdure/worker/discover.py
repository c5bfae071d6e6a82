"""Find the plain models and tools that an app's graphs can reach, when a worker starts.

The walk begins at the compiled graphs and follows what their code can see: nodes, routers,
bindings, closures, the globals that a function reads, objects and modules of the app. It is a
walk and no look through all objects of the process: what it finds, and in which order, depends
on the code alone, so every worker gives the same names.
"""

import importlib
from collections import deque
from collections.abc import Iterator, Mapping
from functools import lru_cache, partial
from importlib.util import find_spec
from inspect import getattr_static
from types import CodeType, FunctionType, MappingProxyType, MethodType, ModuleType
from typing import cast

from langchain.agents.middleware import AgentMiddleware
from langchain.chat_models import init_chat_model
from langchain_core.language_models import BaseChatModel
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool
from langgraph.pregel import Pregel
from langgraph.pregel.protocol import PregelProtocol

from perdure.core.jsons import Raw
from perdure.core.recipes import PROVIDERS
from perdure.worker.agents import Agents
from perdure.worker.scan import is_app
from perdure.workflow.found import Found, Part
from perdure.workflow.mcpclients import is_client

_FOLLOWED = (Runnable, BaseTool, AgentMiddleware, PregelProtocol)
_PLAIN = (str, int, float, bytes, type(None))
_CONFIGURABLE = "_ConfigurableModel"
"""What `init_chat_model` returns when the run is to name the model."""
_HOLDERS = frozenset({"langgraph", "langchain", "langchain_core", "deepagents",
                      "langgraph_supervisor", "langgraph_swarm"})  # fmt: skip
"""Libraries whose objects hold what the app gave them."""


def discover(agents: Agents) -> None:
    """Find, name and declare what the graphs use and nobody declared. Worker side.

    The graphs must be built. Called again, it adds what is new.
    """
    if not agents.intercept:
        return
    found = agents.found
    if found is None:
        found = agents.found = Found(table=agents.declared)
        agents.declared.make = found.make
    walk = _walk(agents)
    if walk.has_seen(init_chat_model):
        _warm_up()
    found.add(walk.parts)
    for client in walk.clients:
        found.clients.add(agents.declared, client)


def reachable(agents: Agents) -> list[Part]:
    """List the models and tools that the agents' graphs can reach, in a fixed order."""
    return _walk(agents).parts


def parts_of(graph: Raw) -> list[Part]:
    """List the models and tools that one graph can reach, in a fixed order."""
    walk = _Walk()
    walk.to_end(graph)
    return walk.parts


def _walk(agents: Agents) -> "_Walk":
    walk = _Walk()
    for name in agents.names:
        walk.to_end(agents.graph(name))
    return walk


def _warm_up() -> None:
    """Import the providers that are installed, since a run may make a model of any of them.

    Done in a run, the import takes longer than a workflow task may compute.
    """
    for module in sorted({home for home, _ in PROVIDERS.values()}):
        if find_spec(module) is not None:
            importlib.import_module(module)


class _Walk:
    """One walk through the objects of an app."""

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self.clients: list[Raw] = []
        self._seen: dict[int, Raw] = {}
        """By id; the object is held, so that no other gets its id while the walk goes on."""

    def has_seen(self, thing: Raw) -> bool:
        """Tell whether the walk came by an object, or by one of a configurable model's class."""
        return id(thing) in self._seen or any(
            _class(one).__name__ == _CONFIGURABLE for one in self._seen.values()
        )

    def to_end(self, start: Raw) -> None:
        """Follow everything from an object on, the nearest first."""
        queue = deque([start])
        while queue:
            thing = queue.popleft()
            if id(thing) in self._seen or _is(thing, _PLAIN):
                continue
            self._seen[id(thing)] = thing
            if _is(thing, (BaseChatModel, BaseTool)):
                self.parts.append(thing)
            elif is_client(thing):
                self.clients.append(thing)
            queue.extend(_next(thing))


def _next(thing: Raw) -> Iterator[Raw]:
    """Yield what an object leads to; a model leads nowhere."""
    if _is(thing, (BaseChatModel, ModuleType)):
        return
    if _is(thing, (FunctionType, MethodType, partial, type)):
        yield from _of_callable(thing)
    elif _is(thing, (dict, MappingProxyType)):
        yield from cast("dict[Raw, Raw]", thing).values()
    elif _is(thing, (list, tuple)):
        yield from cast("list[Raw]", thing)
    elif _is(thing, Pregel):
        yield from _of_graph(thing)
    elif _is_followed(thing):
        yield from _fields(thing)
        yield from _methods(_class(thing))
    else:
        yield getattr_static(thing, "__wrapped__", None)  # functools.cache and its like


def _of_callable(thing: Raw) -> Iterator[Raw]:
    if _is(thing, FunctionType):
        yield from _of_function(thing)
    elif _is(thing, MethodType):
        yield from (thing.__func__, thing.__self__)
    elif _is(thing, partial):
        held = cast("partial[Raw]", thing)
        yield from (held.func, *held.args, *held.keywords.values())
    elif _is_app_class(thing):
        yield from _methods(thing)


def _of_graph(graph: Raw) -> Iterator[Raw]:
    nodes: Mapping[str, Raw] = graph.nodes
    for spec in nodes.values():
        yield getattr(spec, "bound", None)
        yield from getattr(spec, "writers", None) or ()
    builder: Raw = getattr(graph, "builder", None)
    specs: Mapping[str, Raw] = getattr(builder, "nodes", None) or {}
    for spec in specs.values():
        yield getattr(spec, "runnable", None)
    branches: Mapping[str, Mapping[str, Raw]] = getattr(builder, "branches", None) or {}
    for routers in branches.values():
        yield from (router.path for router in routers.values())


def _of_function(function: FunctionType) -> Iterator[Raw]:
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # not filled yet
            continue
    yield from function.__defaults__ or ()
    yield from (function.__kwdefaults__ or {}).values()
    yield getattr(function, "__wrapped__", None)
    if not is_app(function.__module__):
        return
    for names in _names(function.__code__):
        for name in names:
            if name not in function.__globals__:
                continue
            value = function.__globals__[name]
            yield value
            if _is(value, ModuleType) and is_app(value.__name__):
                yield from (vars(value).get(attribute) for attribute in names)


def _names(code: CodeType) -> Iterator[tuple[str, ...]]:
    """Yield the names that a function reads, and those of the functions within."""
    yield code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _is_followed(thing: Raw) -> bool:
    """Tell whether an object may hold models or tools: the app's own, or a graph library's."""
    kind = _class(thing)
    root = kind.__module__.partition(".")[0]
    return _is(thing, _FOLLOWED) or root in _HOLDERS or _is_app_class(kind)


def _is(thing: object, kinds: type | tuple[type, ...]) -> bool:
    """Tell what an object is, by its real class: asking a lazy one would wake it."""
    return issubclass(type(thing), kinds)


def _class(thing: object) -> type:
    return type(thing)


@lru_cache(maxsize=1024)
def _is_app_class(kind: type) -> bool:
    return is_app(kind.__module__)


def _fields(thing: Raw) -> Iterator[Raw]:
    yield from list(cast("dict[str, Raw]", getattr(thing, "__dict__", None) or {}).values())
    for kind in _class(thing).__mro__:
        slots: Raw = kind.__dict__.get("__slots__", ())
        for slot in (slots,) if isinstance(slots, str) else slots:
            yield getattr(thing, slot, None)


def _methods(kind: type) -> Iterator[Raw]:
    """Yield what the app's classes hold; what a library's class does is its own."""
    for one in kind.__mro__:
        if _is_app_class(one):
            yield from (_bare(held) for held in vars(one).values())


def _bare(held: Raw) -> Raw:
    """Return the function behind what a class wraps it in."""
    if _is(held, (staticmethod, classmethod)):
        return held.__func__
    return held.fget if _is(held, property) else held
