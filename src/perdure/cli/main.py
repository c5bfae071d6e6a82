"""The command `perdure`: finds the file of a subcommand and loads only that one."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from typing import Annotated, cast

import typer
from typer.core import TyperCommand, TyperGroup

from perdure.core.jsons import Raw


@dataclass(frozen=True, kw_only=True)
class Door:
    """Where a subcommand is, and what the list of commands says about it."""

    module: str
    help: str
    panel: str


_MAKE, _SEE, _DECIDE, _CLEAN = "Run agents", "Look", "Decide", "Clean up"
COMMANDS: Mapping[str, Door] = {
    "demo": Door(module="demo", help="See it work in one minute, without a key.", panel=_MAKE),
    "dev": Door(module="dev", help="Temporal, its UI and a worker on one machine.", panel=_MAKE),
    "worker": Door(module="worker", help="Run an app's agents.", panel=_MAKE),
    "run": Door(module="run", help="Start a run and follow it.", panel=_MAKE),
    "chat": Door(module="chat", help="Talk with an agent.", panel=_MAKE),
    "cancel": Door(module="cancel", help="Ask a run to end.", panel=_MAKE),
    "ls": Door(module="ls", help="List runs.", panel=_SEE),
    "show": Door(module="show", help="The time line of a run.", panel=_SEE),
    "watch": Door(module="watch", help="Follow a run until it ends.", panel=_SEE),
    "doctor": Door(module="doctor", help="Check server, worker and settings.", panel=_SEE),
    "codec": Door(module="codec", help="Let Temporal's UI read values.", panel=_SEE),
    "approvals": Door(module="approvals", help="What waits for a person.", panel=_DECIDE),
    "approve": Door(module="approve", help="Say yes.", panel=_DECIDE),
    "reject": Door(module="reject", help="Say no, with a reason.", panel=_DECIDE),
    "edit": Door(module="edit", help="Say yes with changed arguments.", panel=_DECIDE),
    "respond": Door(module="respond", help="Answer instead of the tool.", panel=_DECIDE),
    "rm": Door(module="rm", help="Delete a run.", panel=_CLEAN),
    "gc": Door(module="gc", help="Remove large values that no run needs.", panel=_CLEAN),
}


class _Closed(TyperCommand):
    """Stands for a command in the list of commands; becomes the real one when it is used."""

    def make_context(self, info_name: str | None, args: list[str], *rest: Raw, **more: Raw) -> Raw:
        return load(str(self.name)).make_context(info_name, args, *rest, **more)


class _Doors(TyperGroup):
    def list_commands(self, ctx: Raw) -> list[str]:
        del ctx
        return [name for name, door in COMMANDS.items() if find_spec(_path(door))]

    def get_command(self, ctx: Raw, cmd_name: str) -> TyperCommand | None:
        door = COMMANDS.get(cmd_name)
        if door is None or cmd_name not in self.list_commands(ctx):
            return None
        return _Closed(name=cmd_name, help=door.help, rich_help_panel=door.panel)


def load(name: str) -> TyperCommand:
    """Import the file of a command, and only that."""
    door = COMMANDS[name]
    command = import_module(_path(door)).command
    single = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    settings = {"allow_extra_args": False, "help_option_names": ["-h", "--help"]}
    single.command(name=name, help=command.__doc__, context_settings=settings)(command)
    return cast("TyperCommand", typer.main.get_command(single))


def _path(door: Door) -> str:
    return f"perdure.cli.{door.module}"


app = typer.Typer(
    cls=_Doors,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"perdure {version('perdure')}")
        raise typer.Exit


@app.callback()
def root(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """LangGraph agents that finish, on Temporal.

    Exit codes: 0 done, 1 error, 2 wrong usage, 3 the run failed, 4 it waits for a person.
    """
    del version


def main() -> None:
    """Run the command line."""
    app(prog_name="perdure")
