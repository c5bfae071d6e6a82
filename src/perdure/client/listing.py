"""Find runs in Temporal's list. Caller side."""

from collections.abc import Mapping
from dataclasses import replace

import temporalio.client

from perdure.client.inbox import agent_of, started_of
from perdure.client.index import ours
from perdure.client.records import RunSummary, summary_of
from perdure.core.names import AGENT_ATTRIBUTE, STATUS_ATTRIBUTE
from perdure.core.wire import Status

EXECUTION: Mapping[Status, str] = {
    "running": "Running",
    "waiting": "Running",
    "done": "Completed",
    "failed": "Failed",
    "cancelled": "Canceled",
    "terminated": "Terminated",
    "timed_out": "TimedOut",
}
_LISTED = 10
"""How many run ids an ambiguous beginning is answered with."""


def list_query(*, agent: str | None, status: Status | None, indexed: bool) -> str:
    """Write a list filter; what the server cannot filter is left to the caller."""
    parts = [ours(indexed=indexed)]
    if status is None:
        parts.append("ExecutionStatus != 'ContinuedAsNew'")
    else:
        parts.append(f"ExecutionStatus = '{EXECUTION[status]}'")
    if indexed and agent is not None:
        parts.append(f"{AGENT_ATTRIBUTE} = {quote(agent)}")
    if indexed and status == "waiting":
        parts.append(f"{STATUS_ATTRIBUTE} = 'waiting'")
    return " AND ".join(parts)


def quote(text: str) -> str:
    """Write a text as a string of Temporal's list filter."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


async def list_runs(
    client: temporalio.client.Client,
    *,
    agent: str | None,
    status: Status | None,
    limit: int,
    indexed: bool,
) -> list[RunSummary]:
    """List the runs that fit, newest first."""
    query = list_query(agent=agent, status=status, indexed=indexed)
    found: list[RunSummary] = []
    if limit < 1:
        return found
    async for execution in client.list_workflows(query):
        summary = summary_of(execution, agent=await agent_of(execution))
        summary = replace(summary, started=await started_of(execution))
        if agent not in (None, summary.agent) or status not in (None, summary.status):
            continue
        found.append(summary)
        if len(found) >= limit:
            break
    return found


async def find_runs(
    client: temporalio.client.Client, beginning: str, *, indexed: bool
) -> list[str]:
    """List the ids of runs that begin so, the newest first, each once."""
    query = f"{ours(indexed=indexed)} AND WorkflowId STARTS_WITH {quote(beginning)}"
    found: dict[str, None] = {}
    async for execution in client.list_workflows(query):
        found[execution.id] = None
        if len(found) >= _LISTED:
            break
    return list(found)
