"""Values keep their Python types: between nodes, across node activities, in the result."""

import operator
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from fractions import Fraction
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
from langchain_core.documents import Document
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from pydantic import BaseModel
from typing_extensions import TypedDict

from conformance.case import Kit, Plan, case
from conformance.cases._states import line
from conformance.telling import tell

AREA = "Values"


class Colour(Enum):
    RED = "red"


class Level(IntEnum):
    HIGH = 3


class Mood(StrEnum):
    GLAD = "glad"


@dataclass
class Point:
    x: int
    of: tuple[int, ...] = ()


class Shape(BaseModel):
    side: int
    at: date | None = None


class Pair(NamedTuple):
    left: int
    right: str


class Values(TypedDict, total=False):
    seen: Annotated[list[Any], operator.add]
    value: Any


TYPES: tuple[type, ...] = (Colour, Level, Mood, Point, Shape, Pair)
MADE: dict[str, tuple[str, Callable[[], Any]]] = {
    "datetime": ("datetime with UTC", lambda: datetime(2024, 1, 2, 3, 4, tzinfo=UTC)),
    "datetime_naive": ("datetime without a zone", lambda: datetime(2024, 1, 2)),  # noqa: DTZ001
    "datetime_zone": (
        "datetime with a named zone",
        lambda: datetime(2024, 7, 2, tzinfo=ZoneInfo("Europe/Berlin")),
    ),
    "date": ("date", lambda: date(2024, 1, 2)),
    "time": ("time", lambda: time(3, 4, 5)),
    "timedelta": ("timedelta", lambda: timedelta(days=2, microseconds=3)),
    "set": ("set", lambda: {1, 2, "a"}),
    "frozenset": ("frozenset", lambda: frozenset({1})),
    "tuple": ("tuple", lambda: (1, "a", (2,))),
    "enum": ("enum", lambda: [Colour.RED, Level.HIGH, Mood.GLAD]),
    "bytes": ("bytes", lambda: b"\x00\xff"),
    "uuid": ("UUID", lambda: UUID(int=5)),
    "decimal": ("Decimal", lambda: Decimal("1.10")),
    "fraction": ("Fraction", lambda: Fraction(1, 3)),
    "path": ("Path", lambda: [PurePosixPath("/a/b"), Path("c")]),
    "complex": ("complex", lambda: 1 + 2j),
    "numpy_scalar": ("numpy scalars", lambda: [np.int64(3), np.float64(1.5), np.bool_(True)]),
    "numpy_array": ("numpy array", lambda: np.array([[1.5, 2.0], [3.0, 4.0]])),
    "numpy_text": ("numpy array of texts", lambda: np.array(["a", "bc"])),
    "dataclass": ("dataclass", lambda: Point(3, (1, 2))),
    "pydantic": ("pydantic model", lambda: Shape(side=1, at=date(2024, 1, 2))),
    "namedtuple": ("NamedTuple", lambda: Pair(1, "b")),
    "document": ("document", lambda: Document("text", metadata={"page": 1}, id="d")),
    "messages": (
        "messages",
        lambda: [
            HumanMessage("a", id="1"), AIMessage("b", id="2"), SystemMessage("c", id="3"),
            ToolMessage("d", tool_call_id="t", artifact={"n": (1,)}, id="4"),
        ],
    ),
    "int_keys": ("dict with int and tuple keys", lambda: {1: "a", (2, 3): "b"}),
    "nan": ("NaN and infinity", lambda: [float("nan"), float("inf"), float("-inf")]),
    "big_int": ("whole numbers beyond 64 bits", lambda: [2**70, -(2**70)]),
    "none": ("None", lambda: [None]),
    "collections": (
        "deque, OrderedDict, Counter, defaultdict",
        lambda: [
            deque([1, 2], maxlen=3), OrderedDict(b=1, a=2), Counter("aab"),
            defaultdict(list, {"a": [1]}),
        ],
    ),
    "range": ("range", lambda: range(1, 9, 2)),
    "exception": ("an exception as a value", lambda: ValueError("kept", 1)),
    "nested": (
        "nested: sets in tuples in dicts in lists",
        lambda: [{"at": datetime(2024, 1, 1, tzinfo=UTC), "of": ({1}, [Point(1)])}],
    ),
    "dollar": ("a dict with the key $", lambda: {"$": "human", "content": 1}),
    "unicode": ("texts with emoji and zero bytes", lambda: "ä🙂\x00"),
}  # fmt: skip


BEYOND = ("fraction", "path", "complex", "numpy_scalar", "big_int", "range")
"""What LangGraph's own savers refuse; it is compared with a run that has none."""


def between(make: Callable[[], Any], *, activity: bool, saved: bool) -> Callable[[Kit], Plan]:
    def build(kit: Kit) -> Plan:
        def write(state: Values) -> Any:
            return {"value": make(), "seen": [str(tell(make()))]}

        def read(state: Values) -> Any:
            return {"seen": [str(tell(state["value"]))]}

        def keep(state: Values) -> Any:
            return {"value": state["value"], "seen": [str(tell(state["value"]))]}

        if activity:
            middle = kit.node(keep)
            graph = line(write, schema=Values)
            graph.add_node("keep", middle).add_node("read", read)
            graph.add_edge("write", "keep").add_edge("keep", "read")
        else:
            graph = line(write, read, schema=Values)
        return Plan(graph=graph, input={"seen": []}, types=TYPES, state=False, checkpoints=saved)

    return build


for _id, (_name, _make) in MADE.items():
    _saved = _id not in BEYOND
    _caveat = None if _saved else "LangGraph's own savers refuse it"
    case(
        f"value_{_id}",
        area=AREA,
        feature=f"{_name}: between nodes and in the result",
        caveat=_caveat,
    )(between(_make, activity=False, saved=_saved))
    case(
        f"value_activity_{_id}",
        area=AREA,
        feature=f"{_name}: into and out of a node activity",
        caveat=_caveat,
    )(between(_make, activity=True, saved=_saved))


class Hue(Enum):
    BLUE = "blue"


class Box(BaseModel):
    side: int


@dataclass
class Place:
    name: str
    box: Box | None = None


class Found(TypedDict, total=False):
    seen: Annotated[list[Any], operator.add]
    hue: Hue
    place: Place


@case("value_found_types", area=AREA, feature="types that the state names need no registration")
def value_found_types(kit: Kit) -> Plan:
    def write(state: Found) -> Any:
        return {"hue": Hue.BLUE, "place": Place("x", Box(side=1))}

    def read(state: Found) -> Any:
        return {"seen": [state["place"].box is not None]}

    return Plan(graph=line(write, read, schema=Found), input={"seen": []})


def latest(left: datetime, right: datetime) -> datetime:
    return max(left, right, datetime(1970, 1, 1, tzinfo=UTC)) if left else right


class Latest(TypedDict):
    at: Annotated[datetime, latest]


@case("value_reducer_datetime", area=AREA, feature="a reducer that compares dates")
def value_reducer_datetime(kit: Kit) -> Plan:
    def write(state: Latest) -> Any:
        return {"at": datetime(2025, 1, 1, tzinfo=UTC)}

    return Plan(graph=line(write, schema=Latest), input={"at": datetime(2024, 1, 1, tzinfo=UTC)})
