"""The closed table of Python types beyond JSON's that a value may have, numpy's among them."""

import base64
import math
import re
import sys
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from fractions import Fraction
from importlib import import_module
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import cast
from zoneinfo import ZoneInfo

from perdure.core.jsons import Json, JsonObject, Raw
from perdure.errors import Unserializable

TAG = "$"
Write = Callable[[object], Json]
Read = Callable[[Json], Raw]

_FACTORIES: Mapping[str, type] = {
    kind.__name__: kind for kind in (list, dict, set, tuple, str, int, float, bool, frozenset)
}
"""What a defaultdict may make; any other factory is code."""
_ARRAYS = frozenset("biufcmMSU")
"""Kinds of numpy's types that are plain bytes: no objects, no structures."""


def write_kind(value: object, write: Write) -> JsonObject | None:
    """Write a value whose exact type stands in the table; None if it does not."""
    kind = type(value)
    if kind.__module__ == "numpy":
        return _write_numpy(cast("Raw", value))
    writer = _WRITERS.get(kind)
    return None if writer is None else writer(cast("Raw", value), write)


def read_kind(tag: str, data: JsonObject, read: Read) -> Raw:
    """Read a value of the table.

    Raises:
        Unserializable: The tag is not in it, or its parts cannot be right.
    """
    reader = _READERS.get(tag)
    if reader is None:
        raise Unserializable(f"the tag {tag!r} is not one this version of Perdure knows")
    return reader(data, read)


def has_wide_dict(value: object) -> bool:
    """Tell whether a dict is one of the table's own kinds, which say more than their pairs."""
    return type(value) in (OrderedDict, defaultdict, Counter)


def _text(data: JsonObject, name: str = "v") -> str:
    value = data.get(name)
    if isinstance(value, str):
        return value
    raise Unserializable(f"a value of tag {data.get(TAG)!r} came in without text: {value!r}")


def _write_numpy(value: Raw) -> JsonObject | None:
    numpy = sys.modules["numpy"]
    is_array = type(value) is numpy.ndarray
    if not (is_array or isinstance(value, numpy.generic)) or value.dtype.kind not in _ARRAYS:
        return None
    data: JsonObject = {
        TAG: "ndarray" if is_array else "numpy",
        "dtype": str(value.dtype.str),
        "v": base64.b64encode(value.tobytes()).decode("ascii"),
    }
    if is_array:
        data["shape"] = [int(size) for size in value.shape]
    return data


def _read_numpy(data: JsonObject, _: Read) -> Raw:
    try:
        numpy = cast("Raw", import_module("numpy"))
    except ImportError:
        raise Unserializable("a numpy value came in, but numpy is not installed here") from None
    dtype = numpy.dtype(_text(data, "dtype"))
    content = base64.b64decode(_text(data), validate=True)
    shape = [int(cast("int", size)) for size in cast("list[Json]", data.get("shape") or [])]
    if dtype.kind in "SU" and not dtype.itemsize:  # texts without a letter
        return numpy.zeros(shape, dtype) if data[TAG] == "ndarray" else dtype.type()
    expected = math.prod(shape) * dtype.itemsize
    if dtype.kind not in _ARRAYS or min(shape, default=0) < 0 or expected != len(content):
        raise Unserializable(f"a numpy value of {dtype} came in, whose bytes do not fit")
    array = numpy.frombuffer(content, dtype).reshape(shape)
    return array.copy() if data[TAG] == "ndarray" else array[()]


def _write_datetime(value: datetime, _: Write) -> JsonObject:
    data: JsonObject = {TAG: "datetime", "v": value.isoformat()}
    zone = value.tzinfo
    if isinstance(zone, ZoneInfo) and zone.key:
        data["zone"] = zone.key
    if value.fold:
        data["fold"] = 1
    return data


def _read_datetime(data: JsonObject, _: Read) -> datetime:
    held = datetime.fromisoformat(_text(data))
    zone = data.get("zone")
    if zone is not None:
        held = held.replace(tzinfo=ZoneInfo(str(zone)))
    return held.replace(fold=1) if data.get("fold") else held


def _write_zone(value: timezone, _: Write) -> JsonObject:
    seconds = value.utcoffset(None).total_seconds()
    return {TAG: "timezone", "v": seconds}


