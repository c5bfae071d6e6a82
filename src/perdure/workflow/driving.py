"""Drive one graph through its pauses: run, ask, go on with what was answered. Workflow side."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, cast

from langchain_core.runnables import RunnableConfig
from langgraph.errors import (
    ErrorCode,
    GraphDrained,
    GraphRecursionError,
    create_error_message,
)
from langgraph.pregel import Pregel
from langgraph.types import Command, Interrupt, StateSnapshot
from temporalio import workflow
from temporalio.exceptions import FailureError, is_cancelled_exception

from perdure.core.approvals import Decision, Question
from perdure.core.causes import as_cause, words
from perdure.core.jsons import Json, JsonObject, Raw
from perdure.errors import NodeFailed, PerdureError, Refused
from perdure.workflow.current import Run
from perdure.workflow.dialects import Asked, read_free, read_interrupt
from perdure.workflow.going import go_on
from perdure.workflow.leaving import Leaving
from perdure.workflow.privates import default_recursion_limit
from perdure.workflow.raising import told
from perdure.workflow.streaming import stream_graph
from perdure.workflow.taming import tame
from perdure.workflow.threads import save_last, save_thread

INTERRUPT = "__interrupt__"
Graph = Pregel[Raw, Raw, Raw, Raw]
_DIALECTS = "perdure-dialects"
"""Histories from before have one free question for what is now read as requests."""
_DAY = timedelta(hours=24)
_DRAINED: Final = "perdure: the graph was drained"
"""Stands for the output of a graph that stopped so that the run may go on elsewhere."""


@dataclass(kw_only=True)
class Drive:
    """One graph on its way to the end."""

    run: Run
    graph: Graph
    where: RunnableConfig
    context: Raw = None
    _asked: dict[str, "asyncio.Task[Json]"] = field(default_factory=dict[str, "asyncio.Task[Json]"])
    """What people are being asked, by interrupt id, in the order of asking."""
    waiting: bool = False
    """True while no node runs, so that the state may be changed from outside."""
    first: RunnableConfig | None = None
    """The config of the first call, if it names a checkpoint; the others go on from the newest."""
    moved: bool = False
    """The state was changed from outside; what was asked may no longer be so."""
    rests: bool = False
    """The execution ends while the graph waits for people: nothing in it is to run again."""
    stop: int | None = None
    """The step after which the graph must not go on, if an earlier execution began the call."""
    _ids: dict[str, dict[int, str]] = field(default_factory=dict[str, dict[int, str]])
    """By interrupt, the ids of the questions that it was asked as."""
    _gone: bool = False

    def dump(self) -> JsonObject:
        """Write what the next execution must know of the graph's way."""
        asked: JsonObject = {
            one: {str(number): known for number, known in self._ids.get(one, {}).items()}
            for one in self._asked
        }
        return {"rests": self.rests, "asked": asked, "stop": None if self.rests else self.stop}

    def resume(self, told: Mapping[str, Raw]) -> None:
        """Take over the graph's way where the execution before left it."""
        for one, ids in cast("dict[str, dict[str, str]]", told.get("asked") or {}).items():
            self._ids[one] = {int(number): known for number, known in ids.items()}
        self.rests = told.get("rests") is True
        self.stop = cast("int | None", told.get("stop"))

    async def to_end(self, payload: Raw) -> Raw:
        """Run until nothing is left to do; returns the graph's output."""
        self.run.drive = self
        try:
            while True:
                output = None if self.rests else await self._invoke(payload)
                if output is _DRAINED:
                    await self._leave(rests=False)
                    payload = None
                    continue
                rested, self.rests = self.rests, False
                pauses = await self._pauses(output, rested=rested)
                if not rested:
                    await save_thread(self.run)
                if not pauses or self.run.start.on_pause == "return":
                    return output
                payload = await self._answers(pauses)
        except BaseException as error:
            await save_last(self.run, error)
            raise
        finally:
            for task in () if self._gone else self._asked.values():
                task.cancel()

    async def _leave(self, *, rests: bool) -> None:
        """Go on in a new execution; returns if that cannot be."""
        self.rests = rests
        if not rests:
            await save_thread(self.run)
        await workflow.wait_condition(workflow.all_handlers_finished)
        self.rests = self.rests and not self.moved
        self._gone = True
        go_on(self.run)
        self._gone = self.rests = False

    async def _invoke(self, payload: Raw) -> Raw:
        try:
            return await self._call(payload)
        except GraphDrained:
            if self.run.leaving is None:
                raise
            return _DRAINED
        except (PerdureError, FailureError) as error:
            plain = told(error)
            if plain is error:
                raise
            raise plain from plain.__cause__
        except BaseException as error:
            plain = told(error)
            if plain is not error:
                raise plain from plain.__cause__
            tamed = tame(error)
            if not isinstance(tamed, Exception) or is_cancelled_exception(tamed):
                raise
            raise NodeFailed(_explain(tamed)) from as_cause(error)

    async def _call(self, payload: Raw) -> Raw:
        options: dict[str, Raw] = {}
        if self.context is not None:
            options["context"] = self.context
        if self.run.start.interrupt_before:
            options["interrupt_before"] = _nodes(self.run.start.interrupt_before)
        if self.run.start.interrupt_after:
            options["interrupt_after"] = _nodes(self.run.start.interrupt_after)
        where, self.first = self.first or self.where, None
        leaving = cast("Leaving | None", self.run.leaving)
        if leaving is None:
            return await self._go(payload, where, options)
        answers = payload.resume if isinstance(payload, Command) else None
        leaving.expect(len(cast("Raw", answers)) if isinstance(answers, dict) else 0)
        ceiling, self.stop = self.stop, None
        if ceiling is None:
            self.stop = self._step() + 2 + self._limit(where)
        else:
            self.stop = ceiling
        options["control"] = leaving.control
        task = asyncio.create_task(self._go(payload, where, options))
        while True:
            over = (lambda: self._step() >= ceiling) if ceiling is not None else None
            if not await leaving.first_of(task, over):
                return await task
            if over is not None and over():
                raise GraphRecursionError(
                    create_error_message(
                        message=(
                            f"Recursion limit of {self._limit(where)} reached without hitting a "
                            "stop condition. You can increase the limit by setting the "
                            "`recursion_limit` config key."
                        ),
                        error_code=ErrorCode.GRAPH_RECURSION_LIMIT,
                    )
                )
            await self._leave(rests=False)

    async def _go(self, payload: Raw, where: RunnableConfig, options: Mapping[str, Raw]) -> Raw:
        if self.run.start.stream:
            return await stream_graph(self.run, self.graph, payload, where, options)
        call = cast("Raw", self.graph.ainvoke)
        return await call(payload, where, durability="sync", **options)

    def _step(self) -> int:
        thread = str((self.where.get("configurable") or {})["thread_id"])
        return self.run.saver.step_of((thread, ""))

    def _limit(self, where: RunnableConfig) -> int:
        """Return how many super-steps one call of the graph may take."""
        own = self.graph.config or {}
        given = where.get("recursion_limit") or own.get("recursion_limit")
        return given or default_recursion_limit()

    async def _pauses(
        self, output: Raw, *, rested: bool = False
    ) -> dict[str, tuple[Interrupt | None, Asked]]:
        """List what the graph waits for: its interrupts, or a breakpoint at a node."""
        interrupts: tuple[Interrupt, ...] = ()
        if isinstance(output, dict):
            interrupts = tuple(cast("dict[str, Raw]", output).get(INTERRUPT) or ())
        state = await self.graph.aget_state(self.where)
        if rested:
            interrupts = tuple(one for task in state.tasks for one in task.interrupts)
        if not interrupts and not state.next:
            return {}
        now = workflow.now()
        if not interrupts:
            question = _breakpoint(state)
            return {question.id: (None, Asked(questions=(question,), form="breakpoint"))}
        nodes = {i.id: task.name for task in state.tasks for i in task.interrupts}
        return {i.id: (i, _read(i, now=now, node=nodes.get(i.id))) for i in interrupts}

    async def _answers(self, pauses: Mapping[str, tuple[Interrupt | None, Asked]]) -> Raw:
        """Ask what is not asked yet; returns what the graph goes on with."""
        leaving = cast("Leaving | None", self.run.leaving)
        if leaving is not None and leaving.may_leave():
            await self._leave(rests=not leaving.control.drain_requested)
        for gone in [one for one in self._asked if one not in pauses]:
            self._asked.pop(gone).cancel()
            self._ids.pop(gone, None)
        for one, (interrupt, asked) in pauses.items():
            if one not in self._asked:
                self._asked[one] = asyncio.create_task(self._ask(one, interrupt, asked))
        enough = any if self.run.start.resume == "each" else all
        self.waiting, self.moved = True, False
        await workflow.wait_condition(
            lambda: (
                self.moved
                or (leaving is not None and leaving.may_leave())
                or any(_failed(task) for task in self._asked.values())
                or enough(task.done() for task in self._asked.values())
            )
        )
        self.waiting = False
        if leaving is not None and leaving.may_leave():
            # What was drained beside the questions must go on meanwhile.
            await self._leave(rests=not leaving.control.drain_requested)
            if leaving.is_full():
                raise leaving.refuse()
            return await self._answers(pauses)
        if self.moved:
            return None
        answers: dict[str, Json] = {}
        for one in [one for one, task in self._asked.items() if task.done()]:
            answers[one] = self._asked.pop(one).result()
            self._ids.pop(one, None)
        if any(interrupt is None for interrupt, _ in pauses.values()):
            return None
        return Command(resume=answers)

    async def _ask(self, one: str, interrupt: Interrupt | None, asked: Asked) -> Json:
        decisions = await asyncio.gather(
            *(self._decision(one, number, asked) for number in range(len(asked.questions)))
        )
        if interrupt is not None:
            return asked.answer(*decisions)
        for question, decision in zip(asked.questions, decisions, strict=True):
            if decision.type != "approve":
                raise Refused(f"{question.title}: rejected by {decision.by}")
        return None

    async def _decision(self, one: str, number: int, asked: Asked) -> Decision:
        """Ask one question of an interrupt, or wait for it if an earlier execution asked it."""
        desk, ids = self.run.desk, self._ids.setdefault(one, {})
        question = desk.question(ids[number]) if number in ids else None
        if question is None:
            question = desk.open(asked.questions[number], schema=asked.schema)
            ids[number] = question.id
        return await desk.rejoin(question)


