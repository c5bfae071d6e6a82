"""The activity of long-term memory: one batch of a LangGraph store's operations."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import cast

from langgraph.store.base import (
    BaseStore,
    GetOp,
    Item,
    ListNamespacesOp,
    MatchCondition,
    Op,
    PutOp,
    SearchItem,
    SearchOp,
)
from temporalio import activity

from perdure.activity.keeping import keeping
from perdure.core.jsons import Json, JsonObject, Raw, as_object
from perdure.core.names import STORE_ACTIVITY
from perdure.core.ports import Codec
from perdure.errors import BadInput, PayloadTooLarge


class MemoryActivities:
    """The activity of the worker's store; `store` opens it, or returns the open one."""

    def __init__(self, *, store: Callable[[], Awaitable[object]], codec: Codec) -> None:
        self._store = store
        self._codec = codec

    @activity.defn(name=STORE_ACTIVITY)
    async def store(self, raw: Raw) -> Raw:
        """Carry out one batch. Repeated, it leaves the same items.

        Raises:
            ApplicationError: See `perdure.activity.keeping`.
        """
        async with keeping("long-term memory"):
            request = as_object(raw, what="a batch of the store")
            store = cast("BaseStore", await self._store())
            ops = [self._read(store, one) for one in cast("list[JsonObject]", request["ops"])]
            results = await store.abatch(ops)
            answer: JsonObject = {"results": [self._write(one) for one in results]}
            if self._codec.size(answer) > self._codec.largest:
                raise PayloadTooLarge(
                    f"what the store found takes more than {self._codec.largest:,} bytes; "
                    "search with a lower limit"
                )
            return answer

    def _read(self, store: BaseStore, op: Mapping[str, Json]) -> Op:
        kind = op.get("op")
        if kind == "get":
            return GetOp(_labels(op["namespace"]), str(op["key"]), _refresh(store, op))
        if kind == "search":
            return SearchOp(
                _labels(op["namespace"]),
                cast("dict[str, Raw] | None", self._codec.decode(op["filter"])),
                cast("int", op["limit"]),
                cast("int", op["offset"]),
                cast("str | None", op["query"]),
                _refresh(store, op),
            )
        if kind == "namespaces":
            conditions = cast("list[list[Raw]] | None", op["match"])
            return ListNamespacesOp(
                None if conditions is None else tuple(_condition(one) for one in conditions),
                cast("int | None", op["max_depth"]),
                cast("int", op["limit"]),
                cast("int", op["offset"]),
            )
        if kind == "put":
            return self._read_put(store, op)
        raise BadInput(f"op={kind!r} of the store is not one this version of Perdure knows")

    def _read_put(self, store: BaseStore, op: Mapping[str, Json]) -> PutOp:
        ttl = cast("float | None", op.get("ttl", (store.ttl_config or {}).get("default_ttl")))
        if op.get("ttl") is not None and not store.supports_ttl:
            raise NotImplementedError(
                f"TTL is not supported by {type(store).__name__}, the worker's store"
            )
        value = self._codec.decode(op["value"])
        index = cast("Raw", op.get("index"))
        return PutOp(_labels(op["namespace"]), str(op["key"]), cast("Raw", value), index, ttl)

    def _write(self, result: Raw) -> Json:
        if isinstance(result, Item):
            return self._write_item(result)
        if isinstance(result, list):
            return [self._write(one) for one in cast("list[Raw]", result)]
        if isinstance(result, tuple):
            return list(cast("tuple[str, ...]", result))
        return None

    def _write_item(self, item: Item) -> JsonObject:
        written: JsonObject = {
            "namespace": list(item.namespace),
            "key": item.key,
            "value": self._codec.encode(item.value, what=f"the item {item.key!r}"),
            "created_at": _time(item.created_at),
            "updated_at": _time(item.updated_at),
        }
        if isinstance(item, SearchItem):
            written["score"] = None if item.score is None else float(item.score)
        return written


def _labels(raw: Json) -> tuple[str, ...]:
    return tuple(cast("list[str]", raw))


def _condition(raw: list[Raw]) -> MatchCondition:
    return MatchCondition(match_type=raw[0], path=tuple(raw[1]))


def _refresh(store: BaseStore, op: Mapping[str, Json]) -> bool:
    """Follow the store's own setting where the caller said nothing."""
    said = op.get("refresh_ttl")
    if isinstance(said, bool):
        return said
    return bool((store.ttl_config or {}).get("refresh_on_read", True))


def _time(moment: datetime | str) -> str:
    return moment if isinstance(moment, str) else moment.isoformat()