def _write_path(value: PurePath, _: Write) -> JsonObject:
    data: JsonObject = {TAG: "path", "v": value.as_posix()}
    if isinstance(value, Path):
        data["as"] = "Path"
    elif isinstance(value, PureWindowsPath):
        data["as"] = "PureWindowsPath"
    return data


def _read_path(data: JsonObject, _: Read) -> PurePath:
    kinds = {"Path": Path, "PureWindowsPath": PureWindowsPath}
    return kinds.get(str(data.get("as")), PurePosixPath)(_text(data))


def _write_pattern(value: re.Pattern[Raw], write: Write) -> JsonObject:
    return {TAG: "pattern", "v": write(value.pattern), "flags": value.flags & ~re.UNICODE}


def _read_pattern(data: JsonObject, read: Read) -> re.Pattern[Raw]:
    return re.compile(read(data.get("v")), int(cast("int", data.get("flags") or 0)))


def _write_deque(value: deque[Raw], write: Write) -> JsonObject:
    data: JsonObject = {TAG: "deque", "v": write(list(value))}
    if value.maxlen is not None:
        data["maxlen"] = value.maxlen
    return data


def _read_deque(data: JsonObject, read: Read) -> deque[Raw]:
    return deque(read(data.get("v")), maxlen=cast("int | None", data.get("maxlen")))


def _pairs(value: Mapping[Raw, Raw], write: Write) -> Json:
    return [[write(key), write(item)] for key, item in value.items()]


def _read_pairs(data: JsonObject, read: Read) -> list[tuple[Raw, Raw]]:
    return [(read(key), read(item)) for key, item in cast("list[list[Json]]", data.get("v"))]


def _write_ordered(value: Mapping[Raw, Raw], write: Write) -> JsonObject:
    return {TAG: type(value).__name__, "v": _pairs(value, write)}


def _write_defaultdict(value: defaultdict[Raw, Raw], write: Write) -> JsonObject | None:
    factory = value.default_factory
    name = getattr(factory, "__name__", "")
    if factory is not None and _FACTORIES.get(name) is not factory:
        return None
    data: JsonObject = {TAG: "defaultdict", "v": _pairs(value, write)}
    if factory is not None:
        data["makes"] = name
    return data


def _read_defaultdict(data: JsonObject, read: Read) -> defaultdict[Raw, Raw]:
    name = data.get("makes")
    factory = None if name is None else _FACTORIES[str(name)]
    return defaultdict(factory, _read_pairs(data, read))


def _read_range(data: JsonObject, _: Read) -> range:
    return range(*(int(cast("int", part)) for part in cast("list[Json]", data.get("v"))))


_WRITERS: Mapping[type, Callable[[Raw, Write], JsonObject | None]] = {
    datetime: _write_datetime,
    timezone: _write_zone,
    ZoneInfo: lambda value, _: {TAG: "zone", "v": value.key} if value.key else None,
    Fraction: lambda value, _: {TAG: "fraction", "v": str(value)},
    range: lambda value, _: {TAG: "range", "v": [value.start, value.stop, value.step]},
    bytearray: lambda value, _: {
        TAG: "bytearray", "v": base64.b64encode(value).decode("ascii")
    },
    re.Pattern: _write_pattern,
    deque: _write_deque,
    OrderedDict: _write_ordered,
    Counter: _write_ordered,
    defaultdict: _write_defaultdict,
    PurePosixPath: _write_path,
    PureWindowsPath: _write_path,
    type(Path()): _write_path,
}  # fmt: skip
_READERS: Mapping[str, Callable[[JsonObject, Read], Raw]] = {
    "numpy": _read_numpy,
    "ndarray": _read_numpy,
    "datetime": _read_datetime,
    "timezone": lambda data, _: timezone(timedelta(seconds=float(cast("float", data.get("v"))))),
    "zone": lambda data, _: ZoneInfo(_text(data)),
    "fraction": lambda data, _: Fraction(_text(data)),
    "range": _read_range,
    "bytearray": lambda data, _: bytearray(base64.b64decode(_text(data), validate=True)),
    "pattern": _read_pattern,
    "deque": _read_deque,
    "OrderedDict": lambda data, read: OrderedDict(_read_pairs(data, read)),
    "Counter": lambda data, read: Counter(dict(_read_pairs(data, read))),
    "defaultdict": _read_defaultdict,
    "path": _read_path,
}
