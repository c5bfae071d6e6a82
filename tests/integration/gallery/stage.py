"""Play the gallery in runs, and look at what they did."""

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from conformance.telling import loosen, tell
from gallery.offline.prompt import Prompt
from gallery.offline.server import ModelServer
from integration.gallery.shapes import SHAPES, Turn, turns_of
from perdure.client import Client, RunHandle
from perdure.client.poll import until
from perdure.core.jsons import JsonObject
from perdure.core.ports import Codec

WITHIN = timedelta(seconds=40)


class Asked:
    """A model server that remembers what it was asked, and can hold an answer back."""

    def __init__(self) -> None:
        self.server = ModelServer(before=self._look)
        self.prompts: list[Prompt] = []
        self._gate: Gate | None = None

    @property
    def count(self) -> Counter[Prompt]:
        return Counter(self.prompts)

    @contextmanager
    def held(self, tool: str, number: int) -> Iterator["Gate"]:
        """Hold back the answer to one of the next prompts that must be answered by a tool."""
        gate = self._gate = Gate(tool=tool, left=number)
        try:
            yield gate
        finally:
            self._gate = None
            gate.open.set()

    def _look(self, prompt: Prompt) -> None:
        self.prompts.append(prompt)
        if self._gate is not None:
            self._gate.pass_through(prompt)


@dataclass
class Gate:
    """Where one request waits."""

    tool: str
    left: int
    prompt: Prompt | None = None
    reached: threading.Event = field(default_factory=threading.Event)
    open: threading.Event = field(default_factory=threading.Event)

    def pass_through(self, prompt: Prompt) -> None:
        if prompt.forced != self.tool:
            return
        self.left -= 1
        if self.left == 0:
            self.prompt = prompt
            self.reached.set()
            self.open.wait(WITHIN.total_seconds())

    async def wait(self) -> None:
        assert await asyncio.to_thread(self.reached.wait, WITHIN.total_seconds())


@dataclass(kw_only=True)
class Played:
    """All turns of one shape."""

    outputs: list[Any] = field(default_factory=list[Any])
    runs: list[str] = field(default_factory=list[str])


@dataclass(kw_only=True)
class Show:
    """All shapes, played once, and what the model was asked meanwhile."""

    shapes: dict[str, Played]
    prompts: Counter[Prompt]


@dataclass(kw_only=True)
class Stage:
    """A worker's task queue, and what reads its outputs."""

    client: Client
    queue: str
    codec: Codec

    async def play(self) -> dict[str, Played]:
        """Play all shapes at the same time."""
        played = await asyncio.gather(*(self.play_shape(shape) for shape in SHAPES))
        return dict(zip(SHAPES, played, strict=True))

    async def play_shape(self, shape: str) -> Played:
        """Play the turns of a shape one after the other."""
        played = Played()
        for turn in turns_of(shape):
            run = await self.start(turn)
            if turn.decision is not None:
                await self.decide(run, turn.decision)
            played.outputs.append(await self.output(run))
            played.runs.append(run.run_id)
        return played

    async def start(self, turn: Turn, **more: Any) -> RunHandle:
        return await self.client.start(
            turn.shape, turn.input, thread=turn.thread, task_queue=self.queue, **more
        )

    async def decide(self, run: RunHandle, decision: Any) -> None:
        async def look() -> JsonObject | None:
            inbox = await self.client.questions(run.run_id)
            if not inbox.questions:
                return None
            told = {**decision, "by": "ann"}
            return await self.client.decide(run.run_id, told, asked=inbox.questions[0])

        assert await until(look, within=WITHIN), f"{run.run_id} asks nothing"

    async def output(self, run: RunHandle) -> Any:
        """Wait for the output; told as that of plain LangGraph is."""
        async with asyncio.timeout(WITHIN.total_seconds()):
            return loosen(tell(self.codec.decode(await run.result())))

    async def calls(self, runs: list[str], *kinds: str) -> Counter[str]:
        """Count the activities of runs, of some kinds, by what they call."""
        lines = await asyncio.gather(*(self.client.timeline(run) for run in runs))
        return Counter(call.name for line in lines for call in line.calls if call.kind in kinds)
