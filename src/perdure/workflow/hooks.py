"""Let hooks of LangChain's middleware do in a run what they do outside.

A run calls an agent's async side, where LangChain refuses a middleware that wraps calls with a
plain `def`. With the bridge such a hook runs on a strand of its own, and its handler waits.
The hook that starts a shell starts none in a workflow: the first command does, on its worker.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from types import FunctionType
from typing import cast

from perdure.core.jsons import Raw
from perdure.workflow import bridge
from perdure.workflow.current import current_run, is_inside

TYPES = "langchain.agents.middleware.types"
SHELL = "langchain.agents.middleware.shell_tool"
ORIGINAL = "__perdure_original__"

Handler = Callable[[Raw], Awaitable[Raw]]


def install() -> None:
    """Give LangChain's refusing hooks another body, once per process. Runs on the worker.

    Agents that were made before hold these very functions, so the functions stay and only what
    they do is replaced. Nothing to do if no agent of the app loaded LangChain's middleware.
    """
    base = getattr(sys.modules.get(TYPES), "AgentMiddleware", None)
    for body in (awrap_model_call, awrap_tool_call):
        _rewrite(getattr(base, body.__name__, None), body)
    shell = getattr(sys.modules.get(SHELL), "ShellToolMiddleware", None)
    _rewrite(getattr(shell, "before_agent", None), before_agent)


def _rewrite(function: Raw, body: Callable[..., Raw]) -> None:
    if not isinstance(function, FunctionType) or hasattr(function, ORIGINAL):
        return
    original = FunctionType(
        function.__code__, function.__globals__, function.__name__, function.__defaults__
    )
    setattr(function, ORIGINAL, original)
    function.__code__ = cast("FunctionType", body).__code__


async def awrap_model_call(self: Raw, request: Raw, handler: Handler) -> Raw:
    """Stand in for the hook of `AgentMiddleware`; runs among LangChain's own globals."""
    from perdure.workflow.hooks import wrap  # noqa: PLC0415 - no other global is in reach

    return await wrap(self, "wrap_model_call", request, handler)


async def awrap_tool_call(self: Raw, request: Raw, handler: Handler) -> Raw:
    """Stand in for the hook of `AgentMiddleware`; runs among LangChain's own globals."""
    from perdure.workflow.hooks import wrap  # noqa: PLC0415 - no other global is in reach

    return await wrap(self, "wrap_tool_call", request, handler)


async def wrap(middleware: Raw, hook: str, request: Raw, handler: Handler) -> Raw:
    """Call a sync hook of a middleware on a strand; outside a run, do as LangChain does."""
    base = cast("Raw", sys.modules[TYPES]).AgentMiddleware
    run = current_run()
    kind = cast("type[Raw]", type(middleware))
    is_sync = getattr(kind, hook) is not getattr(base, hook)
    if run is None or not run.host.bridge or not bridge.is_available() or not is_sync:
        original = getattr(getattr(base, f"a{hook}"), ORIGINAL)
        return await original(middleware, request, handler)
    what = f"the handler of {kind.__name__}.{hook}()"

    def wait(request: Raw) -> Raw:
        return bridge.wait_for(handler(request), what=what)

    return await bridge.start(
        asyncio.get_running_loop(), getattr(middleware, hook), (request, wait)
    )


def before_agent(self: Raw, state: Raw, runtime: Raw) -> Raw:
    """Stand in for the hook of `ShellToolMiddleware`; runs among LangChain's own globals."""
    from perdure.workflow.hooks import open_shell  # noqa: PLC0415 - no other global is in reach

    return open_shell(self, state, runtime)


def open_shell(middleware: Raw, state: Raw, runtime: Raw) -> Raw:
    """Start a shell as LangChain does; none in a run."""
    if is_inside():
        return None
    original = getattr(sys.modules[SHELL].ShellToolMiddleware.before_agent, ORIGINAL)
    return original(middleware, state, runtime)
