"""Read `langgraph.json`, the file by which LangGraph's own tools find a project's graphs.

Reading loads no code of the project; `perdure.worker.adopt` does that.
"""

import json
import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import cast

from packaging.requirements import InvalidRequirement, Requirement

from perdure.core.jsons import Json, JsonObject, shorten
from perdure.errors import AppFailed
from perdure.worker.dotenv import read_dotenv

FILE = "langgraph.json"
_USED = frozenset({"graphs", "env", "dependencies", "store", "python_version", "$schema"})
_IGNORED: Mapping[str, str] = {
    "checkpointer": "the run's own history keeps the checkpoints",
    "auth": "Perdure has no server of its own to guard",
    "http": "Perdure serves no HTTP of its own",
    "ui": "Temporal's Web UI and `perdure show` show runs",
    "ui_config": "Temporal's Web UI and `perdure show` show runs",
    "webhooks": "Perdure calls no webhooks",
    "node_version": "only Python graphs can run",
    "encryption": "Perdure does not load encryption handlers",
    **dict.fromkeys(
        (
            "dockerfile_lines", "base_image", "image_distro", "pip_config_file", "pip_installer",
            "keep_pkg_tools", "api_version", "docker_compose_file", "building_context",
            "disable_meta", "_INTERNAL_docker_tag", "source",
        ),
        "it is about images, and Perdure builds none",
    ),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class GraphSpec:
    """Where one graph is: a file or a module, and the name in it."""

    name: str
    place: str
    variable: str


@dataclass(frozen=True, kw_only=True)
class IndexSpec:
    """What search by meaning needs."""

    embed: GraphSpec | str
    """What makes vectors of texts: a function in a file, or `provider:model`."""
    dims: int
    fields: tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class StoreSpec:
    """What the file says of long-term memory."""

    path: GraphSpec | None = None
    """A function or an object that gives the store; without it, the worker's own is used."""
    index: IndexSpec | None = None
    ttl: Mapping[str, float | bool] = field(default_factory=dict[str, "float | bool"])
    """As LangGraph's stores take it; times are minutes."""


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a `langgraph.json` says, as far as it means something here."""

    file: Path
    graphs: tuple[GraphSpec, ...]
    env: Mapping[str, str]
    folders: tuple[Path, ...]
    store: StoreSpec
    warnings: tuple[str, ...]
    """What is in the file and has no effect here."""

    @property
    def folder(self) -> Path:
        """The project's folder; relative paths start there."""
        return self.file.parent


def find_manifest(folder: Path) -> Path | None:
    """Return the `langgraph.json` of a folder, if it has one."""
    file = folder / FILE
    return file if file.is_file() else None


def read_manifest(file: Path, *, around: Mapping[str, str]) -> Manifest:
    """Read a `langgraph.json`; `around` is the environment, which its `env` may refer to.

    Raises:
        AppFailed: It cannot be read, or a value is wrong; names file, key and value.
    """
    file = file.resolve()
    data = _load(file)
    graphs = data.get("graphs")
    if not isinstance(graphs, dict) or not graphs:
        raise _wrong(file, "graphs", graphs, 'name them: {"agent": "./agent.py:graph"}')
    store, warned = _store(file, data.get("store"))
    return Manifest(
        file=file,
        graphs=tuple(_graph(file, name, value) for name, value in graphs.items()),
        env=_env(file, data.get("env"), around),
        folders=_dependencies(file, data.get("dependencies")),
        store=store,
        warnings=(*_warnings(file, data), *warned),
    )


def _load(file: Path) -> JsonObject:
    try:
        data = cast("Json", json.loads(file.read_text("utf-8")))
    except OSError as error:
        raise AppFailed(f"{file} cannot be read: {error}") from error
    except ValueError as error:
        raise AppFailed(f"{file} is no JSON: {error}") from error
    if not isinstance(data, dict):
        raise AppFailed(f"{file} must hold a JSON object, got {shorten(repr(data), 60)}")
    return data


def _graph(file: Path, name: str, value: Json) -> GraphSpec:
    path = value.get("path") if isinstance(value, dict) else value
    key = f"graphs.{name}"
    if not isinstance(path, str):
        raise _wrong(file, key, value, "write ./file.py:variable or module:variable")
    return _spec(file, key, name, path)


def _spec(file: Path, key: str, name: str, path: str) -> GraphSpec:
    place, _, variable = path.rpartition(":")
    if not place or not variable.isidentifier():
        raise _wrong(file, key, path, "write ./file.py:variable or module:variable")
    if re.search(r"\.[cm]?[jt]sx?$", place):
        raise _wrong(file, key, path, "only Python graphs can run")
    if place.endswith(".py") or "/" in place:
        found = file.parent / place
        if not found.is_file():
            raise _wrong(file, key, path, f"there is no file {found}")
        return GraphSpec(name=name, place=str(found.resolve()), variable=variable)
    if not all(part.isidentifier() for part in place.split(".")):
        raise _wrong(file, key, path, f"{place!r} is neither a file (.py) nor a module")
    return GraphSpec(name=name, place=place, variable=variable)


def _env(file: Path, value: Json, around: Mapping[str, str]) -> Mapping[str, str]:
    if value is None or value == "":
        return {}
    if isinstance(value, dict):
        odd = [name for name, one in value.items() if isinstance(one, dict | list | None)]
        if odd:
            raise AppFailed(f"{file}: env.{odd[0]} must be text")
        return {name: _written(one) for name, one in value.items()}
    if not isinstance(value, str):
        raise AppFailed(f"{file}: env must be the path of a file or an object of texts")
    found = file.parent / value
    try:
        text = found.read_text("utf-8")
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise _wrong(file, "env", value, f"{found} cannot be read: {why}") from error
    return read_dotenv(text, what=str(found), around=around)


def _written(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _dependencies(file: Path, value: Json) -> tuple[Path, ...]:
    if value is None:
        return (file.parent,)
    if not isinstance(value, list):
        raise _wrong(file, "dependencies", value, 'write a list: ["."]')
    folders = [file.parent]
    for number, one in enumerate(value):
        key = f"dependencies[{number}]"
        if not isinstance(one, str) or not one:
            raise _wrong(file, key, one, "write a folder or a package")
        if one.startswith(".") or "/" in one.partition("@")[0]:
            folder = (file.parent / one).resolve()
            if not folder.is_dir():
                raise _wrong(file, key, one, f"there is no folder {folder}")
            if folder not in folders:
                folders.append(folder)
        else:
            _check_package(file, key, one)
    return tuple(folders)


def _check_package(file: Path, key: str, wanted: str) -> None:
    """Make sure that a package is there; nothing is installed."""
    try:
        needed = Requirement(wanted)
    except InvalidRequirement as error:
        raise _wrong(file, key, wanted, f"it is neither a folder nor a package: {error}") from error
    if needed.marker is not None and not needed.marker.evaluate():
        return
    try:
        mine = version(needed.name)
    except PackageNotFoundError as error:
        mend = f"the package is not installed: pip install '{wanted}'"
        raise _wrong(file, key, wanted, mend) from error
    if not needed.specifier.contains(mine, prereleases=True):
        raise _wrong(file, key, wanted, f"{mine} is installed: pip install '{wanted}'")


def _store(file: Path, value: Json) -> tuple[StoreSpec, tuple[str, ...]]:
    if value is None:
        return StoreSpec(), ()
    if not isinstance(value, dict):
        raise _wrong(file, "store", value, 'write an object: {"path": "./store.py:make_store"}')
    path, index, ttl = (value.get(key) for key in ("path", "index", "ttl"))
    unknown = sorted(value.keys() - {"path", "index", "ttl"})
    warned = [
        f"{file.name}: store.{key} has no effect: Perdure does not know it" for key in unknown
    ]
    if path is not None:
        if not isinstance(path, str):
            raise _wrong(file, "store.path", path, "write ./file.py:variable or module:variable")
        warned += [
            f"{file.name}: store.{key} has no effect: the store of store.path has its own"
            for key in ("index", "ttl")
            if value.get(key) is not None
        ]
        return StoreSpec(path=_spec(file, "store.path", "store", path)), tuple(warned)
    return StoreSpec(index=_index(file, index), ttl=_ttl(file, ttl)), tuple(warned)


def _index(file: Path, index: Json) -> IndexSpec | None:
    if index is None:
        return None
    if not isinstance(index, dict):
        raise _wrong(file, "store.index", index, 'write an object: {"embed": ..., "dims": 1536}')
    embed, dims, fields = (index.get(key) for key in ("embed", "dims", "fields"))
    key = "store.index.embed"
    if not isinstance(embed, str) or ":" not in embed:
        raise _wrong(file, key, embed, "write ./file.py:function or provider:model")
    if not isinstance(dims, int) or isinstance(dims, bool) or dims < 1:
        raise _wrong(file, "store.index.dims", dims, "write the length of a vector, such as 1536")
    listed = fields if isinstance(fields, list) else []
    names = tuple(one for one in listed if isinstance(one, str))
    if fields is not None and (not names or len(names) != len(listed)):
        raise _wrong(file, "store.index.fields", fields, 'write a list of names: ["text"]')
    in_file = ".py:" in embed  # LangGraph's own rule
    made_by = _spec(file, key, "embed", embed) if in_file else embed
    return IndexSpec(embed=made_by, dims=dims, fields=names or None)


def _ttl(file: Path, ttl: Json) -> Mapping[str, float | bool]:
    if ttl is None:
        return {}
    if not isinstance(ttl, dict):
        raise _wrong(file, "store.ttl", ttl, 'write an object: {"default_ttl": 60}')
    known: dict[str, float | bool] = {}
    for key, value in ttl.items():
        name = f"store.ttl.{key}"
        if key == "refresh_on_read":
            if not isinstance(value, bool):
                raise _wrong(file, name, value, "write true or false")
            known[key] = value
        elif key not in ("default_ttl", "sweep_interval_minutes"):
            raise _wrong(file, name, value, "LangGraph knows no such key")
        elif value is not None:
            if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
                raise _wrong(file, name, value, "write minutes, more than 0")
            known[key] = value
    return known


def _warnings(file: Path, data: JsonObject) -> tuple[str, ...]:
    told = [
        f"{file.name}: {key} has no effect: {_IGNORED.get(key, 'Perdure does not know it')}"
        for key, value in data.items()
        if key not in _USED and value not in (None, {}, [])
    ]
    wanted = data.get("python_version")
    mine = ".".join(platform.python_version_tuple()[:2])
    if isinstance(wanted, str) and not re.match(rf"{re.escape(mine)}(\.|$)", wanted):
        told.append(f"{file.name}: python_version is {wanted}, and this is Python {mine}")
    return tuple(told)


def _wrong(file: Path, key: str, value: Json, mend: str) -> AppFailed:
    return AppFailed(f"{file}: {key} is {shorten(json.dumps(value), 80)}: {mend}")
