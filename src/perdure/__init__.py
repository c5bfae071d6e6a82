"""LangGraph agents that finish, on Temporal.

The front door: what an agent's author needs. Importing it loads neither temporalio nor
langgraph; a name loads its room when it is first used.
"""

from importlib import import_module
from importlib.metadata import version as _version
from typing import TYPE_CHECKING

from perdure.core.approvals import Approve, Decision
from perdure.core.keyrings import Key, Keyring, Whose
from perdure.core.offloading import Payloads
from perdure.core.options import LLM_RETRY, TOOL_RETRY, Retry

if TYPE_CHECKING:
    from perdure.activity.effects import effect_key
    from perdure.worker.agents import Agents
    from perdure.worker.plugin import Plugin
    from perdure.workflow.agenttool import agent_tool
    from perdure.workflow.asking import ask
    from perdure.workflow.mcp import mcp
    from perdure.workflow.model import model
    from perdure.workflow.nodes import node
    from perdure.workflow.tool import tool

__version__ = _version("perdure")

_ROOMS = {
    "Agents": "perdure.worker.agents",
    "Plugin": "perdure.worker.plugin",
    "ask": "perdure.workflow.asking",
    "effect_key": "perdure.activity.effects",
    "mcp": "perdure.workflow.mcp",
    "model": "perdure.workflow.model",
    "tool": "perdure.workflow.tool",
    "agent_tool": "perdure.workflow.agenttool",
    "node": "perdure.workflow.nodes",
}


def __getattr__(name: str) -> object:
    room = _ROOMS.get(name)
    if room is None:
        raise AttributeError(f"module 'perdure' has no attribute {name!r}")
    value = getattr(import_module(room), name)
    globals()[name] = value
    return value


__all__ = [
    "LLM_RETRY",
    "TOOL_RETRY",
    "Agents",
    "Approve",
    "Decision",
    "Key",
    "Keyring",
    "Payloads",
    "Plugin",
    "Retry",
    "Whose",
    "agent_tool",
    "ask",
    "effect_key",
    "mcp",
    "model",
    "node",
    "tool",
]
