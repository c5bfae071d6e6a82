"""Hang a run on every workflow instance, in the sandbox and outside of it.

The host crosses into the sandbox as an extern function: Temporal's own way to lend worker
objects to workflow code. The runner is found by its name there, so it is a plain class.
"""

from collections.abc import Callable
from typing import cast

from temporalio.exceptions import ApplicationError
from temporalio.worker import (
    ExecuteWorkflowInput,
    Interceptor,
    UnsandboxedWorkflowRunner,
    WorkflowInboundInterceptor,
    WorkflowInstance,
    WorkflowInterceptorClassInput,
)

from perdure.core.jsons import Raw
from perdure.core.ports import Host
from perdure.errors import PerdureError
from perdure.workflow.current import prepare
from perdure.workflow.keyorder import OrderedInbound
from perdure.workflow.pace import keep_pace

EXTERN = "perdure_host"


class LendHost(Interceptor):
    """Lend the host to every workflow of a worker. Worker side."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def workflow_interceptor_class(
        self, input: WorkflowInterceptorClassInput
    ) -> type[WorkflowInboundInterceptor] | None:
        """Add the host to what workflow code may reach."""
        externs = cast("dict[str, Callable[[], Host]]", input.unsafe_extern_functions)
        externs[EXTERN] = lambda: self._host
        return NameFailures


class NameFailures(OrderedInbound):
    """Give a failure that leaves a workflow the stable code of its class as its type."""

    async def execute_workflow(self, input: ExecuteWorkflowInput) -> Raw:
        """Run the workflow."""
        try:
            return await super().execute_workflow(input)
        except PerdureError as error:
            text = str(error)
            raise ApplicationError(text, type=error.code, non_retryable=True) from error


class Runner(UnsandboxedWorkflowRunner):
    """Temporal's plain runner, whose instances can run LangGraph.

    The instance is the event loop of its workflow; that is where Perdure hangs what belongs
    to one run, so that nothing of a run lives in a module.
    """

    def create_instance(self, det: Raw) -> WorkflowInstance:
        """Make the instance of one workflow."""
        instance = super().create_instance(det)
        lend = cast("Callable[[], Host] | None", det.extern_functions.get(EXTERN))
        if lend is not None:
            prepare(lend())(instance)
        keep_pace(instance)
        return instance
