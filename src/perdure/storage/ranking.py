"""Search by meaning for a store that has no index of its own. Worker side.

Python is often built without SQLite's extensions, which LangGraph's index needs there. This
compares the query with every item that the search otherwise finds, as LangGraph's store in
memory does: right, and quick enough for thousands of items, not for millions.
"""

import asyncio
import math
from collections.abc import Iterable, Sequence
from typing import cast

from langgraph.store.base import (
    BaseStore,
    Op,
    Result,
    SearchItem,
    SearchOp,
    ensure_embeddings,
    get_text_at_path,
)

from perdure.core.jsons import Raw

MOST = 10_000
"""Items that one search compares at most."""
_HELD = 20_000
"""Vectors kept in memory."""

Vector = Sequence[float]


class Ranked(BaseStore):
    """A store whose searches with a query are put in order by likeness."""

    def __init__(self, inner: BaseStore, *, index: Raw) -> None:
        self._inner = inner
        self._loop = asyncio.get_running_loop()
        self._embed = ensure_embeddings(index["embed"])
        self._fields = cast("list[str]", index.get("fields") or ["$"])
        self._held: dict[str, Vector] = {}
        self.supports_ttl = inner.supports_ttl
        self.ttl_config = inner.ttl_config

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """Carry out operations from a sync tool, which runs on a thread of its own.

        Raises:
            RuntimeError: Called on the event loop itself, which must not wait.
        """
        try:
            here = asyncio.get_running_loop()
        except RuntimeError:
            here = None
        if here is self._loop:
            raise RuntimeError(
                "a sync call of the store on the event loop would stop it; "
                "await the async one (`store.aget`, `store.aput`, `store.asearch`)"
            )
        return asyncio.run_coroutine_threadsafe(self.abatch(ops), self._loop).result()

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """Carry out operations; those that search by meaning find first and rank then."""
        asked = list(ops)
        wide = [_wide(op) for op in asked]
        results = await self._inner.abatch(wide)
        for place, op in enumerate(asked):
            if isinstance(op, SearchOp) and op.query:
                results[place] = await self._rank(op, cast("list[SearchItem]", results[place]))
        return results

    async def _rank(self, op: SearchOp, items: list[SearchItem]) -> list[SearchItem]:
        texts = [
            [t for path in self._fields for t in get_text_at_path(item.value, path)]
            for item in items
        ]
        vectors = await self._vectors([str(op.query), *(t for some in texts for t in some)])
        wanted = vectors[str(op.query)]
        for item, some in zip(items, texts, strict=True):
            item.score = max((_likeness(wanted, vectors[text]) for text in some), default=None)
        items.sort(key=lambda item: -math.inf if item.score is None else item.score, reverse=True)
        return items[op.offset : op.offset + op.limit]

    async def _vectors(self, texts: list[str]) -> dict[str, Vector]:
        new = [text for text in dict.fromkeys(texts) if text not in self._held]
        made = await self._embed.aembed_documents(new) if new else []
        known = {**self._held, **dict(zip(new, made, strict=True))}
        self._held = known if len(known) <= _HELD else {text: known[text] for text in texts}
        return known


def _wide(op: Op) -> Op:
    if isinstance(op, SearchOp) and op.query:
        return op._replace(query=None, limit=MOST, offset=0)
    return op


def _likeness(one: Vector, other: Vector) -> float:
    size = math.hypot(*one) * math.hypot(*other)
    return sum(a * b for a, b in zip(one, other, strict=True)) / size if size else 0.0
