"""The support agent of the examples, in a process that kills itself where CRASH_AT says.

The agent's own code runs as it is; only what it stands on is armed before it is imported.
"""

import os

from crashing.points import arm

if point := os.environ.get("CRASH_AT"):
    arm(point)

from support_agent.app import agents

__all__ = ["agents"]
