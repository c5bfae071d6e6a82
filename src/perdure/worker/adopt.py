"""Load the graphs of a `langgraph.json` as agents: the project's code stays as it is."""

import asyncio
import importlib.util
import inspect
import sys
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from pathlib import Path
from types import ModuleType
from typing import cast

from langgraph.graph.state import StateGraph
from langgraph.pregel import Pregel
from langgraph.runtime import Runtime
from langgraph.store.base import ensure_embeddings

from perdure.core.jsons import Raw, shorten
from perdure.errors import AppFailed, NotAGraph
from perdure.worker.agents import Agents
from perdure.worker.apps import explain, module_of_file
from perdure.worker.manifest import GraphSpec, Manifest


def adopt(manifest: Manifest) -> Agents:
    """Register every graph of a project; its models and tools are intercepted. Worker side.

    The environment of the manifest must be in place.

    Raises:
        AppFailed: A module does not load, or lacks the variable.
    """
    for folder in manifest.folders:
        if str(folder) not in sys.path:
            sys.path.append(str(folder))
    told = manifest.store
    store = None if told.path is None else _find(manifest, "store.path", told.path)
    agents = Agents(store=store, intercept=True)
    agents.places.change(index=_index(manifest), ttl=told.ttl or None, offered=True)
    for spec in manifest.graphs:
        made = _find(manifest, f"graphs.{spec.name}", spec)
        agents.register(spec.name)(_builder(manifest, spec, made))
    return agents


def _index(manifest: Manifest) -> Raw:
    """Return what a store needs for search by meaning, as LangGraph's stores take it."""
    told = manifest.store.index
    if told is None:
        return None
    embed: Raw = told.embed
    if isinstance(embed, GraphSpec):
        embed = _find(manifest, "store.index.embed", embed)
    try:
        embed = ensure_embeddings(embed)
    except (ImportError, ValueError) as error:
        raise AppFailed(
            f"{manifest.file}: store.index.embed: {shorten(str(error), 300)}"
        ) from error
    index: dict[str, Raw] = {"embed": embed, "dims": told.dims}
    return index if told.fields is None else {**index, "fields": list(told.fields)}


def _find(manifest: Manifest, key: str, spec: GraphSpec) -> Raw:
    module = _module(manifest, key, spec)
    found = getattr(module, spec.variable, None)
    if found is None:
        raise AppFailed(
            f"{manifest.file}: {key}: {spec.place} has no {spec.variable!r}; {_graphs(module)}"
        )
    return found


def _graphs(module: ModuleType) -> str:
    names = [n for n, v in vars(module).items() if isinstance(v, Pregel | StateGraph)]
    return f"it has {', '.join(names)}" if names else "it has no graph"


def _module(manifest: Manifest, key: str, spec: GraphSpec) -> ModuleType:
    try:
        if not spec.place.endswith(".py"):
            return importlib.import_module(spec.place)
        file = Path(spec.place)
        name, folder = module_of_file(file)
        if str(folder) not in sys.path:
            sys.path.append(str(folder))
        held = sys.modules.get(name)
        if held is None and not _is_taken(name, file):
            return importlib.import_module(name)
        if held is not None and _is_file(held, file):
            return held
        return _import_alone(file, manifest.folder)
    except (Exception, SystemExit) as error:
        spec_text = f"{key} of {manifest.file}"
        raise AppFailed(explain(error, spec_text, __file__)) from error


def _is_taken(name: str, file: Path) -> bool:
    """Tell whether Python finds another module under the name of the file."""
    try:
        found = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return False
    return found is not None and Path(found.origin or "").resolve() != file


def _is_file(module: ModuleType, file: Path) -> bool:
    return module.__file__ is not None and Path(module.__file__).resolve() == file


def _import_alone(file: Path, folder: Path) -> ModuleType:
    """Import a file under a name made of its path, as its own name is another module's."""
    inside = file.relative_to(folder) if file.is_relative_to(folder) else Path(file.name)
    name = "_".join(("langgraph_json", *inside.with_suffix("").parts)).replace("-", "_")
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is no Python file")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _builder(manifest: Manifest, spec: GraphSpec, found: Raw) -> Callable[[], Raw]:
    """Return what builds the graph; a factory is called once, when the worker starts."""
    if isinstance(found, Pregel | StateGraph) or not callable(found):
        return lambda: cast("Raw", found)
    where = f"{manifest.file}: graphs.{spec.name}: {spec.variable}()"

    def build() -> Raw:
        made = found(*_arguments(cast("Callable[..., Raw]", found), where))
        if isinstance(made, AbstractAsyncContextManager | AbstractContextManager):
            raise NotAGraph(
                f"{where} is a context manager, and a graph is shared by all runs of a worker: "
                "return the graph, and open what it needs in a tool or in a node"
            )
        return _awaited(made) if inspect.isawaitable(made) else made

    return build


def _arguments(factory: Callable[..., Raw], where: str) -> list[Raw]:
    """Give a factory what it asks for: a config, a runtime, both or nothing."""
    given: list[Raw] = []
    for parameter in inspect.signature(factory).parameters.values():
        if parameter.default is not parameter.empty or parameter.kind in (
            parameter.VAR_POSITIONAL,
            parameter.VAR_KEYWORD,
        ):
            continue
        told = f"{parameter.name} {parameter.annotation}".lower()
        if "runtime" in told:
            given.append(Runtime())
        elif "config" in told or not given:
            given.append({"configurable": {}})
        else:
            raise NotAGraph(
                f"{where} asks for {shorten(str(parameter))}; a factory takes nothing, a config "
                "or a runtime"
            )
    return given


def _awaited(made: Awaitable[Raw]) -> Raw:
    """Wait for an async factory; the caller's own loop may be running, so on another thread."""

    async def wait() -> Raw:
        return await made

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, wait()).result()
