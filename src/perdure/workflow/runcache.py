"""What a run remembers of its own nodes. Workflow side."""

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field

from langgraph.cache.base import BaseCache, FullKey, Namespace
from temporalio import workflow

from perdure.core.jsons import Json, Raw
from perdure.core.ports import Codec

CARRIED = 200_000
"""Bytes of results that go along into a new execution; a node whose result does not, runs again."""


class RunCache(BaseCache[Raw]):
    """A node cache (`cache_policy`) of one run.

    A cache that the runs of a worker share gives another answer on replay; this one is rebuilt
    by it, and its time is the run's.
    """

    def __init__(self) -> None:
        super().__init__()
        self._held: dict[Namespace, dict[str, tuple[Raw, float | None]]] = {}

    def standing_for(self, own: Raw) -> "RunCache":  # noqa: ARG002 - one for all graphs
        """Return what the run uses in place of a graph's own cache."""
        return self

    def get(self, keys: Sequence[FullKey]) -> dict[FullKey, Raw]:
        """Return what is known and not too old."""
        found: dict[FullKey, Raw] = {}
        now = workflow.time()
        for namespace, key in keys:
            value, until = self._held.get(namespace, {}).get(key, (None, 0.0))
            if until is None or now < until:
                found[(namespace, key)] = deepcopy(value)
        return found

    async def aget(self, keys: Sequence[FullKey]) -> dict[FullKey, Raw]:
        """Return what is known and not too old."""
        return self.get(keys)

    def set(self, pairs: Mapping[FullKey, tuple[Raw, int | None]]) -> None:
        """Keep results, each for as many seconds as it says."""
        now = workflow.time()
        for (namespace, key), (value, ttl) in pairs.items():
            until = None if ttl is None else now + ttl
            self._held.setdefault(namespace, {})[key] = (deepcopy(value), until)

    async def aset(self, pairs: Mapping[FullKey, tuple[Raw, int | None]]) -> None:
        """Keep results, each for as many seconds as it says."""
        self.set(pairs)

    def clear(self, namespaces: Sequence[Namespace] | None = None) -> None:
        """Forget some results, or all."""
        for namespace in list(self._held) if namespaces is None else namespaces:
            self._held.pop(namespace, None)

    def dump(self, codec: Codec) -> list[Json]:
        """Write what is not too old, as far as a new execution can take it along."""
        now, size = workflow.time(), 0
        found: list[Json] = []
        for namespace, held in self._held.items():
            for key, (value, until) in held.items():
                if until is not None and until <= now:
                    continue
                written = codec.encode(value, what="the cache of a node")
                size += codec.size(written)
                if size > CARRIED:
                    return found
                found.append({"at": list(namespace), "key": key, "value": written, "until": until})
        return found

    def restore(self, codec: Codec, raw: Iterable[Raw]) -> None:
        """Take over what the execution before knew."""
        for one in raw:
            namespace = tuple(str(name) for name in one["at"])
            held = self._held.setdefault(namespace, {})
            held[str(one["key"])] = codec.decode(one["value"]), one["until"]

    async def aclear(self, namespaces: Sequence[Namespace] | None = None) -> None:
        """Forget some results, or all."""
        self.clear(namespaces)


@dataclass
class Results:
    """Results of node activities that a run hands to the one that continues it as new.

    Each is given out once for each time that it was recorded: a node that runs again with the
    same state really runs again.
    """

    kept: dict[str, list[Json]] | None = None
    """What this run did; None while nobody wants it."""
    _earlier: dict[str, list[Json]] = field(default_factory=dict[str, list[Json]])

    def restore(self, earlier: Mapping[str, Iterable[Json]]) -> None:
        """Begin to keep results, and give out those of the run before."""
        self.kept = {}
        self._earlier = {key: list(values) for key, values in earlier.items()}

    def take(self, key: str) -> tuple[Json] | None:
        """Return the next result that the run before had for this."""
        held = self._earlier.get(key)
        if not held:
            return None
        result = held.pop(0)
        self.add(key, result)
        return (result,)

    def add(self, key: str, result: Json) -> None:
        """Keep a result, if somebody wants it."""
        if self.kept is not None:
            self.kept.setdefault(key, []).append(result)
