"""Options that several commands share, and what they become."""

from dataclasses import dataclass
from typing import Annotated

import typer

from perdure.core.names import TASK_QUEUE

_SERVER = "Server"

Address = Annotated[
    str | None,
    typer.Option(
        "--address",
        metavar="HOST:PORT",
        help="Temporal's server. \\[env: TEMPORAL_ADDRESS] \\[default: 127.0.0.1:7233]",
        rich_help_panel=_SERVER,
    ),
]
Namespace = Annotated[
    str | None,
    typer.Option(
        "--namespace",
        help="Temporal's namespace. \\[env: TEMPORAL_NAMESPACE] \\[default: default]",
        rich_help_panel=_SERVER,
    ),
]
Profile = Annotated[
    str | None,
    typer.Option(
        "--profile",
        help="Profile of Temporal's configuration file. \\[env: TEMPORAL_PROFILE]",
        rich_help_panel=_SERVER,
    ),
]
TaskQueue = Annotated[
    str, typer.Option("--task-queue", help="Where the workers listen.", rich_help_panel=_SERVER)
]
AsJson = Annotated[bool, typer.Option("--json", help="Write JSON on standard output.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Say more, also in errors.")]
RunId = Annotated[
    str,
    typer.Argument(metavar="RUN", help="A run id, or the beginning of one.", show_default=False),
]
QuestionId = Annotated[
    str | None,
    typer.Option("--question", "-q", help="Which question, if several are open."),
]
By = Annotated[str | None, typer.Option("--by", help="Who decides.  \\[default: your login name]")]
App = Annotated[
    str,
    typer.Argument(
        metavar="APP",
        help="A file (app.py), a folder with an app.py, or a module (package.module:agents).",
        show_default=False,
    ),
]

DEFAULT_QUEUE = TASK_QUEUE


@dataclass(frozen=True, kw_only=True)
class Where:
    """The server that a command talks to, as the command line says."""

    address: str | None
    namespace: str | None
    profile: str | None
