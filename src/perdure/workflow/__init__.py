"""Replayed code: everything here runs inside a workflow, again on every replay.

For people who write their own `@workflow.defn`:

- `run_graph` runs a LangGraph graph durably,
- `run_agent` runs a registered agent as a child workflow,
- `ask` waits for a person,
- `open_doors` makes your workflow answer decisions, `perdure show` and the approvals list.
"""

from perdure.workflow.asking import ask_person as ask
from perdure.workflow.current import current_run, need_run
from perdure.workflow.doors import open_doors
from perdure.workflow.graphs import run_graph
from perdure.workflow.subagents import run_agent

__all__ = ["ask", "current_run", "need_run", "open_doors", "run_agent", "run_graph"]
