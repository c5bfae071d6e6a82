"""Every history that was ever recorded replays on the code of today."""

from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory

from perdure.errors import ReplayFailed
from perdure.testing.replay import assert_replays
from replay.app import make_agents
from replay.record import HISTORIES, SCENES

pytestmark = [pytest.mark.timeout(60), pytest.mark.usefixtures("fresh_declarations")]
STORED = sorted(HISTORIES.glob("*/*.json"))


def load(file: Path) -> WorkflowHistory:
    return WorkflowHistory.from_json(file.stem, file.read_text("utf-8"))


@pytest.mark.parametrize("file", STORED, ids=[f"{f.parent.name}-{f.stem}" for f in STORED])
async def test_a_stored_history_replays(file: Path) -> None:
    await assert_replays(make_agents(), load(file))


def test_every_scene_is_stored() -> None:
    assert {file.stem for file in STORED} == {*SCENES}


async def test_a_history_of_another_agent_does_not_replay() -> None:
    agents = make_agents()
    agents._built["asker"] = agents.graph("counter")
    with pytest.raises(ReplayFailed, match="does not replay"):
        await assert_replays(agents, load(HISTORIES / "0.1" / "ask_approved.json"))
