"""Who takes work from a task queue. Caller side."""

from datetime import timedelta

import temporalio.client
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest

_WITHIN = timedelta(seconds=5)


async def pollers(client: temporalio.client.Client, task_queue: str) -> list[str]:
    """Name the workers that take both workflows and activities from a task queue.

    The server forgets a worker that is gone only after some minutes.
    """
    workflows = await _polling(client, task_queue, TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW)
    activities = await _polling(client, task_queue, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY)
    return [name for name in workflows if name in activities]


async def _polling(
    client: temporalio.client.Client, task_queue: str, kind: TaskQueueType.ValueType
) -> list[str]:
    reply = await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace=client.namespace,
            task_queue=TaskQueue(name=task_queue),
            task_queue_type=kind,
        ),
        timeout=_WITHIN,
    )
    return [poller.identity for poller in reply.pollers]