def _read(interrupt: Interrupt, *, now: datetime, node: str | None) -> Asked:
    schema: Raw = getattr(interrupt, "response_schema", None)
    about: dict[str, Raw] = {"id": interrupt.id, "now": now, "node": node}
    asked = read_interrupt(interrupt.value, schema=schema, **about)
    late = asked.form in ("call", "inbox") or len(asked.questions) > 1
    if late and not workflow.patched(_DIALECTS):
        return read_free(interrupt.value, **about)
    return asked


def _failed(task: "asyncio.Task[Json]") -> bool:
    return task.done() and not task.cancelled() and task.exception() is not None


def _nodes(names: tuple[str, ...]) -> Raw:
    return "*" if names == ("*",) else list(names)


def _breakpoint(state: StateSnapshot) -> Question:
    following = ", ".join(state.next)
    parts = state.config.get("configurable") or {}
    now = workflow.now()
    return Question(
        id=f"pause-{parts.get('checkpoint_id')}",
        title=f"paused before {following}",
        allowed=("approve", "reject"),
        asked_at=now,
        deadline=now + _DAY,
        on_deadline="fail",
        node=following,
    )


def _explain(error: Exception) -> str:
    """Name the node that raised; LangGraph notes it on the exception."""
    notes = [n for n in getattr(error, "__notes__", ()) if n.startswith("During task with name")]
    text = f"{type(error).__name__}: {words(error)}"
    if not notes:
        return f"the graph failed: {text}"
    return f"node {notes[0].split(chr(39))[1]!r} failed: {text}"
