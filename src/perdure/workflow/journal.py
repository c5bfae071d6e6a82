"""What the open super-steps of a run have done so far. Workflow side.

A checkpoint holds what is done when a super-step is. A run that goes on in a new execution runs
the nodes of its open super-steps again, from their beginning; what they called before is taken
from here, by what was asked and the how-many-th time, so that nothing is called twice.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import cast

from langchain_core.messages import BaseMessage
from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

from perdure.core.approvals import digest_of
from perdure.core.jsons import Json, JsonObject, Raw
from perdure.core.ports import Codec
from perdure.core.scenes import NAMESPACE
from perdure.workflow.endings import failure_from, failure_to_json
from perdure.workflow.interrupting import configurable, is_inside

Told = Callable[[], Json]
"""Say what a call was asked, when it is wanted: long conversations are costly to write."""
Key = tuple[str, str, str]
"""The path of nodes, the kind of the call, and the digest of what was asked."""


@dataclass
class Deed:
    """One call of an open super-step."""

    namespace: str
    kind: str
    told: Told
    result: Json = None
    failure: ActivityError | None = None
    done: bool = False


@dataclass
class Journal:
    """The calls of the open super-steps of one run. Does nothing until it is `on`."""

    on: bool = False
    holding: bool = False
    """No call may begin any more; those that would wait for ever, in an execution that ends."""
    busy: int = 0
    """Calls that are under way."""
    deeds: list[Deed] = field(default_factory=list[Deed])
    begun: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    """Namespace and kind of what was counted, for it will be counted again."""
    _earlier: dict[Key, list[tuple[str, JsonObject]]] = field(
        default_factory=dict[Key, list[tuple[str, JsonObject]]]
    )

    async def call(
        self, kind: str, told: Told, make: Callable[[], Awaitable[Raw]]
    ) -> tuple[Raw, bool]:
        """Make a call, or give what an earlier execution got; True if it was made now.

        Raises:
            ActivityError: The call failed, now or then.
        """
        if not self.on:
            return await make(), True
        namespace = namespace_here()
        deed = Deed(namespace, kind, told)
        found = self._take(namespace, kind, told)
        self.deeds.append(deed)
        if found is not None:
            deed.done = True
            if "failure" in found:
                deed.failure = failure_from(found["failure"])
                raise deed.failure
            deed.result = found.get("result")
            return deed.result, False
        await self.passage()
        self.busy += 1
        try:
            deed.result = await make()
        except ActivityError as error:
            if not is_cancelled_exception(error):
                deed.failure, deed.done = error, True
            raise
        else:
            deed.done = True
        finally:
            self.busy -= 1
        return deed.result, True

    async def passage(self) -> None:
        """Wait while no call may begin."""
        if self.holding:
            await workflow.wait_condition(lambda: not self.holding)

    def note(self, kind: str, told: Told, result: Json) -> None:
        """Note what is known at once."""
        if self.on:
            self.deeds.append(Deed(namespace_here(), kind, told, result=result, done=True))

    def take(self, kind: str, told: Told) -> JsonObject | None:
        """Return what an earlier execution noted for the same."""
        return self._take(namespace_here(), kind, told) if self.on else None

    def count(self, kind: str) -> None:
        """Note that something was counted."""
        if self.on:
            self.begun.append((namespace_here(), kind))

    def _take(self, namespace: str, kind: str, told: Told) -> JsonObject | None:
        path = path_of(namespace)
        if not any(key[:2] == (path, kind) for key in self._earlier):
            return None
        held = self._earlier.get((path, kind, digest_of(told())))
        if not held:
            return None
        own = [number for number, (where, _) in enumerate(held) if where == namespace]
        _, found = held.pop(own[0] if own else 0)
        return found

    def close(self, namespace: str) -> None:
        """Forget what was done inside of a namespace: its checkpoint has it now."""
        if not self.on:
            return
        self.deeds = [deed for deed in self.deeds if not is_inside(deed.namespace, namespace)]
        self.begun = [one for one in self.begun if not is_inside(one[0], namespace)]
        for key in list(self._earlier):
            left = [one for one in self._earlier[key] if not is_inside(one[0], namespace)]
            if left:
                self._earlier[key] = left
            else:
                del self._earlier[key]

    def dump(self) -> list[Json]:
        """Write what the open super-steps did."""
        return [
            *(_written(deed) for deed in self.deeds if deed.done),
            *(
                {"at": where, "kind": key[1], "told": key[2], **found}
                for key, held in self._earlier.items()
                for where, found in held
            ),
        ]

    def restore(self, raw: list[Raw]) -> None:
        """Take over what the execution before did in its open super-steps."""
        for data in cast("list[JsonObject]", raw):
            where = str(data["at"])
            key = (path_of(where), str(data["kind"]), str(data["told"]))
            found = {name: data[name] for name in ("result", "failure") if name in data}
            self._earlier.setdefault(key, []).append((where, found))


def _written(deed: Deed) -> JsonObject:
    data: JsonObject = {
        "at": deed.namespace,
        "kind": deed.kind,
        "told": digest_of(deed.told()),
    }
    if deed.failure is not None:
        data["failure"] = failure_to_json(deed.failure)
    else:
        data["result"] = deed.result
    return data


def namespace_here() -> str:
    """Return the checkpoint namespace of the task that runs here; empty outside of a graph."""
    return str(configurable().get(NAMESPACE) or "")


def path_of(namespace: str) -> str:
    """Return the names of the nodes of a namespace: the ids of a graph without saver are new."""
    parts = (part for part in namespace.split("|") if not part.isdigit())
    return "|".join(part.partition(":")[0] for part in parts)


def asked_of(codec: Codec, messages: list[BaseMessage]) -> Json:
    """Write a conversation without ids, which are made anew when a node runs again."""
    written = codec.encode(messages, what="messages")
    return [
        {k: v for k, v in one.items() if k != "id"} if isinstance(one, dict) else one
        for one in cast("list[Json]", written)
    ]
