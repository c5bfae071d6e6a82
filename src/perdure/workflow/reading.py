"""Read the code of a tool: where it should run, and what of its runtime it looks at.

Only functions, their globals and what they close over are looked at, at the first call; nothing
is run. The answer depends on the app's code alone, so a replay gets the same one.
"""

import builtins
import dis
from collections.abc import Iterator, Sequence
from functools import partial
from types import CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import cast

from langchain_core.language_models import BaseLanguageModel
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool
from langgraph.prebuilt import ToolRuntime
from langgraph.pregel import Pregel
from langgraph.types import interrupt

from perdure.core.adapters import adapted
from perdure.core.jsons import Raw

RUNTIME_PARTS = frozenset(ToolRuntime.__dataclass_fields__)
_MARKS = ("perdure_name", "perdure_declared", "declared")
_SILENT = ("CACHE", "PRECALL", "PUSH_NULL", "EXTENDED_ARG")
_HARMLESS = frozenset({"langchain_core", "langgraph", "langchain", "typing", "typing_extensions",
                       "json", "dataclasses", "pydantic", "enum", "perdure"})  # fmt: skip


def runs_in_workflow(tool: BaseTool, *, intercepted: bool) -> bool:
    """Tell whether a tool's body belongs in the workflow, so that its own calls are durable.

    It does if it uses a graph, a chain, or a model or tool of `perdure`; a plain chat model
    counts where those are `intercepted`. A tool that only asks a person, by `interrupt()`, is at
    home there too; with anything else beside it, it runs as an activity and asks from there.
    """
    functions = list(_functions(tool))
    values = [*_fields(tool), *_used(functions, depth=1)]
    if any(_is_durable(value, intercepted=intercepted) for value in values):
        return True
    return any(value is interrupt for value in values) and all(_is_harmless(v) for v in values)


def read_from(tool: BaseTool | None, argument: str) -> frozenset[str]:
    """Return the parts of its runtime that a tool reads; all, where that cannot be told."""
    made = adapted(tool)
    if made is not None and made.bare:
        return frozenset()  # the adapters hand it to interceptors only
    parts: set[str] = set()
    functions = [] if tool is None else list(_functions(tool))
    if not functions:
        return RUNTIME_PARTS
    for function in functions:
        found = _attributes(function.__code__, argument)
        if found is None:
            return RUNTIME_PARTS
        parts |= found
    return frozenset(parts)


def _functions(tool: BaseTool) -> Iterator[FunctionType]:
    given = [getattr(tool, name, None) for name in ("coroutine", "func")]
    if not any(given):
        given = [
            method
            for name in ("_arun", "_run")
            if (method := _own(type(tool), name)) is not getattr(BaseTool, name)
        ]
    for one in given:
        function = _plain(one)
        if function is not None:
            yield function


def _own(kind: type, name: str) -> Raw:
    """Return a method of the app's class, beneath that of its twin."""
    found = [vars(k)[name] for k in kind.__mro__ if name in vars(k)]
    return next(f for f in found if getattr(f, "__module__", None) != "perdure.workflow.tool")


def _fields(tool: BaseTool) -> list[Raw]:
    """List what a class-based tool holds; a StructuredTool holds its function and schema."""
    return [v for n, v in vars(tool).items() if n not in ("func", "coroutine", "args_schema")]


def _plain(value: Raw) -> FunctionType | None:
    while isinstance(value, partial):
        value = cast("Raw", value).func
    if isinstance(value, MethodType):
        value = value.__func__
    return value if isinstance(value, FunctionType) else None


def _used(functions: Sequence[FunctionType], *, depth: int) -> Iterator[Raw]:
    for function in functions:
        values = list(_referenced(function))
        yield from values
        near = _root(function)
        helpers = [f for value in values if (f := _plain(value)) and _root(f) == near]
        if depth and helpers:
            yield from _used(helpers, depth=depth - 1)


def _root(function: FunctionType) -> str:
    """Name the package of a function: helpers are looked into, libraries are not."""
    return (function.__module__ or "").partition(".")[0]


