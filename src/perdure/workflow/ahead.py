"""Let an activity run ahead of the run, and take what it brought. Workflow side.

`durability="async"`: when a model is to be called and nothing else was called since the newest
checkpoint, one activity goes on with the graph from there, as plain LangGraph, until something
comes that is the run's own to do. Its journal holds the replies, which the run then takes.
"""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import cast

from langgraph.pregel import Pregel
from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, is_cancelled_exception
from temporalio.workflow import ActivityCancellationType

from perdure.core.ahead import Durability, Journal, model_key, tool_key
from perdure.core.declared import Declaration
from perdure.core.jsons import Json, JsonObject, Raw
from perdure.core.names import AHEAD_ACTIVITY
from perdure.core.options import MODEL_OPTIONS, CallOptions
from perdure.workflow.current import Run
from perdure.workflow.entries import write_entries
from perdure.workflow.lead import WRONG
from perdure.workflow.packing import sent

LONGEST = timedelta(minutes=30)
"""How long one activity may run ahead."""
_LOSSES = 3
"""Workers that may be lost on the way."""


async def lead_model(run: Run, model: str, packed: JsonObject) -> Json | None:
    """Return a model's reply that is there already, or is brought by running ahead.

    None if the call has to be made the ordinary way.
    """
    lead = run.lead
    if not _may_lead(run):
        return None
    options = packed.get("options", {})
    key = model_key(model, packed["messages"], options, seal=run.codec.seal)
    if lead.under_way is not None:
        await lead.under_way
    found = lead.take("model", key)
    if found is None and lead.may_begin(run.saver.newest):
        await _run_ahead(run)
        found = lead.take("model", key)
        lead.wrong += found is None
    lead.at = run.saver.newest
    return found


def lead_tool(run: Run, declared: Declaration, packed: JsonObject) -> Json | None:
    """Return a tool's result that is there already; None if there is none."""
    run.lead.at = run.saver.newest
    if not run.lead.tools or declared.effect or "live" in packed:
        return None
    call_id = cast("str | None", packed.get("call_id"))
    key = tool_key(declared.name, packed.get("args"), call_id, seal=run.codec.seal)
    return run.lead.take("tool", key)


async def _run_ahead(run: Run) -> None:
    lead = run.lead
    lead.under_way = asyncio.get_running_loop().create_future()
    try:
        lead.bring(await _send(run))
    finally:
        lead.under_way.set_result(None)
        lead.under_way = None


def _may_lead(run: Run) -> bool:
    start = run.start
    if _durability(run) == "sync" or run.drive is None or start.chunks or run.host.remembers:
        return False
    if "messages" in start.stream or "custom" in start.stream:
        return False
    graph = cast("Pregel[Raw, Raw, Raw, Raw]", run.drive.graph)
    return graph.store is None and run.home == start.agent


def _durability(run: Run) -> Durability:
    return run.start.durability or run.host.durability(run.start.agent)


async def _send(run: Run) -> Journal:
    start = run.start
    codec = run.codec
    entries = write_entries(run, run.saver.dump(), what="the state of the run")
    config = {k: v for k, v in cast("Mapping[str, Raw]", run.drive.where).items() if k in _CONFIG}
    request: JsonObject = {
        "agent": start.agent,
        "entries": cast("Json", entries),
        "config": codec.encode(config, what="the config of the run"),
        "context": start.context,
        "before": list(start.interrupt_before),
        "after": list(start.interrupt_after),
        "models": _limits(run),
    }
    if _durability(run) == "exit":
        request["whole"] = True
    try:
        with sent(run, request, parts=("entries",), wide=("config",), what="the state") as data:
            raw = await workflow.execute_activity(
                AHEAD_ACTIVITY,
                data,
                start_to_close_timeout=LONGEST,
                heartbeat_timeout=timedelta(seconds=10),
                retry_policy=RetryPolicy(maximum_attempts=_LOSSES),
                cancellation_type=ActivityCancellationType.TRY_CANCEL,
                summary=f"ahead: {start.agent} from turn {run.turns}",
            )
    except ActivityError as error:
        if is_cancelled_exception(error):
            raise
        workflow.logger.warning("running ahead failed; the run goes alone: %s", error.cause)
        run.lead.wrong = WRONG
        return Journal()
    return Journal.from_json(raw)


_CONFIG = ("configurable", "tags", "metadata", "recursion_limit")


def _limits(run: Run) -> JsonObject:
    """Write how long one attempt of each model may take, where that is not the default."""
    told: JsonObject = {}
    for name in run.host.declared.names("model"):
        entry = run.host.declared.find("model", name)
        if entry is None:
            continue
        limits: CallOptions = run.start.model_override(name).apply(
            entry.override.apply(MODEL_OPTIONS)
        )
        if limits.timeout != MODEL_OPTIONS.timeout:
            told[name] = limits.timeout.total_seconds()
    return told
