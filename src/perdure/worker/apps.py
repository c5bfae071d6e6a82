"""Load an app: the user's Python file, module or folder that holds a `perdure.Agents`."""

import importlib
import os
import sys
import traceback
from pathlib import Path
from types import ModuleType

from perdure.errors import AppFailed
from perdure.worker.agents import Agents

_FRAMES = 3
"""How many of the app's own frames an import error shows."""


def load_app(spec: str) -> Agents:
    """Import an app and return its agents.

    `spec` is `file.py`, a folder with an `app.py`, `module` or `module:attribute`. A file in a
    package is imported as part of it, so that its relative imports work. Runs on the worker.

    Raises:
        AppFailed: It is not there, raises while it is imported (the text shows where), or does
            not hold exactly one `perdure.Agents`.
    """
    module_name, folder, attribute = _resolve(spec)
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    module = _import(module_name, spec)
    _check_origin(module, spec)
    return _agents(module, attribute, spec)


def _resolve(spec: str) -> tuple[str, Path, str]:
    """Return the module's name, the folder that it is imported from, and the attribute."""
    path = Path(spec)
    if path.is_dir():
        return _from_file(path / "app.py", spec)
    if spec.endswith(".py"):
        return _from_file(path, spec)
    name, _, attribute = spec.partition(":")
    if name.endswith(".py"):
        return (*_from_file(Path(name), spec)[:2], attribute)
    if not name or os.sep in name or not all(part.isidentifier() for part in name.split(".")):
        raise AppFailed(
            f"there is no app {spec!r}; give a file (app.py), a folder with an app.py, or a "
            "module (package.module:agents)"
        )
    return name, Path.cwd(), attribute


def _from_file(file: Path, spec: str) -> tuple[str, Path, str]:
    if not file.is_file():
        raise AppFailed(f"there is no file {str(file)!r} (for the app {spec!r})")
    name, folder = module_of_file(file, inside=Path(spec).is_dir())
    return name, folder, ""


def module_of_file(file: Path, *, inside: bool = False) -> tuple[str, Path]:
    """Return the module's name of a file, as part of its package, and the folder to import from.

    `inside` makes its own folder a package, with or without an `__init__.py`.

    Raises:
        AppFailed: A name has a dot in it.
    """
    file = file.resolve()
    parts, folder = [file.stem], file.parent
    while inside or (folder / "__init__.py").is_file():
        parts.insert(0, folder.name)
        folder, inside = folder.parent, False
    if dotted := next((part for part in parts if "." in part), None):
        raise AppFailed(
            f"the app {str(file)!r} cannot be imported: {dotted!r} has a dot in its name; rename it"
        )
    return ".".join(parts), folder


def _import(name: str, spec: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        raise AppFailed(explain(error, repr(spec), __file__)) from error


def explain(error: BaseException, what: str, loader: str) -> str:
    """Tell where in the app an import failed; `loader` is the file whose frames do not count."""
    said = "".join(traceback.format_exception_only(error)).strip()
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if "importlib" not in frame.filename and frame.filename not in (loader, __file__)
    ]
    if isinstance(error, ModuleNotFoundError) and not frames:
        return f"the app {what} was not found: {error}"
    lines = "".join(traceback.format_list(frames[-_FRAMES:])).rstrip()
    return f"the app {what} could not be loaded: {said}" + (f"\n{lines}" if lines else "")


def _check_origin(module: ModuleType, spec: str) -> None:
    """Refuse another module that Python found under the name of the app's file."""
    path = Path(spec)
    wanted = path / "app.py" if path.is_dir() else path
    if wanted.suffix != ".py" or module.__file__ is None:
        return
    if Path(module.__file__).resolve() != wanted.resolve():
        raise AppFailed(
            f"the app {spec!r} is named like the module {module.__name__!r} that Python found "
            f"first ({module.__file__}); give the file another name"
        )


def _agents(module: ModuleType, attribute: str, spec: str) -> Agents:
    if attribute:
        found = getattr(module, attribute, None)
        if isinstance(found, Agents):
            return found
        what = "is missing" if found is None else f"is a {type(found).__name__}"
        raise AppFailed(f"{attribute!r} of the app {spec!r} {what}, not a perdure.Agents")
    named = getattr(module, "agents", None)
    if isinstance(named, Agents):
        return named
    held = {name: value for name, value in vars(module).items() if isinstance(value, Agents)}
    distinct = {id(value): value for value in held.values()}
    if len(distinct) == 1:
        return next(iter(distinct.values()))
    if not distinct:
        raise AppFailed(
            f"the app {spec!r} holds no perdure.Agents; write: agents = perdure.Agents() and "
            "register your graphs with @agents.register(name)"
        )
    raise AppFailed(
        f"the app {spec!r} holds several perdure.Agents ({', '.join(held)}); say which: "
        f"{module.__name__}:{next(iter(held))}, or name one `agents`"
    )
