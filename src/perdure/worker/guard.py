"""Watch workflow code at run time for files, sockets, processes and threads.

Python reports those to audit hooks. The hook acts only while workflow code runs, and only
for calls that the app makes, directly or through a library; imports, tracebacks and logging
may read files.
"""

import inspect
import logging
import sys
import sysconfig
from types import FrameType
from typing import Final

from langchain_core.runnables.config import var_child_runnable_config
from temporalio import workflow

from perdure.core.jsons import Raw
from perdure.errors import ImpureNode

WATCHED: Final = frozenset({
    "open", "os.listdir", "os.scandir", "os.remove", "os.rename", "os.mkdir",
    "socket.connect", "socket.bind", "socket.getaddrinfo", "socket.sendto",
    "subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork",
    "sqlite3.connect", "urllib.Request", "_thread.start_new_thread", "time.sleep",
})  # fmt: skip
_QUIET = frozenset({
    "importlib", "linecache", "tokenize", "traceback", "logging", "warnings", "inspect",
    "zipimport",
})  # fmt: skip
_TRUSTED = frozenset({
    "perdure", "temporalio", "langgraph", "langchain", "langchain_core", "langsmith", "pydantic",
    "opentelemetry", "jsonschema", "referencing", "jsonschema_specifications",
})  # fmt: skip
"""Libraries whose own file accesses are data files of theirs, read once."""
_WORLDLY = frozenset({
    "deepagents.backends.context_hub", "deepagents.backends.filesystem",
    "deepagents.backends.local_shell", "langchain_anthropic.middleware.anthropic_tools",
})  # fmt: skip
"""Modules of libraries that read and write the user's files, or start processes."""
_MIDDLEWARE = "langchain.agents.middleware."
"""LangChain's own middleware: its shell and its file search do the same."""

log = logging.getLogger("perdure.guard")
_state = {"installed": False, "warn_only": False}


def install(*, warn_only: bool = False) -> None:
    """Start watching, once per process; an audit hook cannot be taken out again."""
    _state["warn_only"] = warn_only
    if not _state["installed"]:
        _state["installed"] = True
        sys.addaudithook(_hook)


def _hook(event: str, args: tuple[Raw, ...]) -> None:
    if event not in WATCHED or not workflow.in_workflow():
        return
    if event == "open" and args and isinstance(args[0], int):
        return  # a file that is open already
    here = inspect.currentframe()
    culprit = _culprit(here.f_back if here else None)
    if culprit is None:
        return
    node = _node()
    text = (
        f"{node} did {event}({', '.join(repr(a)[:80] for a in args[:2])}) at "
        f"{culprit.f_code.co_filename}:{culprit.f_lineno}. Nodes run inside the workflow and "
        "again on every replay; do I/O in a tool: perdure.tool(...)"
    )
    if _state["warn_only"]:
        log.warning("%s", text)
        return
    raise ImpureNode(text)


def _culprit(frame: FrameType | None) -> FrameType | None:
    """Return the frame to blame: the app's, or that of a library that means it; None if nobody."""
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        if module in _WORLDLY or module.startswith(_MIDDLEWARE):
            return frame
        root = module.partition(".")[0].lstrip("_")
        if root in _QUIET or module.startswith("_frozen"):
            return None
        if root in _TRUSTED or module == "asyncio" or module.startswith("asyncio."):
            return None
        if _is_app(frame):
            return frame
        frame = frame.f_back
    return None


def _is_app(frame: FrameType) -> bool:
    file = frame.f_code.co_filename
    if file.startswith("<frozen"):
        return False
    paths = sysconfig.get_paths()
    return not any(file.startswith(paths[key]) for key in ("stdlib", "purelib", "platlib"))


def _node() -> str:
    config = var_child_runnable_config.get()
    name = ((config or {}).get("metadata") or {}).get("langgraph_node")
    return f"node {name!r}" if name else "workflow code"
