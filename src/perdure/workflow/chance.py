"""Give the libraries that run inside a workflow its clock and its chance.

A middleware that waits with jitter, stamps a file or names a summary reads the machine's clock
and chance, and would get another answer on replay. In the loaded modules of the packages below,
the names that stand for clock and chance are replaced by stand-ins that do nothing outside of a
workflow. Code of the app is left alone: there, the worker's scan tells the author.
"""

import asyncio
import datetime as dt
import importlib
import sys
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Final, cast

from temporalio import workflow

from perdure.core.jsons import Raw

PACKAGES: Final = frozenset({
    "deepagents", "langchain", "langchain_anthropic", "langchain_core", "langchain_mcp_adapters",
    "langchain_openai", "langgraph", "langgraph_supervisor", "langgraph_swarm",
})  # fmt: skip
CLOCKS: Final = ("time", "monotonic", "perf_counter")
DRAWS: Final = (
    "random", "randint", "choice", "choices", "sample", "shuffle", "uniform", "randrange",
    "randbytes", "getrandbits", "gauss", "normalvariate", "expovariate", "triangular",
    "betavariate",
)  # fmt: skip

_LAST_MOMENT = "perdure_last_moment"

Call = Callable[..., Raw]


def install() -> None:
    """Put the stand-ins in place in every module that is loaded by now. Runs on the worker.

    Called again, it mends what was loaded since.
    """
    stand_ins = _stand_ins()
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in PACKAGES:
            _mend(module, stand_ins)


def _mend(module: ModuleType, stand_ins: Mapping[int, Raw]) -> None:
    held = vars(module)
    for name, value in list(held.items()):
        made = stand_ins.get(id(value))
        if made is None and _is_uuid4(value):
            made = uuid.uuid4  # which the worker has wrapped
        if made is not None and made is not value:
            held[name] = made


def _is_uuid4(value: Raw) -> bool:
    return getattr(value, "__name__", "") == "uuid4" and getattr(value, "__module__", "") == "uuid"


def _stand_ins() -> Mapping[int, Raw]:
    """Map what a module may hold to what it shall hold: modules, classes and functions."""
    made: dict[int, Raw] = {}
    for name, functions in (("time", _clock()), ("random", _draws()), ("secrets", _secrets())):
        real = importlib.import_module(name)
        chosen = {key: _either(real, key, inside) for key, inside in functions.items()}
        made[id(real)] = StandIn(real, chosen)
        made |= {id(getattr(real, key)): call for key, call in chosen.items()}
    made[id(dt)] = StandIn(dt, {"datetime": RunDatetime})
    made[id(dt.datetime)] = RunDatetime
    return made


class StandIn:
    """A module, some of whose names are replaced."""

    def __init__(self, real: ModuleType, names: Mapping[str, Raw]) -> None:
        self.__dict__.update(names)
        self.__dict__["__wrapped__"] = real

    def __getattr__(self, name: str) -> Raw:
        return getattr(self.__dict__["__wrapped__"], name)

    def __dir__(self) -> list[str]:
        return dir(self.__dict__["__wrapped__"])


def _either(real: ModuleType, name: str, inside: Call) -> Call:
    def call(*args: Raw, **kwargs: Raw) -> Raw:
        if workflow.in_workflow():
            return inside(*args, **kwargs)
        return getattr(real, name)(*args, **kwargs)

    call.__name__ = call.__qualname__ = name
    return call


def _clock() -> dict[str, Call]:
    """Take each clock from the run's; it stands still within one task."""
    seconds = dict.fromkeys(CLOCKS, cast("Call", workflow.time))
    return {**seconds, **{f"{name}_ns": workflow.time_ns for name in CLOCKS}}


def _draws() -> dict[str, Call]:
    def draw(name: str) -> Call:
        def call(*args: Raw, **kwargs: Raw) -> Raw:
            return getattr(workflow.random(), name)(*args, **kwargs)

        return call

    return {name: draw(name) for name in DRAWS}


def _secrets() -> dict[str, Call]:
    """Draw from the run's own seed, which nobody outside of the run knows."""

    def token_bytes(count: int | None = None) -> bytes:
        return workflow.random().randbytes(32 if count is None else count)

    def token_hex(count: int | None = None) -> str:
        return token_bytes(count).hex()

    def token_urlsafe(count: int | None = None) -> str:
        return urlsafe_b64encode(token_bytes(count)).rstrip(b"=").decode()

    def choice(items: Sequence[Raw]) -> Raw:
        return workflow.random().choice(items)

    def randbelow(bound: int) -> int:
        return workflow.random().randrange(bound)

    def randbits(count: int) -> int:
        return workflow.random().getrandbits(count)

    made = (token_bytes, token_hex, token_urlsafe, choice, randbelow, randbits)
    return {call.__name__: call for call in made}


def _moment() -> int:
    """Return the run's time in microseconds, later with each call.

    A workflow's clock stands still within one task; LangGraph stamps checkpoints with it.
    """
    loop = asyncio.get_running_loop()
    now = max(workflow.time_ns() // 1000, cast("int", getattr(loop, _LAST_MOMENT, 0)) + 1)
    setattr(loop, _LAST_MOMENT, now)
    return now


class _Kind(type):
    """What makes every date a date of the stand-in, too."""

    def __instancecheck__(cls, value: object) -> bool:
        return isinstance(value, dt.datetime)

    def __subclasscheck__(cls, kind: type) -> bool:
        return issubclass(kind, dt.datetime)


class RunDatetime(dt.datetime, metaclass=_Kind):
    """`datetime` whose now is the run's; what it makes are plain dt."""

    def __new__(cls, *args: Raw, **kwargs: Raw) -> dt.datetime:  # type: ignore[misc]
        """Make a plain date."""
        return dt.datetime(*args, **kwargs)  # noqa: DTZ001 - a zone is the caller's to give

    @classmethod
    def now(cls, tz: dt.tzinfo | None = None) -> dt.datetime:  # type: ignore[override]
        """Return the time, of the run if inside one."""
        if workflow.in_workflow():
            return dt.datetime.fromtimestamp(_moment() / 1e6, tz)
        return dt.datetime.now(tz)

    @classmethod
    def today(cls) -> dt.datetime:  # type: ignore[override]
        """Return the local time."""
        return cls.now()

    @classmethod
    def utcnow(cls) -> dt.datetime:  # type: ignore[override]
        """Return the time in UTC, without a zone."""
        return cls.now(dt.UTC).replace(tzinfo=None)

    @classmethod
    def __get_pydantic_core_schema__(cls, _: Raw, handler: Call) -> Raw:
        return handler(dt.datetime)
