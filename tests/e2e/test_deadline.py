"""Nobody decides in time."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
from temporalio.client import WorkflowUpdateFailedError
from temporalio.service import RPCError

from e2e.scene import APPROVE, PASSWORD, Scene, scene
from perdure.client import Client
from perdure.core.names import DECIDE_UPDATE
from perdure.errors import Refused
from perdure.testing import DevServer

pytestmark = pytest.mark.timeout(60)

TWO_SECONDS = str(2 / 3600)


@dataclass(frozen=True, kw_only=True)
class Expired:
    """A run after its deadline."""

    scene: Scene
    run_id: str
    output: dict[str, Any]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def expired(
    server: DevServer, client: Client, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[Expired]:
    """Play a run with nobody there."""
    async with scene(tmp_path_factory.mktemp("deadline"), client, server.address) as stage:
        await stage.start_worker(SUPPORT_APPROVAL_HOURS=TWO_SECONDS)
        run = await stage.start(PASSWORD)
        yield Expired(scene=stage, run_id=run.run_id, output=await stage.result(run.run_id))


def test_the_run_ends_as_expired(expired: Expired):
    assert expired.output["outcome"] == "expired"


def test_a_ticket_holds_the_draft_that_nobody_approved(expired: Expired):
    ((_, body, _),) = expired.scene.tickets()
    assert expired.output["draft"] in body


def test_no_mail_is_sent(expired: Expired):
    assert expired.scene.mails() == []


async def test_the_time_line_tells_that_nobody_decided(expired: Expired):
    (asked,) = (await expired.scene.client.timeline(expired.run_id)).questions
    assert asked.outcome == "expired"


async def test_a_late_decision_is_refused(expired: Expired):
    with pytest.raises(Refused):
        await expired.scene.decide(expired.run_id, APPROVE)


async def test_a_late_update_changes_nothing(expired: Expired):
    handle = expired.scene.client.temporal.get_workflow_handle(expired.run_id)
    with pytest.raises((RPCError, WorkflowUpdateFailedError)):
        await handle.execute_update(DECIDE_UPDATE, APPROVE)
    assert await expired.scene.result(expired.run_id) == expired.output
