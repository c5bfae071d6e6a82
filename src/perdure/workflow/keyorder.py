"""Keep the order of keys in what leaves a workflow. Workflow side."""

from collections.abc import Sequence
from dataclasses import replace

from temporalio import workflow
from temporalio.worker import (
    ExecuteWorkflowInput,
    HandleQueryInput,
    HandleUpdateInput,
    StartActivityInput,
    StartChildWorkflowInput,
    StartLocalActivityInput,
    WorkflowInboundInterceptor,
    WorkflowOutboundInterceptor,
)

from perdure.core.jsons import Raw
from perdure.core.names import is_own
from perdure.core.payloads import in_order


class OrderedInbound(WorkflowInboundInterceptor):
    """Write what Perdure's workflows return and answer. Workflow side."""

    def init(self, outbound: WorkflowOutboundInterceptor) -> None:
        """Add the way out."""
        super().init(OrderedOutbound(outbound))

    async def execute_workflow(self, input: ExecuteWorkflowInput) -> Raw:
        """Run the workflow."""
        return _answer(await super().execute_workflow(input))

    async def handle_query(self, input: HandleQueryInput) -> Raw:
        """Answer a query."""
        return _answer(await super().handle_query(input))

    async def handle_update_handler(self, input: HandleUpdateInput) -> Raw:
        """Answer an update."""
        return _answer(await super().handle_update_handler(input))


class OrderedOutbound(WorkflowOutboundInterceptor):
    """Write what Perdure's activities and child runs are given. Workflow side."""

    def start_activity(self, input: StartActivityInput) -> Raw:
        """Schedule an activity."""
        sent = replace(input, args=_all(input.args)) if is_own(input.activity) else input
        return super().start_activity(sent)

    def start_local_activity(self, input: StartLocalActivityInput) -> Raw:
        """Carry out an activity within the workflow task."""
        sent = replace(input, args=_all(input.args)) if is_own(input.activity) else input
        return super().start_local_activity(sent)

    async def start_child_workflow(self, input: StartChildWorkflowInput) -> Raw:
        """Start a child."""
        sent = replace(input, args=_all(input.args)) if is_own(input.workflow) else input
        return await super().start_child_workflow(sent)


def _answer(value: Raw) -> Raw:
    return in_order(value) if is_own(workflow.info().workflow_type) else value


def _all(values: Sequence[Raw]) -> Sequence[Raw]:
    return [in_order(value) for value in values]
