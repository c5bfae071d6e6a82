"""Find the app's own types in what its graphs say about their states. Runs on the worker.

A dataclass or pydantic model that a state, a context or a tool names may travel without being
registered by hand. The set is closed when the worker starts; a payload adds nothing to it.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import is_dataclass
from enum import Enum
from functools import partial
from typing import cast, get_args, get_type_hints

from langchain_core.messages import BaseMessage
from langchain_core.tools import BaseTool
from langgraph.pregel import Pregel
from pydantic import BaseModel

from perdure.core.jsons import Raw

_DEEPEST = 12
_LIBRARIES = ("langgraph", "langchain", "langchain_core", "pydantic", "pydantic_core", "builtins")


def types_of(graph: Raw) -> list[type]:
    """List the types that a graph names, in the order of naming."""
    finder = _Finder()
    finder.add_graph(graph)
    return list(finder.found)


class _Finder:
    """Walks annotations; each is looked at once."""

    def __init__(self) -> None:
        self.found: dict[type, None] = {}
        self._seen: set[int] = set()
        self._kept: list[Raw] = []
        """What was looked at stays alive, so that no other object gets its number."""

    def add_graph(self, graph: Raw, depth: int = 0) -> None:
        """Look at the schemas, the nodes and the sub-graphs of a graph."""
        if depth > _DEEPEST or not self._is_new(graph):
            return
        builder = getattr(graph, "builder", None)
        schemas: Iterable[Raw] = cast("Raw", getattr(builder, "schemas", None)) or ()
        for schema in schemas:
            self.add(schema)
        for holder in (builder, graph):
            self.add(getattr(holder, "context_schema", None))
        channels: dict[str, Raw] = getattr(graph, "channels", None) or {}
        for channel in channels.values():
            self.add(getattr(channel, "typ", None))
        nodes: dict[str, Raw] = getattr(graph, "nodes", None) or {}
        for name, node in nodes.items():
            if name != "__start__":
                self._add_part(getattr(node, "bound", None), depth)

    def _add_part(self, part: Raw, depth: int) -> None:
        """Look at what a node is made of: functions, tools, chains, graphs."""
        if isinstance(part, Pregel):
            self.add_graph(cast("Raw", part), depth + 1)
            return
        if depth > _DEEPEST or not self._is_new(part):
            return
        if isinstance(part, BaseTool):
            self.add(part.args_schema)
        for name in ("func", "afunc", "coroutine"):
            if callable(function := getattr(part, name, None)):
                self.add_function(function, depth)
        for inner in _steps(part):
            self._add_part(inner, depth + 1)

    def add_function(self, function: Callable[..., Raw], depth: int = 0) -> None:
        """Look at the arguments and the result of a function, and at what it calls by name."""
        while isinstance(function, partial):
            function = function.func
        if not self._is_new(function):
            return
        for annotation in _hints(function).values():
            self.add(annotation)
        for cell in getattr(function, "__closure__", None) or ():
            try:
                held = cell.cell_contents
            except ValueError:  # not filled yet
                continue
            # Its type, not isinstance: a lazy object would be woken by the question.
            if issubclass(type(held), Pregel | BaseTool):
                self._add_part(held, depth + 1)

    def add(self, annotation: Raw, depth: int = 0) -> None:
        """Look at an annotation, what it is made of and the fields of what it names."""
        if annotation is None or depth > _DEEPEST or not self._is_new(annotation):
            return
        for part in get_args(annotation):
            self.add(part, depth + 1)
        if not isinstance(annotation, type) or _is_library(annotation):
            return
        kind = cast("type[Raw]", annotation)
        if _travels(kind):
            self.found.setdefault(kind)
        if not issubclass(kind, Enum):
            for field in _hints(kind).values():
                self.add(field, depth + 1)

    def _is_new(self, value: Raw) -> bool:
        if id(value) in self._seen:
            return False
        self._seen.add(id(value))
        self._kept.append(value)
        return True


def _steps(part: Raw) -> Iterator[Raw]:
    """List what a runnable is made of."""
    middle: Iterable[Raw] = getattr(part, "middle", None) or ()
    yield from middle
    for name in ("first", "last", "bound", "default", "runnable"):
        held: Raw = getattr(part, name, None)
        if held is not None:
            yield held
    for name in ("steps__", "tools_by_name"):
        named: Raw = getattr(part, name, None)
        if isinstance(named, dict):
            yield from cast("dict[str, Raw]", named).values()


def _travels(kind: type[Raw]) -> bool:
    if issubclass(kind, BaseMessage):
        return False
    if is_dataclass(kind) or issubclass(kind, Enum | BaseModel | Exception):
        return True
    return tuple in kind.__mro__ and hasattr(kind, "_fields")


def _is_library(kind: type) -> bool:
    return kind.__module__.split(".")[0] in _LIBRARIES


def _hints(holder: Raw) -> dict[str, Raw]:
    """Read annotations; what names something that cannot be found has none."""
    try:
        return get_type_hints(holder, include_extras=True)
    except Exception:  # noqa: BLE001 - annotations are code of the app, and may fail as such
        return {}
