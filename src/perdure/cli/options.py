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
    str | None,
    typer.Argument(
        metavar="[APP]",
        help="A file (app.py), a folder, or a module (package.module:agents).  "
        "\\[default: the langgraph.json of this folder]",
        show_default=False,
    ),
]
StreamTo = Annotated[
    str | None,
    typer.Option(
        "--stream",
        metavar="URL",
        help="Where tokens go while runs are under way: sqlite:PATH, or off. "
        "\\[env: PERDURE_STREAM] \\[default: stream.db in the data folder .perdure]",
    ),
]
StreamFrom = Annotated[
    str | None,
    typer.Option(
        "--stream-from",
        metavar="URL",
        help="Where the workers send tokens. \\[env: PERDURE_STREAM] "
        "\\[default: sqlite:.perdure/stream.db]",
    ),
]

_KEEP = "Memory and threads"
Store = Annotated[
    str | None,
    typer.Option(
        "--store",
        metavar="URL",
        help="Long-term memory: sqlite:///file or postgresql://...  \\[default: in --data]",
        rich_help_panel=_KEEP,
    ),
]
Threads = Annotated[
    str | None,
    typer.Option(
        "--threads",
        metavar="URL",
        help="Threads: sqlite:///file or postgresql://...  \\[default: in --data]",
        rich_help_panel=_KEEP,
    ),
]
Blobs = Annotated[
    str | None,
    typer.Option(
        "--blobs",
        metavar="URL",
        help="Where large values rest: file:///folder, s3://bucket/prefix or postgresql://... "
        "\\[env: PERDURE_BLOBS] \\[default: file:.perdure/blobs]",
        rich_help_panel=_KEEP,
    ),
]
Grace = Annotated[
    str,
    typer.Option(
        "--grace",
        metavar="TIME",
        help="Leave what is younger: 90s, 30m, 1h, 2d. A value is stored before its run "
        "refers to it.",
    ),
]
Also = Annotated[
    list[str] | None,
    typer.Option(
        "--also",
        metavar="NAMESPACE",
        help="Another namespace whose runs use the same store; may be repeated.",
    ),
]
DEFAULT_GRACE = "1h"

Context = Annotated[
    str | None,
    typer.Option(metavar="JSON", help="What a graph with a context_schema gets, or @file."),
]
Config = Annotated[
    str | None,
    typer.Option(
        metavar="JSON",
        help="LangGraph's config: configurable, tags, metadata, recursion_limit; or @file.",
    ),
]

DEFAULT_QUEUE = TASK_QUEUE


@dataclass(frozen=True, kw_only=True)
class Where:
    """The server that a command talks to, as the command line says."""

    address: str | None
    namespace: str | None
    profile: str | None
