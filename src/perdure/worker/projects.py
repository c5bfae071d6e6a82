"""Open what a command was given: an app of Perdure's, or a project with a `langgraph.json`."""

from collections.abc import MutableMapping
from pathlib import Path

from perdure.worker.adopt import adopt
from perdure.worker.agents import Agents
from perdure.worker.apps import load_app
from perdure.worker.manifest import find_manifest, read_manifest


def open_app(spec: str, *, environment: MutableMapping[str, str]) -> tuple[Agents, tuple[str, ...]]:
    """Load an app; returns its agents and what a person should be told.

    `spec` is what `load_app` takes, a `langgraph.json`, or a folder that has one (an `app.py`
    beside it goes first). The `env` of a `langgraph.json` is put into `environment`, where what
    is set already stays. Runs on the worker.

    Raises:
        AppFailed: It is not there, or cannot be loaded.
    """
    file = manifest_of(spec)
    if file is None:
        return load_app(spec), ()
    manifest = read_manifest(file, around=environment)
    for name, value in manifest.env.items():
        environment.setdefault(name, value)
    return adopt(manifest), manifest.warnings


def manifest_of(spec: str) -> Path | None:
    """Return the `langgraph.json` that a spec means, or None if it means an app."""
    path = Path(spec)
    if path.suffix == ".json":
        return path
    if path.is_dir() and not (path / "app.py").is_file():
        return find_manifest(path)
    return None
