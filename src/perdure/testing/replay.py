"""Check that the histories of runs replay against the code of today."""

from temporalio.client import Client, WorkflowHistory
from temporalio.worker import Replayer

from perdure.errors import ReplayFailed
from perdure.worker.agents import Agents
from perdure.worker.plugin import Plugin


async def assert_replays(
    agents: Agents, history: WorkflowHistory, *, workflows: list[type] | None = None
) -> None:
    """Replay a history against the agents as they are now.

    `workflows` are hand-written ones beside the agent workflow.

    Raises:
        ReplayFailed: The text has Temporal's words about the first difference.
    """
    replayer = Replayer(workflows=workflows or [], plugins=[Plugin(agents, guard="off")])
    result = await replayer.replay_workflow(history, raise_on_replay_failure=False)
    if result.replay_failure is not None:
        raise ReplayFailed(
            f"run {history.workflow_id!r} does not replay: {result.replay_failure}"
        ) from result.replay_failure


async def assert_run_replays(
    agents: Agents, client: Client, run_id: str, *, workflows: list[type] | None = None
) -> WorkflowHistory:
    """Fetch the history of a run and replay it; returns the history.

    Raises:
        ReplayFailed: As `assert_replays`.
    """
    history = await client.get_workflow_handle(run_id).fetch_history()
    await assert_replays(agents, history, workflows=workflows)
    return history
