"""Look through the code of a graph's nodes for clock, chance and blocking waits.

A node runs again on every replay, so what it reads must be recorded. The scan reads bytecode
when a worker starts, names the node and the line, and costs nothing afterwards. It follows
functions of the app that a node calls by name; it cannot see into libraries (the run-time
guard watches their files, sockets and threads) or through indirect calls.
"""

import dis
import logging
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from types import CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Literal, cast

from langgraph.pregel import Pregel

from perdure.core.jsons import Raw
from perdure.errors import ImpureNode
from perdure.worker.agents import Agents
from perdure.workflow.bridge import is_available
from perdure.workflow.nodes import terms_of
from perdure.workflow.redirects import MARK

Guard = Literal["error", "warn", "off"]

_MENDS: Mapping[str, str] = {
    "early": "write `import uuid` and `uuid.uuid4()`, which in a run draws from the run's seed",
    "clock": "read it in a tool, or in a run with temporalio.workflow.now()",
    "chance": "draw it in a tool, or in a run with temporalio.workflow.random()",
    "wait": "write `await asyncio.sleep(...)`, which is a durable timer in a run",
    "early wait": "write `import time` and `time.sleep(...)`, which in a run is a durable timer",
}
_FORBIDDEN: Mapping[str, str] = {
    "time.time": "clock",
    "time.time_ns": "clock",
    "time.monotonic": "clock",
    "time.monotonic_ns": "clock",
    "time.perf_counter": "clock",
    "time.perf_counter_ns": "clock",
    "datetime.datetime.now": "clock",
    "datetime.datetime.utcnow": "clock",
    "datetime.datetime.today": "clock",
    "datetime.date.today": "clock",
    "time.sleep": "wait",
    "os.urandom": "chance",
    "uuid.uuid1": "chance",
    "uuid.uuid4": "early",
    **{
        f"random.{name}": "chance"
        for name in (
            "random", "randint", "choice", "choices", "sample", "shuffle", "uniform",
            "randrange", "randbytes", "getrandbits", "gauss", "normalvariate", "expovariate",
        )
    },
    **{
        f"secrets.{name}": "chance"
        for name in ("token_hex", "token_bytes", "token_urlsafe", "choice", "randbelow", "randbits")
    },
}  # fmt: skip

TIMER = "time.sleep, a timer"
log = logging.getLogger("perdure.guard")


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One forbidden call in a node."""

    agent: str
    node: str
    call: str
    file: str
    line: int
    bridged: bool
    """Whether sync code may wait; `time.sleep` is then a timer, when it is the one of `time`."""

    def __str__(self) -> str:
        kind = _FORBIDDEN[self.call]
        mend = _MENDS["early wait" if kind == "wait" and self.bridged else kind]
        harm = "blocks the worker" if kind == "wait" else "gives another answer on replay"
        return (
            f"node {self.node!r} of agent {self.agent!r} calls {self.call}() "
            f"({self.file}:{self.line}), which {harm}: {mend}"
        )


def scan(agents: Agents, *, guard: Guard) -> list[Finding]:
    """Scan every node of every agent. Runs on the worker, when it starts.

    Raises:
        ImpureNode: With `guard="error"`; lists every finding.
    """
    if guard == "off":
        return []
    findings = [f for name in agents.names for f in _findings(agents, name)]
    if findings and guard == "error":
        listed = "\n".join(f"- {finding}" for finding in findings)
        raise ImpureNode(
            f"nodes run inside the workflow and must not read clock or chance:\n{listed}\n"
            "To start all the same: --guard warn, or perdure.Plugin(agents, guard='warn')"
        )
    for finding in findings:
        log.warning("%s", finding)
    return findings


def _findings(agents: Agents, name: str) -> Iterator[Finding]:
    bridged = agents.bridge and is_available()
    yield from scan_graph(name, agents.graph(name), bridged=bridged)


def scan_graph(agent: str, graph: Raw, *, bridged: bool = True) -> Iterator[Finding]:
    """Yield what the nodes and routers of one compiled graph call that they must not."""
    for node, runnable in _runnables(graph):
        seen: set[CodeType] = set()
        for function in _functions(runnable):
            for call, code, line in _calls(function, seen):
                if bridged and call == TIMER:
                    continue
                yield Finding(
                    agent=agent,
                    node=node,
                    call="time.sleep" if call == TIMER else call,
                    file=code.co_filename,
                    line=line,
                    bridged=bridged,
                )


def _runnables(graph: Raw, inside: str = "") -> Iterator[tuple[str, Raw]]:
    """Yield what runs in each node, the nodes of subgraphs and the routers after them too."""
    for node, spec in cast("Mapping[str, Raw]", graph.nodes).items():
        bound = getattr(spec, "bound", None)
        if hasattr(spec, "bound") and terms_of(node, spec, retries=False) is not None:
            continue  # it runs as an activity
        if isinstance(bound, Pregel):
            yield from _runnables(bound, f"{inside}{node}/")
        else:
            yield f"{inside}{node}", bound
    branches = cast("Raw", getattr(getattr(graph, "builder", None), "branches", None))
    for node, routers in cast("Mapping[str, Mapping[str, Raw]]", branches or {}).items():
        for router in routers.values():
            yield f"{inside}{node}", router.path


def _functions(runnable: Raw) -> Iterator[FunctionType]:
    """Yield the app's functions behind a node: LangGraph keeps them on its runnable.

    Decorators such as LangChain's `@before_model` hold them in a function of the library.
    """
    found = [_plain(getattr(runnable, attribute, None)) for attribute in ("func", "afunc")]
    seen: set[FunctionType] = set()
    while found:
        function = found.pop(0)
        if function is None or function in seen:
            continue
        seen.add(function)
        if is_app(function.__module__):
            yield function
        else:
            found += [_plain(_content(cell)) for cell in function.__closure__ or ()]


def _content(cell: CellType) -> Raw:
    try:
        return cell.cell_contents
    except ValueError:  # not filled yet
        return None


def _plain(value: Raw) -> FunctionType | None:
    while isinstance(value, partial):
        value = cast("Raw", value).func
    if isinstance(value, MethodType):
        value = value.__func__
    if not isinstance(value, FunctionType) and callable(value):
        value = type(value).__call__  # an object with __call__
    return value if isinstance(value, FunctionType) else None


def is_app(module: str | None) -> bool:
    """Tell the app's own modules from the standard library and installed packages."""
    module = module or ""
    root = module.partition(".")[0]
    if root in sys.stdlib_module_names or root == "perdure":
        return False
    file = getattr(sys.modules.get(module), "__file__", None) or ""
    paths = sysconfig.get_paths()
    return not any(file.startswith(paths[key]) for key in ("purelib", "platlib"))


