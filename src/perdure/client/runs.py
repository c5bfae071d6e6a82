"""Start, follow, list, decide and cancel runs. Caller side; never loads LangGraph."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import cast

import temporalio.client
from temporalio.client import WorkflowExecutionDescription, WorkflowFailureError

from perdure.client import starting
from perdure.client.failures import Failure
from perdure.client.faults import translated
from perdure.client.finding import find_run
from perdure.client.handle import RunHandle
from perdure.client.histories import HistoryCalls
from perdure.client.inbox import (
    NoWorker,
    agent_of,
    all_questions,
    ask_run,
    noted_questions,
    questions_of,
    send_decision,
    started_of,
)
from perdure.client.index import missing_attributes
from perdure.client.listing import list_runs
from perdure.client.payloads import largest
from perdure.client.records import (
    Inbox,
    RunStatus,
    RunSummary,
    Unasked,
    Waiting,
    status_of,
    with_answer,
)
from perdure.client.state import StateCalls, branch, which
from perdure.client.stream import StreamCalls
from perdure.client.threads import OnBusy, ThreadCalls, check_on_busy, start_on_thread
from perdure.client.upkeep import UpkeepCalls
from perdure.core.ahead import Durability, check_durability
from perdure.core.approvals import Decision, parse_decision
from perdure.core.continuing import Continues
from perdure.core.frames import StreamSink
from perdure.core.jsons import Json, JsonObject, Raw
from perdure.core.names import STATUS_QUERY, TASK_QUEUE
from perdure.core.pieces import is_result
from perdure.core.wire import Checkpoints, OnPause, Resume, Status
from perdure.errors import BadInput, RunFailed, RunNotFound

DECIDE_WITHIN = timedelta(seconds=10)
_OPEN: tuple[Status, ...] = ("running", "waiting")


@dataclass
class _Probe:
    missing: list[str] | None = None
    known: bool = False


@dataclass(frozen=True)
class Client(StateCalls, StreamCalls, ThreadCalls, HistoryCalls, UpkeepCalls):
    """Perdure's client, over a connected client of Temporal's."""

    temporal: temporalio.client.Client
    target: str = field(default="Temporal's server", kw_only=True)
    """The server's name in error texts."""
    sink: StreamSink | None = field(default=None, kw_only=True, compare=False)
    """Where the streams of runs are; `stream` reads them there."""
    _probe: _Probe = field(default_factory=_Probe, init=False, repr=False, compare=False)

    async def indexed(self) -> bool:
        """Tell whether runs can be found by search attributes; asks the server once."""
        if not self._probe.known:
            self._probe.missing = await missing_attributes(self.temporal)
            self._probe.known = True
        return self._probe.missing == []

    async def start(
        self,
        agent: str,
        input: Json = None,
        *,
        run_id: str | None = None,
        tenant: str | None = None,
        options: Mapping[str, Json] | None = None,
        recursion_limit: int | None = None,
        resume: Resume = "each",
        context: Json = None,
        config: Mapping[str, Json] | None = None,
        interrupt_before: Sequence[str] = (),
        interrupt_after: Sequence[str] = (),
        thread: str | None = None,
        on_busy: OnBusy = "refuse",
        on_pause: OnPause = "wait",
        checkpoints: Checkpoints = "latest",
        stream: Sequence[str] = (),
        durability: Durability | None = None,
        task_queue: str = TASK_QUEUE,
    ) -> RunHandle:
        """Start a run of a registered agent; returns as soon as the server has recorded it.

        `context` and `config` are those of LangGraph: what a graph with a `context_schema` gets,
        and `configurable`, `tags`, `metadata` and `recursion_limit`. `interrupt_before` and
        `interrupt_after` name nodes at which the run waits for a word to go on; "*" is all.

        `thread` names the conversation that it goes on with, and leaves its state to. Its runs
        follow each other; `on_busy` says what happens while another one has it: "refuse",
        "queue", "interrupt" (cancel that one, keep its state so far) or "rollback" (cancel it
        and drop what it wrote to the thread). `checkpoints` says which ones the thread keeps.
        With `on_pause="return"` a run that needs a person ends, and the next one on the thread
        brings the answer (`{"$": "Command", "resume": ...}`).

        `resume` says when a graph that asks several questions at once goes on: with "each"
        answer as it comes, as LangGraph does, or when "all" have theirs, so that a node that
        still waits is not run again for another one's answer.

        `stream` are LangGraph's stream modes whose parts the run tells, for `Client.stream` to
        read. `durability` is LangGraph's word too; None means what the agent says.

        Raises:
            RunExists: A run of that id is there already, running or ended.
            PayloadTooLarge: The input is larger than what the server takes.
            BadInput: The agent, the run id or the input cannot be used.
            BadOption: An option is unknown or has a wrong value.
            ThreadBusy: Another run has the thread, and `on_busy` is "refuse".
            Unavailable: No worker is up to take the run's place on the thread.
            ServerUnavailable: The server does not answer.
        """
        data = starting.make_input(
            agent,
            input,
            tenant=tenant,
            options=options or {},
            parts=starting.read_config(config or {}, recursion_limit=recursion_limit),
            context=context,
            largest=largest(self.temporal.data_converter),
        )
        wanted = starting.make_run_id(agent) if run_id is None else starting.check_run_id(run_id)
        data = replace(
            data,
            index=await self.indexed(),
            continues=Continues(),
            resume=resume,
            thread=thread,
            on_pause=on_pause,
            checkpoints=checkpoints,
            stream=starting.check_stream(stream),
            durability=None if durability is None else check_durability(durability),
            interrupt_before=starting.check_nodes(interrupt_before, "interrupt_before"),
            interrupt_after=starting.check_nodes(interrupt_after, "interrupt_after"),
        )
        busy = check_on_busy(on_busy)
        with translated(target=self.target, run_id=wanted):
            if thread is None:
                await starting.start(self.temporal, data, run_id=wanted, task_queue=task_queue)
            else:
                await start_on_thread(
                    self.temporal, data, run_id=wanted, task_queue=task_queue, on_busy=busy
                )
        return RunHandle(client=self, run_id=wanted, agent=agent)

    async def result(self, run_id: str) -> Json:
        """Wait for a run's end and return its output, as the JSON that the run wrote.

        Raises:
            RunFailed: It ended without one; the text has the reason and its causes, and
                `failure()` the same as a value.
            RunNotFound: There is no such run.
        """
        handle = self.temporal.get_workflow_handle(run_id)
        try:
            with translated(target=self.target, run_id=run_id):
                told = cast("Json", await handle.result())
            return (await self.timeline(run_id)).result if is_result(told) else told
        except WorkflowFailureError as error:
            failure = await self.failure(run_id)
            words = failure.words() if failure is not None else str(error.cause)
            raise RunFailed(f"run {run_id!r} ended without a result: {words}") from error

    async def failure(self, run_id: str) -> Failure | None:
        """Return why a run ended without a result; None if it has one, or still runs."""
        return (await self.closing(run_id)).failure

    async def output(self, run_id: str) -> Json:
        """Return the output of a run that is done, without waiting; None if there is none."""
        return (await self.closing(run_id)).result

    async def describe(self, run_id: str) -> WorkflowExecutionDescription:
        """Return Temporal's own description of a run.

        Raises:
            RunNotFound: There is no such run.
        """
        with translated(target=self.target, run_id=run_id):
            return await self.temporal.get_workflow_handle(run_id).describe()

    async def status(self, run_id: str) -> RunStatus:
        """Tell where a run stands. A running one is asked itself, if a worker is up.

        Raises:
            RunNotFound: There is no such run.
        """
        execution = await self.describe(run_id)
        agent = await agent_of(execution)
        base = RunStatus(
            run_id=run_id,
            agent=agent,
            status=status_of(execution),
            started=await started_of(execution),
            closed=execution.close_time,
            task_queue=execution.task_queue,
        )
        if base.status not in _OPEN:
            failure = None if base.status == "done" else await self.failure(run_id)
            return replace(base, failure=failure)
        try:
            with translated(target=self.target, run_id=run_id):
                raw = await ask_run(self.temporal, run_id, STATUS_QUERY)
        except NoWorker as reason:
            noted = await noted_questions(execution)
            return replace(base, questions=noted, note=str(reason))
        return with_answer(base, cast("Mapping[str, Raw]", raw))

    async def ls(
        self,
        *,
        agent: str | None = None,
        status: Status | None = None,
        limit: int = 50,
    ) -> list[RunSummary]:
        """List runs, newest first. Temporal's list may lag behind by a second.

        Without search attributes a run that waits for a person is listed as "running".
        """
        with translated(target=self.target):
            return await list_runs(
                self.temporal,
                agent=agent,
                status=status,
                limit=limit,
                indexed=await self.indexed(),
            )

    async def find(self, text: str) -> str:
        """Return the run id that `text` is, or is the beginning of.

        Raises:
            RunNotFound: No run id begins so, or several do; the text lists them.
        """
        return await find_run(self.temporal, text, target=self.target, indexed=self.indexed)

    async def questions(self, run_id: str | None = None) -> Inbox:
        """Return the open questions of one run, or of all.

        Raises:
            RunNotFound: There is no such run.
        """
        if run_id is None:
            with translated(target=self.target):
                return await all_questions(self.temporal, indexed=await self.indexed())
        execution = await self.describe(run_id)
        if status_of(execution) not in _OPEN:
            return Inbox()
        with translated(target=self.target, run_id=run_id):
            questions, reason = await questions_of(self.temporal, execution)
        agent = await agent_of(execution)
        unasked = (Unasked(run_id=run_id, agent=agent, reason=reason),) if reason else ()
        return Inbox(questions=questions, unasked=unasked)

    async def decide(
        self,
        run_id: str,
        decision: Decision | Mapping[str, Json],
        *,
        asked: Waiting | None = None,
        within: timedelta = DECIDE_WITHIN,
    ) -> JsonObject:
        """Answer an open question of a run; returns what the run recorded.

        `asked` is the question as the person saw it; it makes sure that this question is
        answered and no later one. The same decision twice is recorded once.

        Raises:
            Refused: BadDecision, AlreadyDecided, NothingWaiting or NotAllowed; nothing
                changed.
            Unavailable: No worker took the decision `within` this time.
            RunNotFound: There is no such run.
        """
        return await send_decision(
            self.temporal,
            run_id,
            parse_decision(decision),
            asked=asked,
            within=within,
            target=self.target,
        )

    async def cancel(self, run_id: str, *, reason: str = "") -> None:
        """Ask a run to end; it may still finish the call that it is in.

        Raises:
            RunNotFound: There is no such run, or it has ended.
        """
        execution = await self.describe(run_id)
        status = status_of(execution)
        if status not in _OPEN:
            raise RunNotFound(f"run {run_id!r} has ended already ({status}); nothing to cancel")
        with translated(target=self.target, run_id=run_id):
            await self.temporal.get_workflow_handle(run_id).cancel(reason=reason)

    async def fork(
        self,
        run_id: str,
        *,
        from_step: int | None = None,
        checkpoint: str | None = None,
        values: Json = None,
        as_node: str | None = None,
        new_id: str | None = None,
        repeat_effects: bool = False,
    ) -> RunHandle:
        """Start a new run where another one stood after a step; the other one is left alone.

        What was recorded before that step is re-used: no model is paid twice for it. `values`
        changes the state first, as `graph.update_state` would. An effect that the parent did
        after the step counts as done: the same tool with the same arguments gives the parent's
        result, once for each time, unless `repeat_effects` is set.

        Raises:
            As `state`, and as `Client.start`.
        """
        run, agent = await branch(
            self,
            run_id,
            at=which(from_step, checkpoint),
            change=None if values is None else {"values": values, "as_node": as_node},
            new_id=new_id,
            repeat_effects=repeat_effects,
        )
        return RunHandle(client=self, run_id=run, agent=agent)

    async def rewind(
        self,
        run_id: str,
        *,
        to_step: int | None = None,
        checkpoint: str | None = None,
        values: Json = None,
        as_node: str | None = None,
        repeat_effects: bool = False,
    ) -> RunHandle:
        """Let a run go on from an earlier step, under its own id.

        If it still runs it is terminated; the history so far stays readable in Temporal.

        Raises:
            As `fork`.
        """
        if to_step is None and checkpoint is None:
            raise BadInput("rewind: say to which step (to_step=) or checkpoint")
        run, agent = await branch(
            self,
            run_id,
            at=which(to_step, checkpoint),
            change=None if values is None else {"values": values, "as_node": as_node},
            new_id=None,
            repeat_effects=repeat_effects,
            in_place=True,
        )
        return RunHandle(client=self, run_id=run, agent=agent)
