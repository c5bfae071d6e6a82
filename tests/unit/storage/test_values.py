import json
import math
from collections import OrderedDict
from dataclasses import dataclass, field, fields
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from pathlib import PurePosixPath
from typing import NamedTuple
from uuid import UUID

import pytest
from langchain_core.documents import Document
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    ChatMessage,
    ChatMessageChunk,
    FunctionMessage,
    FunctionMessageChunk,
    HumanMessage,
    HumanMessageChunk,
    RemoveMessage,
    SystemMessage,
    SystemMessageChunk,
    ToolMessage,
    ToolMessageChunk,
)
from langgraph.types import Command, Interrupt, Send
from pydantic import BaseModel, Field, RootModel, SecretStr, field_validator

from perdure.errors import Unserializable
from perdure.storage.values import MESSAGES, ValueCodec, type_name


class Colour(Enum):
    RED = "red"


class Size(IntEnum):
    BIG = 3


class Mood(StrEnum):
    GLAD = "glad"


@dataclass(frozen=True)
class Point:
    x: int
    y: tuple[int, ...] = ()


@dataclass
class Sum:
    parts: list[int]
    total: int = field(init=False)

    def __post_init__(self) -> None:
        self.total = sum(self.parts)


class Order(BaseModel):
    number: int = Field(alias="orderNumber")
    at: datetime
    point: Point | None = None


class Open(BaseModel, extra="allow"):
    a: int


class Pair(NamedTuple):
    a: int
    b: int


class Names(RootModel[list[str]]):
    pass


class Picky(BaseModel):
    a: int

    @field_validator("a")
    @classmethod
    def small(cls, value: int) -> int:
        if value > 9:
            raise ValueError("too large")
        return value


class Explosive:
    """Must never be made by a payload."""

    def __init__(self, **_: object) -> None:
        raise AssertionError("made by a payload")


TYPES = (Colour, Size, Mood, Point, Sum, Order, Open, Names, Picky)


def over_the_wire(value: object, *, codec: ValueCodec | None = None) -> object:
    """Encode, carry as JSON text, decode."""
    codec = codec or ValueCodec(TYPES)
    text = json.dumps(codec.encode(value, what="it"), allow_nan=False)
    return codec.decode(json.loads(text))


PLAIN = [
    None, True, False, 0, -1, 1.5, -0.0, 1e308, 2**53 + 1, 2**64, -(2**200), "", "a",
    "\x00", "\ud800", "ß中\U0001f600", "$", [], [[], [None]], {}, {"a": {"b": [1]}},
    {"": 1}, {"\x00": "\udfff"},
]  # fmt: skip


@pytest.mark.parametrize("value", PLAIN, ids=ascii)
def test_json_survives(value):
    assert over_the_wire(value) == value


@pytest.mark.parametrize("value", PLAIN, ids=ascii)
def test_json_is_written_as_it_is(value):
    assert ValueCodec().encode(value, what="it") == value


