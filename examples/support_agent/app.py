"""What a worker of the support agent loads.

    perdure dev examples/support_agent

Registers the agent as a LangGraph graph, and the same agent as a hand-written workflow.
"""

import perdure

from .graph import Graph, build
from .handmade import SupportByHand
from .parts import make_parts
from .settings import read_settings, settings

__all__ = ["agents", "read_settings", "settings", "support"]

agents = perdure.Agents(workflows=[SupportByHand])


@agents.register("support")
def support() -> Graph:
    """Answer one customer message from the help centre, with a person's approval."""
    parts = make_parts(settings)
    return build(
        parts.model,
        parts.search,
        parts.ticket,
        parts.send,
        within=settings.within,
        label=settings.label,
    )
