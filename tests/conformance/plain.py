"""The plain side: LangGraph in this process, with its own saver in memory."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph.state import StateGraph
from langgraph.types import Command, Interrupt

from conformance.case import Choose, Paused, Plan

_NUMBERS = count(1)
_PAUSES = 40


@dataclass
class PlainSession:
    """One thread."""

    plan: Plan
    graph: Any = None
    thread: str = field(default_factory=lambda: f"plain-{next(_NUMBERS)}")
    parts: list[Any] = field(default_factory=list)
    seen: dict[Any, Any] = field(default_factory=dict)
    """What was asked, by interrupt and text."""

    def __post_init__(self) -> None:
        made = self.plan.graph
        compiled = made.compile() if isinstance(made, StateGraph) else made
        self.graph = compiled.copy(
            {"checkpointer": InMemorySaver() if self.plan.checkpoints else None}
        )

    @property
    def where(self) -> Any:
        given = dict(self.plan.config)
        own = {**given.pop("configurable", {}), "thread_id": self.thread}
        return {**given, "configurable": own}

    async def call(self, payload: Any) -> Any:
        """Run to the end or to a pause; returns what to tell of it."""
        options: dict[str, Any] = {}
        if self.plan.context is not None:
            options["context"] = self.plan.context
        for name in ("interrupt_before", "interrupt_after"):
            if nodes := getattr(self.plan, name):
                options[name] = "*" if nodes == ("*",) else list(nodes)
        if self.plan.modes:
            output = await self._stream(payload, options)
        else:
            if self.plan.checkpoints:
                options["durability"] = "sync"
            output = await self.graph.ainvoke(payload, self.where, **options)
        return await self._pause(output)

    async def _stream(self, payload: Any, options: dict[str, Any]) -> Any:
        modes = list(dict.fromkeys([*self.plan.modes, "values"]))
        output: Any = None
        async for part in self.graph.astream(
            payload, self.where, stream_mode=modes, subgraphs=True, **options
        ):
            ns, mode, data = part
            if mode == "values" and not ns:
                output = data
            if mode in self.plan.modes and (self.plan.subgraphs or not ns):
                self.parts.append((len(ns), mode, data))
        return output

    async def _pause(self, output: Any) -> Any:
        if not self.plan.checkpoints:
            return output
        state = await self.graph.aget_state(self.where)
        found: list[Interrupt] = [i for task in state.tasks for i in task.interrupts]
        if not found and not state.next:
            return output
        self.open = sorted(found, key=lambda one: str(one.value))
        for one in self.open:
            self.seen.setdefault((one.id, str(one.value)), one.value)
        return Paused(asked=tuple(one.value for one in self.open))

    async def start(self, input: Any) -> Any:
        return await self.call(input)

    async def again(self, input: Any) -> Any:
        return await self.call(input)

    async def answer(self, *answers: Any) -> Any:
        if not self.open:
            return await self.call(None)
        told = {one.id: form(answer) for one, answer in zip(self.open, answers, strict=False)}
        return await self.call(Command(resume=told))

    async def state(self, step: int | None = None) -> Any:
        return told_state(await self._snapshot(step))

    async def history(self) -> Any:
        return [told_state(one) async for one in self.graph.aget_state_history(self.where)]

    async def update(self, values: Any, as_node: str | None = None) -> Any:
        await self.graph.aupdate_state(self.where, values, as_node)
        return await self.call(None)

    async def fork(self, step: int, values: Any = None, as_node: str | None = None) -> Any:
        config = (await self._snapshot(step)).config
        if values is not None:
            config = await self.graph.aupdate_state(config, values, as_node)
        output = await self.graph.ainvoke(None, config, durability="sync")
        return await self._pause(output)

    async def _snapshot(self, step: int | None) -> Any:
        if step is None:
            return await self.graph.aget_state(self.where)
        async for one in self.graph.aget_state_history(self.where):
            if one.metadata["step"] == step:
                return one
        raise AssertionError(f"no step {step}")


def form(answer: Any) -> Any:
    """Write an answer as plain LangGraph is given it."""
    if isinstance(answer, list) and answer and all(isinstance(one, Choose) for one in answer):
        return {"decisions": [one for part in answer for one in form(part)["decisions"]]}
    if not isinstance(answer, Choose):
        return answer
    if answer.type == "approve":
        told: dict[str, Any] = {"type": "approve"}
    elif answer.type == "edit":
        told = {
            "type": "edit",
            "edited_action": {"name": answer.name, "args": dict(answer.args or {})},
        }
    else:
        told = {"type": answer.type, "message": answer.message}
    return {"decisions": [told]}


def told_state(snapshot: Any) -> dict[str, Any]:
    """Tell of a state what both sides have."""
    metadata = snapshot.metadata or {}
    return {
        "values": snapshot.values,
        "next": list(snapshot.next),
        "step": metadata.get("step"),
        "source": metadata.get("source"),
    }


async def play(session: Any, plan: Plan) -> Any:
    """Run a plan on a session: its scenario, or one run with all its answers."""
    if plan.scenario is not None:
        return await plan.scenario(session)
    output = await session.start(plan.input)
    script = Script(plan)
    for _ in range(_PAUSES):
        if not isinstance(output, Paused):
            return output
        output = await session.answer(*script.answers(output))
    raise AssertionError(f"still asking after {_PAUSES} pauses: {output!r}")


@dataclass
class Script:
    """Hands out the answers of a plan."""

    plan: Plan
    used: dict[str, int] = field(default_factory=dict)

    def answers(self, paused: Paused) -> list[Any]:
        asked = paused.asked if self.plan.resume == "all" else paused.asked[:1]
        return [self._next(value) for value in asked]

    def _next(self, value: Any) -> Any:
        given = self.plan.answers
        assert given is not None, f"nothing to answer {value!r} with"
        if isinstance(given, Mapping):
            found = given[str(value)]
            several = isinstance(found, list)
            return found[self._count(str(value))] if several else found
        return given[self._count("")]

    def _count(self, key: str) -> int:
        number = self.used.get(key, 0)
        self.used[key] = number + 1
        return number
