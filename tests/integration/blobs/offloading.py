"""Workflows that leave large values at every place of a history."""

import asyncio
import json
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.api.common.v1 import Payload
from temporalio.exceptions import ApplicationError

from perdure.core.keyrings import digest_name

LARGE = 200
"""The threshold of these tests."""


def large(letter: str) -> str:
    return letter * (LARGE + 100)


def name_of(letter: str) -> str:
    """Return the name of the blob that a large text becomes."""
    data = json.dumps(large(letter)).encode()
    whole = Payload(metadata={"encoding": b"json/plain"}, data=data)
    return digest_name(whole.SerializeToString(deterministic=True), seal=b"")


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
