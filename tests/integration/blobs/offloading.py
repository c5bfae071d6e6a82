"""Workflows that leave large values at every place of a history, and a codec that stores them."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from hashlib import blake2b

from temporalio import activity, workflow
from temporalio.api.common.v1 import Payload
from temporalio.converter import DataConverter, PayloadCodec
from temporalio.exceptions import ApplicationError

from perdure.core.ports import BlobStore

LARGE = 200


class Offload(PayloadCodec):
    """Stores what has more than LARGE bytes, in the form that `gc` reads."""

    def __init__(self, blobs: BlobStore) -> None:
        self.blobs = blobs

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [await self._store(payload) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [await self._fetch(payload) for payload in payloads]

    async def _store(self, payload: Payload) -> Payload:
        data = payload.SerializeToString()
        if len(data) <= LARGE:
            return payload
        name = blake2b(data, digest_size=16).hexdigest()
        if not await self.blobs.has(name):
            await self.blobs.put(name, data)
        size = str(len(data)).encode()
        metadata = {"encoding": b"perdure/blob", "blob": name.encode(), "size": size}
        # Temporal's server drops a memo whose data is empty.
        return Payload(metadata=metadata, data=b"-")

    async def _fetch(self, payload: Payload) -> Payload:
        name = payload.metadata.get("blob")
        if name is None:
            return payload
        return Payload.FromString(await self.blobs.get(name.decode()))


def offloading(blobs: BlobStore) -> DataConverter:
    return replace(DataConverter.default, payload_codec=Offload(blobs))


def large(letter: str) -> str:
    return letter * (LARGE + 100)


def name_of(letter: str) -> str:
    """Return the name that the codec gives to a large text."""
    data = json.dumps(large(letter)).encode()
    whole = Payload(metadata={"encoding": b"json/plain"}, data=data).SerializeToString()
    return blake2b(whole, digest_size=16).hexdigest()


@activity.defn
async def echo(text: str) -> str:
    return text


@activity.defn
async def fails_with(text: str) -> None:
    raise ApplicationError("no", text, non_retryable=True)


@activity.defn
async def beats(text: str) -> None:
    while True:
        activity.heartbeat(text)
        await asyncio.sleep(0.05)


@activity.defn
async def fails_often(text: str) -> None:
    raise ApplicationError("not yet", text, next_retry_delay=timedelta(hours=1))


@workflow.defn
class Everywhere:
    """Leaves a value at each kind of place."""

    def __init__(self) -> None:
        self.told: list[str] = []

    @workflow.run
    async def run(self, text: str, parts: int) -> str:
        if parts > 1:
            workflow.continue_as_new(args=[large("n"), parts - 1])
        await workflow.execute_activity(
            echo,
            large("a"),
            start_to_close_timeout=timedelta(seconds=10),
            summary=large("s"),
        )
        try:
            await workflow.execute_activity(
                fails_with, large("f"), start_to_close_timeout=timedelta(seconds=10)
            )
        except Exception:  # noqa: BLE001
            workflow.logger.debug("as it should")
        await workflow.execute_local_activity(
            echo, large("l"), start_to_close_timeout=timedelta(seconds=10)
        )
        workflow.upsert_memo({"note": large("m")})
        await workflow.execute_child_workflow(
            Child.run, large("c"), id=f"{workflow.info().workflow_id}:child-1"
        )
        await workflow.wait_condition(lambda: len(self.told) == 2)
        return large("r")

    @workflow.signal
    def tell(self, text: str) -> None:
        self.told.append(text)

    @workflow.update
    async def ask(self, text: str) -> str:
        self.told.append(text)
        return large("v")


@workflow.defn
class Child:
    @workflow.run
    async def run(self, text: str) -> None:
        return None


@workflow.defn
class Beating:
    """Has an activity under way, whose heartbeat is in no history."""

    @workflow.run
    async def run(self, text: str, failing: bool) -> None:
        await workflow.execute_activity(
            fails_often if failing else beats,
            text,
            start_to_close_timeout=timedelta(minutes=5),
            heartbeat_timeout=timedelta(seconds=30),
        )


@workflow.defn
class Simple:
    @workflow.run
    async def run(self, text: str) -> None:
        return None


ALL = {
    "workflows": [Everywhere, Child, Beating, Simple],
    "activities": [echo, fails_with, beats, fails_often],
}