@pytest.mark.parametrize(
    "value",
    [
        (),
        (1, (2, [3, (4,)])),
        {"a": (1,)},
        set(),
        {1, 2},
        frozenset({"a"}),
        {(1, 2): "a"},
        {1: "a", "1": "b"},
        {None: 1, True: 2},
        {"$": 1},
        {"$": "tuple", "v": [1]},
        {"a": {"$": {"$": None}}},
        {"$": "object", "type": "os:system"},
        [{"$": "human", "content": "x"}],
        {frozenset({1}): {2}},
        b"\x00\xff",
        b"",
        math.inf,
        -math.inf,
        [math.inf, {"a": -math.inf}],
        datetime(2026, 1, 31, 12, 30, 1, 5),  # noqa: DTZ001 - such values exist
        datetime(2026, 1, 31, tzinfo=UTC),
        datetime(2026, 1, 31, tzinfo=timezone(timedelta(hours=-9, minutes=-30))),
        date(2026, 1, 31),
        time(12, 30, tzinfo=UTC),
        timedelta(days=-3, microseconds=7),
        timedelta.max,
        timedelta.min,
        UUID(int=7),
        Decimal("1.10"),
        Decimal("Infinity"),
        1 + 2j,
        PurePosixPath("/a/b"),
        Colour.RED,
        Size.BIG,
        Mood.GLAD,
        {Colour.RED: Size.BIG},
        Point(1, (2, 3)),
        Sum([1, 2]),
        Open(a=1, b=(2,)),
        Names(["ann"]),
        Order(orderNumber=7, at=datetime(2026, 1, 31, tzinfo=UTC), point=Point(1)),
        Document("text", id="d", metadata={"at": (1,)}),
        Command(),
        Command(update={"messages": [HumanMessage("x")]}, goto=[Send("a", {"b": (1,)}), "c"]),
        Command(graph=Command.PARENT, resume={"i": 1}),
        Command(update=[("a", 1)], goto="b"),
        Send("node", Point(1)),
        Interrupt(value={"ask": (1,)}, id="i"),
    ],
    ids=lambda v: f"{type(v).__name__} {v!r}"[:50],
)
def test_a_python_value_survives(value):
    back = over_the_wire(value)

    assert (type(back), back) == (type(value), value)


def test_not_a_number_survives():
    assert math.isnan(over_the_wire(math.nan))


def test_not_a_number_in_a_model_reply_survives():
    message = AIMessage("x", response_metadata={"score": math.nan})

    assert math.isnan(over_the_wire(message).response_metadata["score"])


def test_equal_sets_are_written_alike():
    one, other = {"a", "b", ("c",), 1, None}, {None, 1, ("c",), "b", "a"}

    assert ValueCodec().encode(one, what="") == ValueCodec().encode(other, what="")


@pytest.mark.parametrize(
    ("value", "back"),
    [
        (OrderedDict(a=1), {"a": 1}),
        (Pair(1, 2), (1, 2)),
        (type("Text", (str,), {})("x"), "x"),
        (type("Count", (int,), {})(5), 5),
    ],
    ids=["dict", "tuple", "str", "int"],
)
def test_a_subclass_comes_back_as_its_base(value, back):
    assert over_the_wire(value) == back


MESSAGE_VALUES = [
    HumanMessage("x"),
    HumanMessageChunk("x"),
    SystemMessageChunk("x"),
    ChatMessageChunk("x", role="r"),
    FunctionMessageChunk("x", name="f"),
    ToolMessageChunk("x", tool_call_id="c"),
    HumanMessage("", id="h1", name="ann"),
    HumanMessage("x", example=True),
    HumanMessage(
        [
            {"type": "text", "text": "what is this?"},
            {"type": "image", "base64": "aGk=", "mime_type": "image/png"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}},
            {"type": "audio", "id": "f1", "extras": {"$": "human", "raw": b"\x00"}},
            {"type": "non_standard", "value": {"at": (1, 2)}},
        ]
    ),
    HumanMessage(["a", {"type": "text", "text": "b"}]),
    SystemMessage("s", additional_kwargs={"cache": {"$": 1}}),
    AIMessage("x", custom="extra"),
    AIMessage(
        [{"type": "thinking", "thinking": "hm", "signature": "s"}, {"type": "text", "text": "a"}],
        id="a1",
        tool_calls=[
            {"name": "refund", "args": {"$": [1], "deep": {"$": "x"}}, "id": "c1"},
            {"name": "search", "args": {}, "id": None},
        ],
        invalid_tool_calls=[{"name": "t", "args": '{"a', "id": "c2", "error": "cut"}],
        usage_metadata={
            "input_tokens": 1,
            "output_tokens": 2,
            "total_tokens": 3,
            "input_token_details": {"cache_read": 1},
        },
        response_metadata={"stop_reason": "end_turn", "at": datetime(2026, 1, 1, tzinfo=UTC)},
    ),
    AIMessageChunk(
        "x",
        tool_call_chunks=[{"name": "t", "args": '{"a": 1}', "id": "c", "index": 0}],
        chunk_position="last",
    ),
    ToolMessage("x", tool_call_id="c1"),
    ToolMessage("x", tool_call_id="c1", status="error", name="refund"),
    ToolMessage("x", tool_call_id="c1", artifact={"rows": [Point(1), b"\x00", (1,)]}),
    ToolMessage("x", tool_call_id="c1", artifact=Open(a=1)),
    ToolMessage([{"type": "text", "text": "a"}], tool_call_id="c1"),
    FunctionMessage("x", name="f"),
    ChatMessage("x", role="judge"),
    RemoveMessage(id="a1"),
]