def _calls(function: FunctionType, seen: set[CodeType]) -> Iterator[tuple[str, CodeType, int]]:
    for code in _codes(function.__code__):
        if code in seen:
            continue
        seen.add(code)
        for value, path, line in _references(code, function.__globals__):
            name = _name(value, path)
            if name in _FORBIDDEN or name == TIMER:
                yield name, code, line
            helper = _plain(value) if not path else None
            if helper is not None and is_app(helper.__module__):
                yield from _calls(helper, seen)


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _references(
    code: CodeType, names: dict[str, Raw]
) -> Iterator[tuple[Raw, tuple[str, ...], int]]:
    """Yield each global that the code reads, with the attributes read from it at once."""
    value: Raw = None
    path: tuple[str, ...] | None = None
    none: tuple[str, ...] = ()
    line = code.co_firstlineno
    for step in dis.get_instructions(code):
        if step.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            if path is not None:
                yield value, path, line
            value = names.get(str(step.argval))
            path = none
            line = (step.positions and step.positions.lineno) or line
        elif step.opname in ("LOAD_ATTR", "LOAD_METHOD") and path is not None:
            path += (str(step.argval),)
        elif step.opname not in ("CACHE", "PRECALL", "PUSH_NULL", "EXTENDED_ARG"):
            if path is not None:
                yield value, path, line
            path = None


def _name(value: Raw, path: tuple[str, ...]) -> str:
    """Name what is called by where it is defined, however it was imported."""
    for attribute in path:
        owner, value = value, getattr(value, attribute, None)
        if isinstance(owner, type | ModuleType) and not isinstance(value, ModuleType | type):
            root = owner.__name__ if isinstance(owner, ModuleType) else _class_name(owner)
            # Reached through its module, it is the wrapper that the worker put there.
            return {"uuid.uuid4": "", "time.sleep": TIMER}.get(name := f"{root}.{attribute}", name)
    if getattr(value, MARK, False):
        return TIMER
    module, name = getattr(value, "__module__", None), getattr(value, "__name__", None)
    bound = getattr(value, "__self__", None)
    if isinstance(bound, type):
        module = _class_name(bound)  # now = datetime.now
    elif type(bound).__module__ == "random":
        module = "random"
    elif isinstance(bound, ModuleType):
        module = "os" if bound.__name__ in ("posix", "nt") else bound.__name__
    return f"{module}.{name}" if module and name else ""


def _class_name(owner: type) -> str:
    return f"{owner.__module__}.{owner.__qualname__}"