def _referenced(function: FunctionType) -> Iterator[Raw]:
    names = function.__globals__
    for cell in function.__closure__ or ():
        if (held := _content(cell)) is not None:
            yield held
    for code in _codes(function.__code__):
        value: Raw = None
        for step in dis.get_instructions(code):
            if step.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
                name = str(step.argval)
                value = names.get(name, getattr(builtins, name, None))
                yield value
            elif step.opname in ("LOAD_ATTR", "LOAD_METHOD") and value is not None:
                value = _member(value, str(step.argval))
                if value is not None:
                    yield value
            elif step.opname not in _SILENT:
                value = None


def _member(owner: Raw, name: str) -> Raw:
    """Look an attribute up without running the app's code."""
    if isinstance(owner, ModuleType | type):
        return cast("dict[str, Raw]", vars(cast("Raw", owner))).get(name)
    return cast("dict[str, Raw]", getattr(owner, "__dict__", {})).get(name)


def _content(cell: CellType) -> Raw:
    try:
        return cell.cell_contents
    except ValueError:  # not filled yet
        return None


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _is_durable(value: Raw, *, intercepted: bool) -> bool:
    if isinstance(value, Pregel):
        return intercepted or not _holds_plain_model(cast("Pregel[Raw, Raw, Raw, Raw]", value))
    if isinstance(value, BaseLanguageModel | BaseTool):
        part = cast("Raw", value)
        marked = any(hasattr(part, mark) for mark in _MARKS)
        return marked or (intercepted and isinstance(part, BaseLanguageModel))
    if isinstance(value, Runnable):
        return any(
            _is_durable(part, intercepted=intercepted) for part in _parts(cast("Raw", value))
        )
    return False


def _parts(chain: Raw) -> list[Raw]:
    """List what a chain is made of: a sequence, a parallel, a binding."""
    steps = cast("Sequence[Raw]", getattr(chain, "steps", None) or ())
    beside = cast("dict[str, Raw]", getattr(chain, "steps__", None) or {})
    return [*steps, *beside.values(), getattr(chain, "bound", None)]


def _holds_plain_model(graph: Pregel[Raw, Raw, Raw, Raw]) -> bool:
    """Tell whether a node closes over a model that would call its provider by itself."""
    for node in graph.nodes.values():
        bound = cast("Raw", node).bound
        for name in ("func", "afunc"):
            function = _plain(getattr(bound, name, None))
            for value in [] if function is None else list(_referenced(function)):
                is_model = isinstance(value, BaseLanguageModel)
                if is_model and not any(hasattr(value, mark) for mark in _MARKS):
                    return True
    return False


def _is_harmless(value: Raw) -> bool:
    """Tell whether a tool that uses this still touches nothing outside."""
    if value is interrupt or isinstance(value, str | int | float | bool | tuple | type(None)):
        return True
    owner = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
    if owner == "builtins" or owner is None:
        return value not in (open, print, input, exec, eval)
    if str(owner).partition(".")[0] in _HARMLESS:
        return not isinstance(value, BaseTool)
    return isinstance(value, type) or _plain(value) is not None


def _attributes(code: CodeType, argument: str) -> set[str] | None:
    """List what is read of an argument; None if it goes anywhere as a whole."""
    if argument in code.co_cellvars:
        return None
    found: set[str] = set()
    held = False
    for step in dis.get_instructions(code):
        if step.opname in _SILENT:
            continue
        if held:
            if step.opname not in ("LOAD_ATTR", "LOAD_METHOD") or step.argval not in RUNTIME_PARTS:
                return None
            found.add(str(step.argval))
            held = False
        elif "_FAST" in step.opname:
            # Newer Pythons load, or store, two variables in one step.
            names = cast(
                "tuple[Raw, ...]", step.argval if type(step.argval) is tuple else (step.argval,)
            )
            held = step.opname.startswith("LOAD_FAST") and names[-1] == argument
            if argument in (names[:-1] if held else names):
                return None
    return None if held else found
