"""Keep a query from running a workflow ahead of its history.

When a worker dies, the server holds the next workflow task for it for a while, and hands queries
to any other worker meanwhile. That worker replays the run to answer, goes on through events that
no task has covered yet, and keeps the run in its cache in that state. The task that follows finds
its work done, at another time than it records: ids drawn from the clock differ from those of a
replay, and an update that comes with the task is written after what replay puts behind it.
"""

from dataclasses import dataclass

from temporalio.worker import WorkflowInstance

from perdure.workflow.privates import (
    STEPS,
    WorkflowActivation,
    WorkflowActivationCompletion,
)

_NO_WORK = ("query_workflow", "remove_from_cache")


@dataclass
class _Seen:
    """The last activation that had work to do."""

    time: int = -1
    length: int = 0
    steps: int = 0
    """Activations so far, queries too."""


def keep_pace(instance: WorkflowInstance) -> None:
    """Refuse to work through events that belong to no workflow task yet. Workflow side.

    Every task has a time of its own; events without a task come with the time of the task
    before. The run then answers the query as it stands in history, and leaves the cache.
    """
    activate, seen = instance.activate, _Seen()

    def checked(act: WorkflowActivation) -> WorkflowActivationCompletion:
        if any(job.WhichOneof("variant") not in _NO_WORK for job in act.jobs):
            time, length = act.timestamp.ToNanoseconds(), act.history_length
            if not act.is_replaying and time == seen.time and length > seen.length:
                refused = WorkflowActivationCompletion(run_id=act.run_id)
                refused.failed.failure.message = "a query came before the task of these events"
                return refused
            seen.time, seen.length = time, length
        seen.steps += 1
        setattr(instance, STEPS, seen.steps)
        return activate(act)

    instance.activate = checked
