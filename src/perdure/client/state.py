"""The state of a run's graph: read it, change it, fork from it, go back to it. Caller side."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Protocol, cast
from uuid import uuid4

import temporalio.client
from temporalio.common import WorkflowIDReusePolicy

from perdure.client import starting
from perdure.client.failures import refusal
from perdure.client.faults import translated
from perdure.client.inbox import NoWorker, ask_run, send_update
from perdure.core.continuing import Continues
from perdure.core.jsons import Json, JsonObject, Raw, as_object
from perdure.core.names import (
    CHECKPOINT_QUERY,
    HISTORY_QUERY,
    STATE_QUERY,
    UPDATE_STATE_UPDATE,
)
from perdure.core.wire import run_input
from perdure.errors import BadInput, Unavailable

ANSWER_WITHIN = timedelta(seconds=10)


@dataclass(frozen=True, kw_only=True)
class RunState:
    """The state of a run's graph at one step, as `graph.get_state` tells it."""

    values: Json
    """The channels' values; what JSON cannot say is tagged, as everywhere on the wire."""
    next: tuple[str, ...]
    """The nodes that come next; empty at the end."""
    checkpoint: str | None
    parent: str | None
    step: int | None
    source: str | None
    created_at: str | None
    tasks: tuple[JsonObject, ...] = ()

    def to_json(self) -> JsonObject:
        """Write the state as JSON."""
        return {
            "values": self.values,
            "next": list(self.next),
            "checkpoint": self.checkpoint,
            "parent": self.parent,
            "step": self.step,
            "source": self.source,
            "created_at": self.created_at,
            "tasks": list(self.tasks),
        }


class Connected(Protocol):
    """A client that knows its server."""

    @property
    def temporal(self) -> temporalio.client.Client:
        """Temporal's own client."""
        ...

    @property
    def target(self) -> str:
        """The server's name in error texts."""
        ...


class StateCalls:
    """The part of the client that deals with states. Runs that ended answer within retention."""

    async def state(
        self: Connected, run_id: str, *, step: int | None = None, checkpoint: str | None = None
    ) -> RunState:
        """Return the newest state of a run's graph, or that of a step or checkpoint.

        Raises:
            NothingWaiting: The run has no state yet.
            BadInput: It has no such step or checkpoint.
            Unavailable: No worker that knows the agent answered.
            RunNotFound: There is no such run.
        """
        return _state(await _ask(self, run_id, STATE_QUERY, which(step, checkpoint)))

    async def state_history(
        self: Connected, run_id: str, *, limit: int | None = None, before: str | None = None
    ) -> list[RunState]:
        """List the states of a run's graph, newest first; `before` is a checkpoint's id.

        Raises:
            As `state`.
        """
        states: list[RunState] = []
        while limit is None or len(states) < limit:
            left = None if limit is None else limit - len(states)
            answer = await _ask(self, run_id, HISTORY_QUERY, {"before": before, "limit": left})
            states += [_state(one) for one in cast("list[JsonObject]", answer["states"])]
            before = cast("str | None", answer["more"])
            if before is None:
                break
        return states

    async def update_state(
        self: Connected,
        run_id: str,
        values: Json,
        *,
        as_node: str | None = None,
        checkpoint: str | None = None,
        within: timedelta = ANSWER_WITHIN,
    ) -> str:
        """Change the state of a run that waits, as `graph.update_state`; returns the checkpoint.

        The run goes on from the changed state: what it asked before is asked again only if the
        graph comes to it again. `checkpoint` changes the state as it was then.

        Raises:
            RunBusy: A node is running; nothing was changed.
            Refused: The change does not fit the graph; nothing was changed.
            Unavailable: No worker took it within the time.
        """
        request: JsonObject = {"values": values, "as_node": as_node, "checkpoint": checkpoint}
        silent = Unavailable(
            f"no worker changed the state of {run_id!r} within {within.total_seconds():g} s; "
            "start one (`perdure worker APP`) and look at the state before trying again"
        )
        answer = await send_update(
            self.temporal,
            run_id,
            UPDATE_STATE_UPDATE,
            request,
            f"state-{uuid4().hex}",
            within=within,
            target=self.target,
            silent=silent,
        )
        return str(as_object(answer, what="the run's answer")["checkpoint"])


async def branch(
    client: Connected,
    run_id: str,
    *,
    at: JsonObject,
    change: JsonObject | None,
    new_id: str | None,
    repeat_effects: bool,
    in_place: bool = False,
) -> tuple[str, str]:
    """Start a run from a state of another one; returns its id and its agent."""
    seed = await _ask(client, run_id, CHECKPOINT_QUERY, at)
    start = run_input(seed.pop("start"))
    seed["update"] = change
    seed["from"] = run_id
    if repeat_effects:
        seed["effects"] = []
    data = replace(
        start,
        input=None,
        seed=seed,
        parent=run_id,
        thread=None,
        continues=start.continues or Continues(),
    )
    starting.check_size(data)
    execution = await client.temporal.get_workflow_handle(run_id).describe()
    wanted = run_id if in_place else new_id or starting.make_run_id(start.agent)
    with translated(target=client.target, run_id=wanted):
        if in_place and execution.close_time is None:
            handle = client.temporal.get_workflow_handle(run_id, run_id=execution.run_id)
            await handle.terminate(reason=f"rewound to step {seed['step']}")
        await starting.start(
            client.temporal,
            data,
            run_id=starting.check_run_id(wanted),
            task_queue=execution.task_queue,
            reuse=WorkflowIDReusePolicy.ALLOW_DUPLICATE
            if in_place
            else WorkflowIDReusePolicy.REJECT_DUPLICATE,
        )
    return wanted, start.agent


async def _ask(client: Connected, run_id: str, query: str, request: JsonObject) -> JsonObject:
    try:
        with translated(target=client.target, run_id=run_id):
            raw = await ask_run(client.temporal, run_id, query, request, within=ANSWER_WITHIN)
    except NoWorker as reason:
        raise Unavailable(
            f"the state of {run_id!r} cannot be read: {reason}. Start a worker that knows the "
            "agent (`perdure worker APP`)"
        ) from reason
    answer = as_object(raw, what="the run's answer")
    code = answer.get("refused")
    if code is not None:
        text = str(answer.get("text"))
        raise BadInput(text) if code == BadInput.code else refusal(str(code), text)
    return answer


def which(step: int | None, checkpoint: str | None) -> JsonObject:
    """Say which state is meant: the newest, that of a step, or one checkpoint."""
    return {"step": step, "checkpoint": checkpoint}


def _state(data: Mapping[str, Raw]) -> RunState:
    return RunState(
        values=data.get("values"),
        next=tuple(data.get("next") or ()),
        checkpoint=data.get("checkpoint"),
        parent=data.get("parent"),
        step=data.get("step"),
        source=data.get("source"),
        created_at=data.get("created_at"),
        tasks=tuple(data.get("tasks") or ()),
    )
