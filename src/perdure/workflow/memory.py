"""LangGraph's long-term memory inside a run: every batch is one activity. Workflow side."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import cast

from langgraph.store.base import (
    BaseStore,
    GetOp,
    Item,
    ListNamespacesOp,
    Op,
    PutOp,
    Result,
    SearchItem,
    SearchOp,
    TTLConfig,
)
from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

from perdure.core.jsons import Json, JsonObject, Raw, shorten
from perdure.core.names import STORE_ACTIVITY
from perdure.core.options import STORE_HEARTBEAT, STORE_RETRY
from perdure.core.ports import Codec
from perdure.errors import StorageFailed
from perdure.workflow import bridge
from perdure.workflow.calls import retry_policy
from perdure.workflow.current import find_run
from perdure.workflow.packing import fit

TIMEOUT = timedelta(seconds=60)
_UNSAID = -1.0
"""Stands for "as the store is set up", which only the worker's store knows."""
_TOLD: tuple[type[Exception], ...] = (ValueError, TypeError, NotImplementedError)


class Memory(BaseStore):
    """The worker's store, as a graph in a run sees it."""

    supports_ttl = True
    ttl_config = cast("TTLConfig", {"refresh_on_read": None, "default_ttl": _UNSAID})
    __slots__ = ("_codec",)

    def __init__(self, codec: Codec) -> None:
        self._codec = codec

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """Carry out operations from sync code of a node.

        Raises:
            SyncCall: The code cannot wait; see `perdure.workflow.bridge`.
        """
        return bridge.wait_for(self.abatch(ops), what="the store")

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """Carry out operations: one activity.

        Raises:
            StorageFailed: The worker's store failed for good.
            ValueError, TypeError, NotImplementedError: As the store itself raised it.
        """
        asked = list(ops)
        if not asked:
            return []
        request: JsonObject = {"ops": [self._write(op) for op in asked]}
        fit(self._codec, request, what="a batch for the store")
        try:
            answer = await self._carry_out(request, _summary(asked))
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            raise _failure(error) from error
        results = cast("list[Json]", answer["results"])
        return [self._read(op, one) for op, one in zip(asked, results, strict=True)]

    async def _carry_out(self, request: JsonObject, summary: str) -> Raw:
        async def execute() -> Raw:
            return await workflow.execute_activity(
                STORE_ACTIVITY,
                request,
                start_to_close_timeout=TIMEOUT,
                heartbeat_timeout=STORE_HEARTBEAT,
                retry_policy=retry_policy(STORE_RETRY),
                summary=summary,
            )

        run = find_run()
        if run is None:
            return await execute()
        answer, _ = await run.journal.call("store", lambda: request, execute)
        return answer

    def _write(self, op: Op) -> JsonObject:
        if isinstance(op, GetOp):
            data: JsonObject = {"op": "get", "namespace": list(op.namespace), "key": op.key}
            return {**data, "refresh_ttl": op.refresh_ttl}
        if isinstance(op, SearchOp):
            return {
                "op": "search",
                "namespace": list(op.namespace_prefix),
                "filter": self._codec.encode(op.filter, what="the filter of a search"),
                "limit": op.limit,
                "offset": op.offset,
                "query": op.query,
                "refresh_ttl": op.refresh_ttl,
            }
        if isinstance(op, ListNamespacesOp):
            match = op.match_conditions
            conditions = [[one.match_type, list(one.path)] for one in match or ()]
            return {
                "op": "namespaces",
                "match": None if match is None else cast("Json", conditions),
                "max_depth": op.max_depth,
                "limit": op.limit,
                "offset": op.offset,
            }
        return self._write_put(op)

    def _write_put(self, op: PutOp) -> JsonObject:
        value = None if op.value is None else dict(op.value)
        data: JsonObject = {
            "op": "put",
            "namespace": list(op.namespace),
            "key": op.key,
            "value": self._codec.encode(value, what=f"the item {op.key!r}"),
        }
        if op.index is not None:
            data["index"] = cast("Json", op.index)
        if op.ttl != _UNSAID:
            data["ttl"] = op.ttl
        return data

    def _read(self, op: Op, raw: Json) -> Result:
        if isinstance(op, SearchOp):
            return [self._item(one, SearchItem) for one in cast("list[JsonObject]", raw)]
        if isinstance(op, ListNamespacesOp):
            return [tuple(cast("list[str]", one)) for one in cast("list[Json]", raw)]
        return None if raw is None else self._item(cast("JsonObject", raw), Item)

    def _item(self, data: JsonObject, kind: type[Raw]) -> Raw:
        parts = {**data, "value": self._codec.decode(data["value"])}
        parts["namespace"] = tuple(cast("list[str]", data["namespace"]))
        return kind(**parts)


def _summary(ops: Sequence[Op]) -> str:
    """Say what a batch does, for Temporal's UI."""
    first = ops[0]
    if isinstance(first, SearchOp):
        text = f"search {'/'.join(first.namespace_prefix)}"
    elif isinstance(first, ListNamespacesOp):
        text = "list namespaces"
    else:
        verb = "get" if isinstance(first, GetOp) else "delete" if first.value is None else "put"
        text = f"{verb} {'/'.join((*first.namespace, first.key))}"
    more = f" and {len(ops) - 1} more" if len(ops) > 1 else ""
    return shorten(f"memory: {text}", 150) + more


def _failure(error: ActivityError) -> Exception:
    cause = error.cause
    if not isinstance(cause, ApplicationError):
        return StorageFailed(f"long-term memory did not answer: {cause or error}")
    first: Raw = cause.details[0] if cause.details else None
    name = cast("Raw", first).get("class") if isinstance(first, dict) else None
    told = next((kind for kind in _TOLD if kind.__name__ == name), None)
    return told(cause.message) if told is not None else StorageFailed(cause.message)
