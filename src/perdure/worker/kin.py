"""What whole-node activities and agent tools need of the worker's registry."""

from langgraph.store.base import BaseStore

from perdure.errors import UnknownAgent
from perdure.worker.agents import Agents


def check_agent_tools(agents: Agents) -> None:
    """Make sure that this worker has every agent that `perdure.agent_tool` names.

    A tool with a task queue of its own is left to the workers of that queue.

    Raises:
        UnknownAgent: The text names the tool and lists the known agents.
    """
    for name in agents.declared.names("agent_tool"):
        entry = agents.declared.find("agent_tool", name)
        if entry is None or entry.terms is not None:
            continue
        agent = str(entry.build())
        if agent not in agents.names:
            known = ", ".join(agents.names) or "none"
            raise UnknownAgent(
                f"perdure.agent_tool({agent!r}) names no agent of this worker; known: {known}. "
                f'Register it: @agents.register("{agent}"), or name the task queue of the '
                "workers that have it: task_queue="
            )


async def store_of(agents: Agents) -> BaseStore | None:
    """Return the worker's long-term memory for a node, if one is configured."""
    return await agents.places.store() if agents.remembers else None