@pytest.mark.parametrize("message", MESSAGE_VALUES, ids=lambda m: f"{type(m).__name__} {m!r}"[:50])
def test_a_message_survives(message):
    back = over_the_wire(message)

    assert (type(back), back) == (type(message), message)


def test_every_kind_of_message_is_tried_here():
    assert {type(message) for message in MESSAGE_VALUES} == set(MESSAGES.values())


def test_what_a_message_does_not_say_is_not_written():
    assert ValueCodec().encode(HumanMessage("x"), what="") == {"$": "human", "content": "x"}


def test_a_message_is_a_new_object_each_time():
    codec = ValueCodec()
    data = codec.encode(HumanMessage(["a"]), what="")

    assert codec.decode(data) is not codec.decode(data)


@pytest.mark.parametrize(
    ("kind", "known"),
    [
        (Command, {"graph", "update", "resume", "goto"}),
        (Send, {"node", "arg", "timeout"}),
        (Interrupt, {"value", "id", "response_schema"}),
    ],
    ids=lambda v: getattr(v, "__name__", ""),
)
def test_langgraph_has_no_field_that_the_table_was_not_written_for(kind, known):
    """`timeout` and `response_schema` never cross: both belong to the loop in the workflow."""
    names = getattr(kind, "__slots__", None) or [f.name for f in fields(kind)]

    assert set(names) == known


# What cannot be written


@pytest.mark.parametrize(
    ("value", "place"),
    [
        (object(), "it is a builtins:object"),
        ({"a": [1, object()]}, r"it\.a\[1\] is a builtins:object"),
        (lambda: 1, "it is a builtins:function"),
        (open, "it is a "),
        (Point, "it is a builtins:type"),
        (Explosive.__new__(Explosive), "Explosive"),
        (SecretStr("hunter2"), "SecretStr"),
        (BaseException("x"), "it is a builtins:BaseException"),
        ((n for n in ()), "generator"),
        (HumanMessage([{"type": "x", "raw": object()}]), r"it\.content\[0\]\.raw"),
        (ToolMessage("x", tool_call_id="c", artifact=object()), r"it\.artifact"),
        (BaseMessage(content="x", type="mystery"), "it is a .*BaseMessage"),
        (10**5000, "it is a whole number of 16610 bits"),
    ],
    ids=lambda v: f"{type(v).__name__}"[:40] if not isinstance(v, str) else v,
)
def test_a_value_without_a_json_form_is_refused_with_its_place(value, place):
    with pytest.raises(Unserializable, match=place):
        ValueCodec().encode(value, what="it")


def test_a_refusal_does_not_show_a_secret():
    with pytest.raises(Unserializable) as caught:
        ValueCodec().encode({"key": SecretStr("hunter2")}, what="it")

    assert "hunter2" not in str(caught.value)


def test_a_list_that_contains_itself_is_refused():
    loop: list[object] = []
    loop.append(loop)

    with pytest.raises(Unserializable, match="contains itself"):
        ValueCodec().encode(loop, what="it")


def nested(depth: int) -> object:
    value: object = 1
    for _ in range(depth):
        value = [value]
    return value


def test_a_value_nested_too_deeply_is_refused_when_written():
    with pytest.raises(Unserializable, match="too deeply"):
        ValueCodec().encode(nested(5000), what="it")


def test_a_value_nested_too_deeply_is_refused_when_read():
    with pytest.raises(Unserializable, match="too deeply"):
        ValueCodec().decode(nested(5000))


def test_a_hundred_levels_are_fine():
    assert over_the_wire(nested(100)) == nested(100)


