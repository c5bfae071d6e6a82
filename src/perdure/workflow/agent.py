"""The workflow that runs any registered agent."""

import asyncio
from collections.abc import Mapping
from typing import cast

from langgraph.types import Command
from temporalio import workflow
from temporalio.exceptions import ApplicationError, is_cancelled_exception

from perdure.core.causes import as_cause, words
from perdure.core.jsons import Json, JsonObject, Raw, shorten
from perdure.core.names import AGENT_WORKFLOW
from perdure.core.pieces import RESULT, TAG
from perdure.core.wire import Status, run_input
from perdure.errors import BadInput, PerdureError
from perdure.workflow.carrying import restore_carry
from perdure.workflow.current import Run, need_run
from perdure.workflow.doors import open_doors
from perdure.workflow.graphs import run_graph
from perdure.workflow.leaving import begin_watch
from perdure.workflow.packing import fit
from perdure.workflow.subagents import report_to_parent
from perdure.workflow.totals import totals_of

SMALL = 4096
"""Bytes up to which a result never refers to the history."""


@workflow.defn(name=AGENT_WORKFLOW, sandboxed=False)
class AgentWorkflow:
    """Run one agent to its end. Its argument is `perdure.core.wire.RunInput` as JSON."""

    @workflow.init
    def __init__(self, start: Raw = None, *_: Raw) -> None:
        self._run = need_run("the agent workflow")
        # Before any handler: a decision may be waiting for an execution that goes on.
        self._unread = take_over(self._run, start)
        self._view = open_doors()

    @workflow.run
    async def run(self, start: Raw = None, *_: Raw) -> Raw:
        """Run the agent; returns the graph's output as JSON.

        Whatever goes wrong fails the run with its cause: an exception that left this method as
        it is would fail the workflow task instead, which Temporal retries for ever.
        """
        try:
            output = await self._finish(start)
        except ApplicationError:
            self._end("failed")
            raise
        except Exception as error:
            if is_cancelled_exception(error):
                self._end("cancelled")
                raise
            self._end("failed")
            raise as_failure(error, self._totals()) from as_cause(error)
        except asyncio.CancelledError as error:
            self._end("cancelled")
            if workflow.cancellation_reason() is None:
                lost = RuntimeError("a node raised CancelledError")
                raise as_failure(lost, self._totals()) from error
            raise
        self._end("done")
        return output

    def _end(self, status: Status) -> None:
        self._view.end(status)
        if self._run.start.stream:
            self._run.outlet.send(self._run.host, "end")

    async def _finish(self, start: Raw) -> Json:
        run = self._run
        if self._unread is not None:
            raise self._unread
        run.start = run_input(start)
        leaving = begin_watch(run)
        watch = None if leaving is None else asyncio.create_task(leaving.watch())
        report_to_parent(run)
        self._view.begin()
        payload = run.codec.decode(run.start.input)
        check_input(run, payload)
        output = await run_graph(run.start.agent, payload)
        if watch is not None:
            watch.cancel()
        data: Json = run.codec.encode(output, what="the result of the run")
        if run.start.nested:
            told: JsonObject = {"output": data, "totals": totals_of(run)}
            data = told
        elif run.start.refer and run.codec.size(data) > SMALL:
            sending = run.codec.shrink({"v": data}, parts=("v",))
            data = {TAG: RESULT, "v": sending.data["v"]}
        fit(run.host.codec, data, what="the result of the run")
        return data

    def _totals(self) -> JsonObject | None:
        """Tell the parent what a nested run used, although it failed."""
        return totals_of(self._run) if self._run.start.nested else None


def take_over(run: Run, start: Raw) -> Exception | None:
    """Take over what the execution before left, if there was one; returns why it cannot be."""
    if not isinstance(start, Mapping) or cast("Mapping[str, Raw]", start).get("carry") is None:
        return None
    try:
        run.start = run_input(start)
        restore_carry(run, thread=run.start.thread or workflow.info().workflow_id)
    except Exception as error:  # noqa: BLE001 - told by `run`, where it fails the run
        return error
    return None


def as_failure(error: Exception, totals: JsonObject | None = None) -> ApplicationError:
    """Turn an exception into a failure that ends the run, with a stable type."""
    details = () if totals is None else (totals,)
    if isinstance(error, PerdureError):
        return ApplicationError(str(error), *details, type=error.code, non_retryable=True)
    text = f"{type(error).__name__}: {words(error)}"
    return ApplicationError(text, *details, type="unexpected", non_retryable=True)


def check_input(run: Run, payload: Raw) -> None:
    """Refuse an input that the graph cannot take.

    Raises:
        BadInput: It is no object, or has no field of the graph's explicit input schema.
    """
    graph = cast("Raw", run.host.graph(run.start.agent))
    builder = getattr(graph, "builder", None)
    schema = getattr(builder, "input_schema", None)
    if builder is None or schema is None or isinstance(payload, Command):
        return
    begun = (run.start.seed, run.start.thread, run.start.carry)
    if payload is None and any(one is not None for one in begun):
        return  # it goes on from where another run stood
    if not isinstance(payload, Mapping):
        raise BadInput(
            f"agent {run.start.agent!r} takes a JSON object, got {shorten(repr(payload))}"
        )
    if schema is getattr(builder, "state_schema", None):
        return  # a state is often started with some of its fields
    required = cast("frozenset[str]", getattr(schema, "__required_keys__", frozenset[str]()))
    given = frozenset(cast("Mapping[str, Raw]", payload))
    missing = sorted(required - given)
    # LangGraph itself takes a part of them: hooks and tools may write the others.
    if missing and not required & given:
        raise BadInput(
            f"agent {run.start.agent!r} needs {', '.join(missing)} in its input; "
            f"it takes {', '.join(sorted(required))}"
        )
