"""Tell where the file tools of a deep agent keep their files: in the run, or in the world."""

from collections.abc import Mapping
from typing import Final, cast

from perdure.core.jsons import Raw

AT_HOME: Final = frozenset({"deepagents.backends.state", "deepagents.backends.store"})
"""Backends that go through LangGraph: the state of the run, and its Store."""
COMPOSITE: Final = "deepagents.backends.composite"


def reaches_out(function: Raw) -> bool:
    """Tell whether a tool function of deepagents works on files outside of the graph.

    Its functions hold their middleware, and that its backend. A backend of the app's own is
    taken for one that does I/O.
    """
    cells = cast("tuple[Raw, ...]", getattr(function, "__closure__", None) or ())
    held = [getattr(cell.cell_contents, "backend", None) for cell in cells if _is_filled(cell)]
    return any(backend is not None and not _is_home(backend) for backend in held)


def _is_filled(cell: Raw) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:  # the name has no value yet
        return False


def _is_home(backend: Raw) -> bool:
    modules = {kind.__module__ for kind in type(backend).__mro__}
    if COMPOSITE in modules:
        routes = cast("Mapping[str, Raw]", backend.routes)
        return all(_is_home(one) for one in (backend.default, *routes.values()))
    return bool(modules & AT_HOME) or not hasattr(backend, "read")