# What must not be read


def test_an_unregistered_type_is_refused_with_the_mend():
    data = ValueCodec().encode(Point(1), what="it")

    with pytest.raises(Unserializable, match=r"perdure\.Agents\(types=\[Point\]\)"):
        ValueCodec().decode(data)


@pytest.mark.parametrize(
    "name",
    ["os:system", "builtins:eval", "subprocess:Popen", type_name(Explosive), "", "x", None, 5, []],
    ids=str,
)
@pytest.mark.parametrize("tag", ["object", "enum"])
def test_a_class_path_is_never_followed(tag, name):
    with pytest.raises(Unserializable, match="not registered"):
        ValueCodec(TYPES).decode({"$": tag, "type": name, "v": {"command": "true"}})


@pytest.mark.parametrize(
    "data",
    [
        {"$": "os.system", "v": "true"},
        {"$": "HumanMessage", "content": "x"},
        {"$": "constructor", "id": ["langchain", "schema"]},
        {"$": None},
        {"$": 5},
        {"$": ["tuple"], "v": []},
        {"$": {}, "v": []},
        {"$": ""},
        {"$": "human", "content": 5},
        {"$": "human", "type": "ai", "content": "x"},
        {"$": "human", "content": {"$": "bogus"}},
        {"$": "tool", "content": "x"},
        {"$": "ai", "tool_calls": "all"},
        {"$": "remove", "content": "x", "id": "1"},
        {"$": "tuple"},
        {"$": "tuple", "v": None},
        {"$": "tuple", "v": 5},
        {"$": "set", "v": [[1]]},
        {"$": "frozenset", "v": [{}]},
        {"$": "dict", "v": 5},
        {"$": "dict", "v": [[1]]},
        {"$": "dict", "v": [[1, 2, 3]]},
        {"$": "dict", "v": [[[], 1]]},
        {"$": "bytes", "v": 5},
        {"$": "bytes", "v": "@@@"},
        {"$": "bytes", "v": "a"},
        {"$": "datetime", "v": "soon"},
        {"$": "date", "v": None},
        {"$": "time", "v": "25:00"},
        {"$": "timedelta", "v": "1"},
        {"$": "timedelta", "v": "99999999999,0,0"},
        {"$": "uuid", "v": "zz"},
        {"$": "decimal", "v": "ten"},
        {"$": "float", "v": "ten"},
        {"$": "complex", "v": {}},
        {"$": "path", "v": 5},
        {"$": "Send"},
        {"$": "Send", "node": "a", "arg": 1, "hook": 1},
        {"$": "Command", "run": "true"},
        {"$": "Document", "page_content": 5},
        {"$": "enum", "type": type_name(Colour), "v": "green"},
        {"$": "object", "type": type_name(Point), "v": 5},
        {"$": "object", "type": type_name(Point), "v": {"z": 1}},
        {"$": "object", "type": type_name(Point)},
        {"$": "object", "type": type_name(Picky), "v": {"a": 10}},
        {"$": "object", "type": type_name(Names), "v": {}},
    ],
    ids=lambda data: str(data)[:60],
)
def test_a_crafted_value_is_refused(data):
    with pytest.raises(Unserializable):
        ValueCodec(TYPES).decode({"deep": [data]})


def test_a_registered_type_may_be_read_as_no_other():
    with pytest.raises(Unserializable):
        ValueCodec([Colour]).decode({"$": "object", "type": type_name(Point), "v": {"x": 1}})


# Size


@pytest.mark.parametrize(
    ("value", "size"), [(None, 4), ("ab", 4), ({"a": [1, 2]}, 11), ("ß", 4)], ids=repr
)
def test_the_size_is_that_of_utf_8(value, size):
    assert ValueCodec().size(value) == size


@pytest.mark.parametrize(
    "value", [2**70, "\ud800", nested(300), {"a": [2**200]}], ids=lambda v: ascii(v)[:20]
)
def test_the_size_is_known_of_what_orjson_refuses(value):
    assert ValueCodec().size(value) == len(json.dumps(value))
