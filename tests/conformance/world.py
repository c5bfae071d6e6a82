"""One worker for all cases, and the comparison of the two sides."""

import re
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

from temporalio.worker import Worker

from conformance.case import Case, Plan, all_cases
from conformance.durably import DurableSession, compiled
from conformance.kits import DurableKit, PlainKit
from conformance.plain import PlainSession, play
from conformance.streams import tell_parts
from conformance.telling import loosen, tell
from perdure.client import Client
from perdure.core.jsons import shorten
from perdure.errors import PerdureError, RunFailed
from perdure.worker.agents import Agents
from perdure.worker.plugin import Plugin
from perdure.worker.scan import scan

_ELAPSED = re.compile(r"elapsed: [0-9.]+s")


@dataclass(kw_only=True)
class Seen:
    """What one side showed."""

    output: Any = None
    error: tuple[str, str] | None = None
    """Type and text of the exception; on Perdure the words of the failure."""
    state: Any = None
    states: Any = None
    asked: Any = None
    parts: Any = None


@dataclass
class World:
    """The workers: one for declared parts, one for plain parts that are intercepted."""

    client: Client
    stack: AsyncExitStack
    folder: Path
    agents: dict[bool, Agents] = field(default_factory=dict)
    queues: dict[bool, str] = field(default_factory=dict)
    plans: dict[str, Plan] = field(default_factory=dict)
    alone: dict[str, Agents] = field(default_factory=dict)
    """Each case's own registry, for its replay: the worker's has hundreds of graphs."""
    broken: dict[str, Exception] = field(default_factory=dict)
    """Cases whose graph could not be made, and why."""

    def build(self) -> None:
        """Make the graph of every case, each apart, so that one that fails leaves the rest."""
        for case in all_cases():
            try:
                plan = case.build(DurableKit(case.id))
                if plan.intercept:
                    plan = case.build(PlainKit(case.id))
                plan.graph = compiled(plan.graph)
                alone = Agents(types=plan.types)
                alone.add(case.id, plan.graph)
                for name, graph in plan.others.items():
                    alone.add(name, graph)
                scan(alone, guard="error")
            except Exception as error:  # noqa: BLE001 - it is this case's result
                self.broken[case.id] = error
            else:
                self.plans[case.id], self.alone[case.id] = plan, alone

    async def worker(self, intercept: bool) -> tuple[Agents, str]:
        """Start the worker for one kind of parts, once."""
        if intercept not in self.agents:
            wanted = {key: plan for key, plan in self.plans.items() if plan.intercept == intercept}
            types = [kind for plan in wanted.values() for kind in plan.types]
            agents = Agents(
                types=types,
                stream=self.client.sink,
                store=f"sqlite:///{self.folder}/store-{intercept}.sqlite",
                threads=f"sqlite:///{self.folder}/threads-{intercept}.sqlite",
            )
            for key, plan in wanted.items():
                agents.add(key, plan.graph)
            for plan in self.plans.values():
                for name, graph in plan.others.items():
                    agents.add(name, graph)
            queue = f"conformance-{uuid4().hex[:8]}"
            worker = Worker(
                self.client.temporal,
                task_queue=queue,
                plugins=[Plugin(agents)],
                max_cached_workflows=0,
            )
            await self.stack.enter_async_context(worker)
            self.agents[intercept], self.queues[intercept] = agents, queue
        return self.agents[intercept], self.queues[intercept]

    async def check(self, case: Case) -> None:
        """Run a case on both sides and compare.

        Raises:
            AssertionError: They differ; the text says in what.
        """
        plan = case.build(PlainKit(case.id))
        plain = await see(PlainSession(plan), plan)
        if case.id in self.broken:
            raise AssertionError(f"not built: {words(self.broken[case.id])}")
        durable = self.plans[case.id]
        try:
            agents, queue = await self.worker(durable.intercept)
        except Exception as error:
            raise AssertionError(f"no worker: {words(error)}") from error
        session = DurableSession(
            plan=durable, agent=case.id, agents=agents, client=self.client, queue=queue
        )
        try:
            ours = await see(session, durable)
        finally:
            counted = await session.finish(self.alone[case.id])
        compare(plain, ours)
        if plan.activities is not None:
            assert counted == plan.activities, f"activities: {dict(counted)}"


def words(error: BaseException) -> str:
    """Tell an exception in one line."""
    return shorten(f"{type(error).__name__}: {error}".replace("\n", " "), 300)


async def see(session: Any, plan: Plan) -> Seen:
    """Play a plan on one side."""
    seen = Seen()
    try:
        seen.output = tell(await play(session, plan), ordered=plan.ordered)
    except RunFailed as error:
        seen.error = ("RunFailed", str(error))
    except Exception as error:
        if isinstance(session, DurableSession):
            raise
        seen.error = (type(error).__name__, str(error))
    try:
        if plan.state and plan.scenario is None:
            seen.state = loosen(tell(await session.state(), ordered=plan.ordered))
        if plan.states:
            seen.states = loosen(tell(await session.history(), ordered=plan.ordered))
    except PerdureError as error:
        seen.state = str(error)
    seen.asked = tell(list(session.seen.values()))
    seen.parts = loosen(tell_parts(session.parts))
    return seen


def compare(plain: Seen, ours: Seen) -> None:
    """Compare what two sides showed."""
    if plain.error is None:
        assert ours.error is None, f"it failed: {ours.error[1]}"
    else:
        kind, text = plain.error
        assert ours.error is not None, f"no {kind} was raised, but {ours.output!r} returned"
        said, text = _ELAPSED.sub("", ours.error[1]), _ELAPSED.sub("", text)
        assert kind in said, f"{kind} was not named in: {said}"
        assert shorten(text, 200)[:150] in said, f"{text!r} was not told in: {said}"
    for name in ("output", "state", "states", "asked", "parts"):
        wanted, found = getattr(plain, name), getattr(ours, name)
        assert found == wanted, f"{name}: plain {wanted!r}, here {found!r}"


@asynccontextmanager
async def open_world(client: Client) -> AsyncGenerator[World]:
    """Build every case; the workers end with it."""
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(TemporaryDirectory())
        world = World(client=client, stack=stack, folder=Path(folder))
        world.build()
        yield world
