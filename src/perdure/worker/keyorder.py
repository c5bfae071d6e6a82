"""Keep the order of keys in what Perdure's activities return. Worker side."""

from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from perdure.core.jsons import Raw
from perdure.core.names import is_own
from perdure.core.payloads import in_order


class KeepOrder(Interceptor):
    """Write results with their keys as they are."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        """Stand between the worker and its activities."""
        return _Ordered(next)


class _Ordered(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Raw:
        result = await super().execute_activity(input)
        return in_order(result) if is_own(activity.info().activity_type) else result
