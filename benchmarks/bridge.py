"""CPU of one model call from sync code, through the bridge, beside that of the awaited call.

Runs in one process: a workflow's event loop, the graph's node and a declared model, with the
activity answered at once. Prints one JSON object. Run it: python benchmarks/bridge.py
"""

import asyncio
import json
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import copy_context

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatResult

from perdure.workflow import bridge, redirects

CALLS = 300
ROUNDS = 3
NOTHING = 5000

Loop = asyncio.AbstractEventLoop
Start = Callable[[Loop], Awaitable[object]]


class Answering(BaseChatModel):
    """A chat model whose call waits for the loop once, as a call of an activity does."""

    @property
    def _llm_type(self) -> str:
        return "answering"

    async def _agenerate(self, *_: object, **__: object) -> ChatResult:
        await asyncio.sleep(0)
        return ChatResult(generations=[ChatGeneration(message=AIMessage("yes"))])

    def _generate(self, messages: list[BaseMessage], *_: object, **__: object) -> ChatResult:
        return bridge.wait_for(self._agenerate(messages), what="the benchmark")


MODEL = Answering()
ASKED = [HumanMessage("hello")]


async def awaited(count: int) -> None:
    for _ in range(count):
        await MODEL.ainvoke(ASKED)


def blocking(count: int) -> None:
    for _ in range(count):
        MODEL.invoke(ASKED)


async def blocking_in_a_task(count: int) -> None:
    blocking(count)


async def later() -> None:
    await asyncio.sleep(0)


def wait_only(count: int) -> None:
    for _ in range(count):
        bridge.wait_for(later(), what="the benchmark")


async def await_only(count: int) -> None:
    for _ in range(count):
        await later()


def as_task(loop: Loop, coro: Coroutine[object, object, None]) -> Awaitable[None]:
    context = copy_context()
    stranded = bridge.Stranded(coro, loop, context)
    return loop.create_task(stranded, context=context)


def measure(start: Start, count: int) -> float:
    """Return the CPU microseconds of one call."""

    async def main() -> float:
        began = time.process_time_ns()
        await start(asyncio.get_running_loop())
        return (time.process_time_ns() - began) / count / 1000

    return asyncio.run(main())


def main() -> None:
    redirects.install()
    ways: dict[str, tuple[Start, int]] = {
        "model.ainvoke": (lambda loop: as_task(loop, awaited(CALLS)), CALLS),
        "model.invoke in def": (lambda loop: bridge.start(loop, blocking, (CALLS,)), CALLS),
        "model.invoke in async def": (
            lambda loop: as_task(loop, blocking_in_a_task(CALLS)),
            CALLS,
        ),
        "await alone": (lambda loop: loop.create_task(await_only(NOTHING)), NOTHING),
        "await alone on a strand": (lambda loop: as_task(loop, await_only(NOTHING)), NOTHING),
        "wait alone": (lambda loop: bridge.start(loop, wait_only, (NOTHING,)), NOTHING),
    }
    rounds = [{name: measure(*way) for name, way in ways.items()} for _ in range(ROUNDS)]
    found = {name: round(statistics.median(one[name] for one in rounds), 2) for name in ways}
    ratio = found["model.invoke in def"] / found["model.ainvoke"]
    report = {"cpu_us_per_call": found, "sync_over_async": round(ratio, 3), "rounds": ROUNDS}
    sys.stdout.write(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
