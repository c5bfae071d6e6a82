"""Find the app that a command works with. The one place that fills the environment."""

import os
from pathlib import Path
from typing import Annotated

import typer

from perdure.cli.output import err
from perdure.errors import BadInput
from perdure.worker.agents import Agents
from perdure.worker.manifest import FILE, find_manifest
from perdure.worker.projects import open_app

Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        help=f"A {FILE} to work with.  \\[default: the one of this folder]",
        show_default=False,
    ),
]


def choose_app(app: str | None, config: Path | None) -> str | None:
    """Return what to load: the app, the config, or the `langgraph.json` of this folder.

    Raises:
        BadInput: Both were given.
    """
    if app is not None and config is not None:
        raise BadInput(f"give an app ({app}) or --config {config}, not both")
    if config is not None:
        return str(config / FILE if config.is_dir() else config)
    if app is not None:
        return app
    found = find_manifest(Path.cwd())
    return None if found is None else str(found)


def need_app(app: str | None, config: Path | None) -> str:
    """Return what to load.

    Raises:
        BadInput: Nothing was given, and this folder has no `langgraph.json`.
    """
    chosen = choose_app(app, config)
    if chosen is None:
        raise BadInput(
            f"no app was given and this folder has no {FILE}; give a file (app.py), a folder "
            "or a module"
        )
    return chosen


def load_project(spec: str) -> Agents:
    """Load an app or a `langgraph.json` and build its graphs; says what has no effect.

    Raises:
        AppFailed: It cannot be loaded.
        NotAGraph: One of its graphs is none.
    """
    agents, warnings = open_app(spec, environment=os.environ)
    for warning in warnings:
        err(f"warning: {warning}")
    agents.build()
    return agents
