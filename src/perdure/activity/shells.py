"""Keep the shells of LangChain's `ShellToolMiddleware` between the calls of a run. Worker side.

LangChain starts a shell before the agent and holds it in a field of the state that is never
stored; a thread that goes on in another process gets a new one. Here the first command of a run
starts it, on the worker that carries the command out; a run that moves to another worker gets a
new one there. A shell that nobody uses for a while is closed.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import cast

from langchain_core.tools import BaseTool
from temporalio import activity

from perdure.core.jsons import Raw

FIELD = "shell_session_resources"
"""Where LangChain's tool looks for its shell in the state, and puts a new one."""
MODULE = "langchain.agents.middleware.shell_tool"
IDLE = timedelta(minutes=30)

log = logging.getLogger("perdure.shells")

Key = tuple[str, str, str, str]


@dataclass
class Shell:
    """The shell of one run; its commands come one after the other."""

    free: asyncio.Lock = field(default_factory=asyncio.Lock)
    resources: Raw = None
    closing: asyncio.TimerHandle | None = None


@dataclass
class Shells:
    """The open shells of one worker process."""

    held: dict[Key, Shell] = field(default_factory=dict[Key, Shell])

    @asynccontextmanager
    async def lent(self, tool: BaseTool, args: Raw) -> AsyncGenerator[None]:
        """Put the run's shell in the state that the tool sees, and keep the one it made."""
        state = _state_of(tool, args)
        if state is None:
            yield
            return
        info = activity.info()
        key = (info.namespace, str(info.workflow_id), str(info.workflow_run_id), tool.name)
        shell = self.held.setdefault(key, Shell())
        async with shell.free:
            if shell.closing is not None:
                shell.closing.cancel()
            if shell.resources is not None:
                state[FIELD] = shell.resources
            try:
                yield
            finally:
                shell.resources = state.get(FIELD)
                loop = asyncio.get_running_loop()
                shell.closing = loop.call_later(IDLE.total_seconds(), self.close, key)

    def close(self, key: Key) -> None:
        """End a shell, and the folder that was made for it."""
        shell = self.held.pop(key, None)
        if shell is None or shell.resources is None:
            return
        log.info("shell of run %s closed: not used for %s", key[1], IDLE)
        asyncio.get_running_loop().run_in_executor(None, shell.resources.finalizer)


def _state_of(tool: BaseTool, args: Raw) -> dict[str, Raw] | None:
    if getattr(getattr(tool, "func", None), "__module__", None) != MODULE:
        return None
    runtime = cast("dict[str, Raw]", args).get("runtime") if isinstance(args, dict) else None
    state = getattr(runtime, "state", None)
    return cast("dict[str, Raw]", state) if isinstance(state, dict) else None


SHELLS = Shells()
