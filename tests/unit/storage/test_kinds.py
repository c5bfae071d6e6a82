import json
import re
from collections import Counter, OrderedDict, defaultdict, deque
from datetime import datetime, timedelta, timezone
from fractions import Fraction
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from langchain_core.prompt_values import StringPromptValue
from langgraph.store.base import Item
from langgraph.types import Overwrite

from perdure.errors import Unserializable
from perdure.storage.values import ValueCodec


class Pair(NamedTuple):
    left: int
    right: str


NIGHT = datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"), fold=1)
VALUES: list[Any] = [
    NIGHT,
    NIGHT.replace(fold=0),
    timezone.utc,  # noqa: UP017 - the kind is what is tested
    timezone(timedelta(hours=-3)),
    ZoneInfo("UTC"),
    Fraction(1, 3),
    range(1, 10, 3),
    bytearray(b"x"),
    re.compile("a+", re.IGNORECASE),
    re.compile(b"a"),
    deque([1, (2,)], maxlen=4),
    deque(["a"]),
    OrderedDict(b=1, a={1}),
    Counter("abca"),
    defaultdict(list, {1: [2]}),
    defaultdict(None, {"a": 1}),
    PurePosixPath("/a"),
    Path("b/c"),
    PureWindowsPath("C:/x"),
    ValueError("x", (1, 2)),
    Overwrite([1]),
    StringPromptValue(text="x"),
    Item(value={"a": 1}, key="k", namespace=("a",), created_at=NIGHT, updated_at=NIGHT),
    np.float64(1.5),
    np.int8(3),
    np.bool_(True),
    np.str_("ä"),
    np.str_(""),
    np.bytes_(b"x"),
    np.complex64(1j),
    np.datetime64("2024-01-01"),
]
ARRAYS: list[Any] = [
    np.array([[1, 2], [3, 4]]),
    np.array([]),
    np.array(["a", "bcd"]),
    np.zeros((0, 3)),
    np.array(5.0),
    np.asfortranarray([[1, 2, 3], [4, 5, 6]]),
    np.array([1, 2], dtype=">i2"),
]


def there_and_back(value: Any) -> Any:
    return ValueCodec().decode(json.loads(json.dumps(ValueCodec().encode(value, what="it"))))


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_value_comes_back_with_its_type(value: Any) -> None:
    back = there_and_back(value)
    assert (type(back), repr(back)) == (type(value), repr(value))


@pytest.mark.parametrize("value", ARRAYS, ids=repr)
def test_an_array_comes_back_with_its_shape_and_type(value: Any) -> None:
    back = there_and_back(value)
    assert (back.dtype, back.shape, back.tolist()) == (value.dtype, value.shape, value.tolist())


def test_an_array_that_came_back_may_be_changed() -> None:
    back = there_and_back(np.array([1, 2]))
    back[0] = 9
    assert back.tolist() == [9, 2]


def test_a_registered_named_tuple_comes_back_as_one() -> None:
    codec = ValueCodec([Pair])
    assert codec.decode(codec.encode(Pair(1, "a"), what="it")) == Pair(1, "a")
    assert type(codec.decode(codec.encode(Pair(1, "a"), what="it"))) is Pair


def test_another_named_tuple_becomes_a_plain_one() -> None:
    assert type(there_and_back(Pair(1, "a"))) is tuple


@pytest.mark.parametrize(
    "value", [np.array([object()]), np.array([(1, 2)], dtype="i4,i4"), np.ma.array([1])]
)
def test_an_array_that_is_more_than_bytes_is_refused(value: Any) -> None:
    with pytest.raises(Unserializable, match="numpy"):
        ValueCodec().encode(value, what="it")


CRAFTED: list[Any] = [
    {"$": "ndarray", "dtype": "O", "shape": [1], "v": "AAAAAAAAAAA="},
    {"$": "ndarray", "dtype": "<i8", "shape": [-1, -1], "v": "AAAAAAAAAAA="},
    {"$": "ndarray", "dtype": "<i8", "shape": [9], "v": "AAAAAAAAAAA="},
    {"$": "ndarray", "dtype": "<U0", "shape": [9], "v": 5},
    {"$": "zone", "v": "../../etc/passwd"},
    {"$": "range", "v": ["a"]},
    {"$": "defaultdict", "makes": "eval", "v": []},
    {"$": "exception", "type": "os:system", "v": {"args": ["x"]}},
    {"$": "exception", "type": "builtins:eval", "v": {"args": ["x"]}},
    {"$": "path", "v": 5},
    {"$": "fraction", "v": "a"},
    {"$": "pattern", "v": "("},
]


@pytest.mark.parametrize("data", CRAFTED, ids=repr)
def test_a_crafted_value_is_refused(data: Any) -> None:
    with pytest.raises(Unserializable):
        ValueCodec().decode(data)


def test_what_was_learned_later_is_read_back() -> None:
    codec = ValueCodec()
    codec.learn([Pair])
    assert type(codec.decode(codec.encode(Pair(1, "a"), what="it"))) is Pair
