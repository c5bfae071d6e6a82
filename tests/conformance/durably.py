"""The durable side: a run on a real worker and server, and what its history says."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from langgraph.graph.state import StateGraph
from temporalio.api.enums.v1 import EventType

from conformance.case import Choose, Paused, Plan
from perdure.client import Client, Part, Reset, starting
from perdure.core.wire import RunInput
from perdure.testing.replay import assert_replays
from perdure.worker.agents import Agents

EVERY = 0.02
WITHIN = 50.0


@dataclass
class DurableSession:
    """One run, or the runs of one thread."""

    plan: Plan
    agent: str
    agents: Agents
    client: Client
    queue: str
    run: str = ""
    runs: list[str] = field(default_factory=list)
    thread: str | None = None
    open: list[Any] = field(default_factory=list)
    seen: dict[Any, Any] = field(default_factory=dict)
    parts: list[Any] = field(default_factory=list)
    _answered: set[Any] = field(default_factory=set)
    _reading: asyncio.Task[None] | None = None
    _reader: "asyncio.Task[None] | None" = None

    def _encode(self, value: Any) -> Any:
        return self.agents.codec.encode(value, what="the input of a case")

    async def start(self, input: Any) -> Any:
        config, plan = self.plan.config, self.plan
        self.run = f"{self.agent}-{uuid4().hex[:8]}"
        self.runs.append(self.run)
        data = RunInput(
            agent=self.agent,
            input=self._encode(input),
            recursion_limit=config.get("recursion_limit"),
            configurable=config.get("configurable") or {},
            context=None if plan.context is None else self._encode(plan.context),
            tags=tuple(config.get("tags") or ()),
            metadata=config.get("metadata") or {},
            interrupt_before=plan.interrupt_before,
            interrupt_after=plan.interrupt_after,
            resume=plan.resume,
            stream=plan.modes,
            thread=self.thread,
        )
        simple = RunInput(
            agent=self.agent,
            input=data.input,
            recursion_limit=data.recursion_limit,
            resume=data.resume,
            thread=data.thread,
            stream=data.stream,
        )
        if data == simple:
            await self.client.start(
                self.agent,
                data.input,
                run_id=self.run,
                recursion_limit=data.recursion_limit,
                resume=data.resume,
                thread=data.thread,
                stream=data.stream,
                task_queue=self.queue,
            )
        else:
            await starting.start(self.client.temporal, data, run_id=self.run, task_queue=self.queue)
        if plan.modes:
            return await self._followed()
        return await self._settled()

    async def _followed(self) -> Any:
        """Read the run's stream while it goes on."""

        async def read() -> None:
            async for event in self.client.stream(self.run, modes=list(self.plan.modes)):
                if isinstance(event, Part) and (self.plan.subgraphs or not event.ns):
                    data = self.agents.codec.decode(event.data)
                    self.parts.append((len(event.ns), event.mode, data))
                elif isinstance(event, Reset):
                    raise AssertionError(f"a part was void: {event}")

        self._reading = asyncio.create_task(read())
        return await self._read_to_end(await self._settled())

    async def _read_to_end(self, output: Any) -> Any:
        """Wait for the last part of a run that is over."""
        if self._reading is not None and not isinstance(output, Paused):
            async with asyncio.timeout(WITHIN):
                await self._reading
        return output

    async def again(self, input: Any) -> Any:
        self.thread = self.thread or f"thread-{self.agent}-{uuid4().hex[:8]}"
        return await self.start(input)

    async def _settled(self) -> Any:
        """Wait for the end or for a new pause."""
        result = asyncio.create_task(self.client.result(self.run))
        try:
            async with asyncio.timeout(WITHIN):
                if self.plan.answers is None and self.plan.scenario is None:
                    return self.agents.codec.decode(await result)
                while True:
                    await asyncio.wait([result], timeout=EVERY)
                    if result.done():
                        return self.agents.codec.decode(result.result())
                    if asked := await self._asked():
                        return Paused(asked=asked)
        finally:
            result.cancel()

    async def _asked(self) -> tuple[Any, ...]:
        inbox = await self.client.questions(self.run)
        fresh = [q for q in inbox.questions if (q.id, q.text, q.asked_at) not in self._answered]
        if not fresh:
            return ()
        state = await self.client.state(self.run)
        values: dict[str, Any] = {}
        for task in state.tasks:
            for one in task["interrupts"]:
                values[one["id"]] = self.agents.codec.decode(one["value"])
        asked: list[Any] = []
        self.open = sorted(fresh, key=lambda q: str(values.get(of(q), q.text)))
        for interrupt in dict.fromkeys(of(question) for question in self.open):
            if interrupt.startswith("pause-"):
                continue
            value = values[interrupt]
            self.seen.setdefault((interrupt, str(value)), value)
            asked.append(value)
        # A breakpoint asks nothing: it is answered by going on.
        return tuple(asked) if asked else (None,)

    async def answer(self, *answers: Any) -> Any:
        asked = list(self.open)
        for interrupt, answer in zip(dict.fromkeys(map(of, asked)), answers, strict=False):
            parts = [question for question in asked if of(question) == interrupt]
            several = answer if len(parts) > 1 else [answer]
            for question, one in zip(parts, several, strict=True):
                self._answered.add((question.id, question.text, question.asked_at))
                decision = {**decide(question, one), "question": question.id, "by": "ann"}
                await self.client.decide(self.run, decision)
        return await self._read_to_end(await self._settled())

    async def state(self, step: int | None = None) -> Any:
        return self._told(await self.client.state(self.run, step=step))

    async def history(self) -> Any:
        return [self._told(one) for one in await self.client.state_history(self.run)]

    def _told(self, state: Any) -> Any:
        return {
            "values": self.agents.codec.decode(state.values),
            "next": list(state.next),
            "step": state.step,
            "source": state.source,
        }

    async def update(self, values: Any, as_node: str | None = None) -> Any:
        for question in self.open:
            self._answered.add((question.id, question.text, question.asked_at))
        await self.client.update_state(self.run, self._encode(values), as_node=as_node)
        return await self._settled()

    async def fork(self, step: int, values: Any = None, as_node: str | None = None) -> Any:
        handle = await self.client.fork(
            self.run,
            from_step=step,
            values=None if values is None else self._encode(values),
            as_node=as_node,
        )
        self.run = handle.run_id
        self.runs.append(self.run)
        self._answered.clear()
        return await self._settled()

    async def finish(self, agents: Agents) -> Counter[str]:
        """End what still runs, replay every run; returns the activities by kind."""
        if self._reading is not None:
            self._reading.cancel()
        counted: Counter[str] = Counter()
        for run in self.runs:
            handle = self.client.temporal.get_workflow_handle(run)
            if (await handle.describe()).close_time is None:
                await handle.terminate("the case is over")
            history = await handle.fetch_history()
            bad = EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED
            failed = [
                event.workflow_task_failed_event_attributes.failure.message
                for event in history.events
                if event.event_type == bad
            ]
            assert failed == [], f"a workflow task failed: {failed[0][:300]}"
            for event in history.events:
                if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
                    name = event.activity_task_scheduled_event_attributes.activity_type.name
                    counted[name.removeprefix("perdure.")] += 1
            await assert_replays(agents, history)
        return counted


def of(question: Any) -> str:
    """Name the interrupt of a question; one interrupt may ask about several calls."""
    return str(question.id).partition(".")[0]


def decide(question: Any, answer: Any) -> dict[str, Any]:
    """Write an answer as a decision."""
    if isinstance(answer, Choose):
        told: dict[str, Any] = {"type": answer.type}
        if answer.args is not None:
            told["args"] = dict(answer.args)
        if answer.message is not None:
            told["message"] = answer.message
        return told
    if "respond" not in question.allowed:
        return {"type": "approve"}
    return {"type": "respond", "value": answer}


def compiled(made: Any) -> Any:
    """Compile a graph that is not."""
    return made.compile() if isinstance(made, StateGraph) else made
