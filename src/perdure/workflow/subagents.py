"""Run another registered agent as a child of this run. Workflow side."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import cast

from temporalio import workflow
from temporalio.exceptions import (
    ApplicationError,
    ChildWorkflowError,
    FailureError,
    WorkflowAlreadyStartedError,
    is_cancelled_exception,
)
from temporalio.exceptions import TimeoutError as CallTimeout
from temporalio.workflow import ChildWorkflowCancellationType, ParentClosePolicy

from perdure.core.approvals import Question, question_from
from perdure.core.jsons import Json, JsonObject, Raw, shorten
from perdure.core.names import AGENT_MEMO, AGENT_WORKFLOW, CHILD_SIGNAL, DECIDE_SIGNAL
from perdure.core.wire import RunInput
from perdure.errors import TooDeep, ToolFailed
from perdure.workflow.current import Run, need_run
from perdure.workflow.family import Child
from perdure.workflow.packing import fit

DEPTH = 8
"""How deep agents may call one another, unless a tool says otherwise."""


async def run_agent(
    agent: str,
    input: Raw,
    *,
    timeout: timedelta | None = None,  # noqa: ASYNC109 - of the other run, not of this wait
    depth: int = DEPTH,
    task_queue: str | None = None,
    context: Raw = None,
) -> Raw:
    """Run a registered agent as a child workflow, and return its output.

    Call it from a node of a graph or a `@workflow.defn` of your own. The child has a history of
    its own; what it asks, this run asks; cancelling this run cancels it and waits for its end.

    Raises:
        ToolFailed: The agent failed, was cancelled or took longer than `timeout`.
        TooDeep: Agents call one another, more than `depth` deep.
        NotInRun: Called outside a workflow.
    """
    run = need_run("perdure.workflow.run_agent()")
    if run.start.nested >= depth:
        raise TooDeep(
            f"agent {agent!r} would run {run.start.nested + 1} deep; {depth} is the most. Does an "
            "agent call itself without an end? To allow more: depth="
        )
    subject = partial(_told, run, agent, input)
    if (known := run.journal.take("agent", subject)) is not None:
        return _as_before(run, subject, cast("JsonObject", known["result"]))
    await run.journal.passage()
    _listen(run)
    child = _child(run, agent)
    try:
        start = _start(run, agent, input, context)
        told = await asyncio.wait_for(
            _carry_out(run, child, start, task_queue),
            None if timeout is None else timeout.total_seconds(),
        )
    except TimeoutError as error:
        child.status = "timed_out"
        span = f"{cast('timedelta', timeout).total_seconds():g} s"
        failed = f"agent {agent!r} ({child.id}): no end within {span}"
        run.journal.note("agent", subject, {"failed": failed})
        raise ToolFailed(failed) from error
    except ToolFailed as error:
        run.journal.note("agent", subject, {"failed": str(error)})
        raise
    finally:
        _forget(run, child)
    data = cast("Mapping[str, Json]", told)
    run.family.add(data.get("totals"))
    child.status = "done"
    run.journal.note("agent", subject, {"output": data.get("output")})
    _changed(run)
    return run.host.codec.decode(data.get("output"))


def _told(run: Run, agent: str, input: Raw) -> Json:
    return [agent, run.host.codec.encode(input, what=f"the input of agent {agent!r}")]


def _as_before(run: Run, subject: Callable[[], Json], result: JsonObject) -> Raw:
    """Give what the agent gave in an earlier execution of this run."""
    run.journal.note("agent", subject, result)
    if "failed" in result:
        raise ToolFailed(str(result["failed"]))
    return run.host.codec.decode(result.get("output"))


def _child(run: Run, agent: str) -> Child:
    own = workflow.info().workflow_id
    child = Child(id=f"{own}:{agent}-{run.family.next()}", agent=agent)
    run.family.children[child.id] = child
    return child


def _start(run: Run, agent: str, input: Raw, context: Raw) -> JsonObject:
    codec = run.host.codec
    what = f"the input of agent {agent!r}"
    start = RunInput(
        agent=agent,
        input=codec.encode(input, what=what),
        tenant=run.start.tenant,
        raw_options=run.start.raw_options,
        configurable=run.start.configurable,
        tags=run.start.tags,
        metadata=run.start.metadata,
        context=run.start.context if context is None else codec.encode(context, what="context"),
        parent=workflow.info().workflow_id,
        nested=run.start.nested + 1,
        continues=run.start.continues,
    ).to_json()
    fit(codec, start, what=what)
    return start


async def _carry_out(run: Run, child: Child, start: JsonObject, task_queue: str | None) -> Raw:
    try:
        handle = await workflow.start_child_workflow(
            AGENT_WORKFLOW,
            start,
            id=child.id,
            task_queue=task_queue,
            cancellation_type=ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
            parent_close_policy=ParentClosePolicy.REQUEST_CANCEL,
            memo={AGENT_MEMO: child.agent},
            static_summary=shorten(f"agent: {child.agent}", 180),
        )
        child.handle = handle
        return await handle
    except WorkflowAlreadyStartedError as error:
        raise ToolFailed(f"agent {child.agent!r}: a run {child.id!r} is there already") from error
    except ChildWorkflowError as error:
        child.status = "failed"
        cause = error.cause
        if isinstance(cause, ApplicationError) and cause.details:
            run.family.add(cause.details[0])
        _changed(run)
        if is_cancelled_exception(error) and _is_cancelled():
            raise asyncio.CancelledError from error
        raise ToolFailed(f"agent {child.agent!r} ({child.id}) {_words(error)}") from error


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _words(error: ChildWorkflowError) -> str:
    cause = error.cause
    if isinstance(cause, ApplicationError):
        return f"failed: {cause.message}"
    if isinstance(cause, CallTimeout):
        return "timed out"
    if is_cancelled_exception(error):
        return "was cancelled"
    return f"failed: {shorten(str(cause or error), 300)}"


def _listen(run: Run) -> None:
    """Hear what the children ask, once per run."""
    if run.family.listening:
        return
    run.family.listening = True

    def heard(raw: Raw) -> None:
        hear(run, raw)

    workflow.set_signal_handler(CHILD_SIGNAL, heard)


def hear(run: Run, raw: Raw) -> None:
    """Take over what a child asks now; what it asks no more is withdrawn."""
    data = cast("Mapping[str, Raw]", raw if isinstance(raw, Mapping) else {})
    child = run.family.children.get(str(data.get("run")))
    if child is None or child.status != "running":
        return  # it ended meanwhile
    schemas = cast("Mapping[str, Raw]", data.get("schemas") or {})
    asked = [question_from(one) for one in cast("list[Raw]", data.get("questions") or [])]
    mine = {f"{child.agent}-{_number(child)}:{one.id}": one for one in asked}
    for gone in [one for one in child.questions if one not in mine]:
        run.desk.withdraw(gone)
    for own, question in mine.items():
        if own not in child.questions:
            schema = cast("JsonObject | None", schemas.get(question.id))
            tell = partial(_pass_on, child, question)
            run.desk.relay(
                replace(question, id=own, node=_path(child, question)), tell, schema=schema
            )
    child.questions = tuple(mine)


def _number(child: Child) -> str:
    return child.id.rpartition("-")[2]


def _path(child: Child, question: Question) -> str:
    return f"{child.agent} > {question.node}" if question.node else child.agent


def _pass_on(child: Child, question: Question, decision: JsonObject) -> None:
    data = {k: v for k, v in decision.items() if k != "at"} | {"question": question.id}
    # Held by the loop; a child that ended meanwhile cannot hear it.
    asyncio.get_running_loop().create_task(_signal(child.handle, DECIDE_SIGNAL, data))


async def _signal(handle: Raw, name: str, data: JsonObject) -> None:
    try:
        await handle.signal(name, data)
    except FailureError as error:
        workflow.logger.warning("a run that ended could not be told %s: %s", name, error)


def _forget(run: Run, child: Child) -> None:
    for own in child.questions:
        run.desk.withdraw(own)
    child.questions = ()
    if child.status == "running":
        child.status = "ended"


def _changed(run: Run) -> None:
    for call in run.desk.on_change:
        call()


@dataclass
class Reporter:
    """Tell the parent what this run asks, as long as it runs."""

    run: Run
    _told: tuple[str, ...] = ()
    _wanted: tuple[str, ...] = ()
    _task: "asyncio.Task[None] | None" = None

    def changed(self) -> None:
        """Note that the questions may have changed."""
        self._wanted = tuple(question.id for question in self.run.desk.docket.open)
        idle = self._task is None or self._task.done()
        if idle and self._wanted != self._told:
            self._task = asyncio.get_running_loop().create_task(self._tell())

    async def _tell(self) -> None:
        parent = workflow.get_external_workflow_handle(cast("str", self.run.start.parent))
        while self._wanted != self._told:
            self._told = self._wanted
            report: JsonObject = {
                "run": workflow.info().workflow_id,
                "questions": self.run.desk.questions(),
                "schemas": {k: v for k, v in self.run.desk.schemas.items() if k in self._told},
            }
            await _signal(parent, CHILD_SIGNAL, report)


def report_to_parent(run: Run) -> None:
    """Let a nested run tell its parent what it asks."""
    if run.start.nested and run.start.parent:
        run.desk.on_change.append(Reporter(run=run).changed)
