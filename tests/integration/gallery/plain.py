"""Run the whole gallery on plain LangGraph, in a process that has never heard of Perdure."""

import asyncio
import importlib.util
import json
import sys
from itertools import count
from typing import Any

from langgraph.checkpoint.memory import InMemorySaver
from langgraph.store.memory import InMemoryStore
from langgraph.types import Command

from conformance.telling import loosen, tell
from integration.gallery.shapes import GALLERY, SHAPES, turns_of

_FRESH = count()


def load(shape: str) -> Any:
    """Load a graph from where `langgraph.json` says, with LangGraph's own stores in memory."""
    place = json.loads((GALLERY / "langgraph.json").read_text("utf-8"))["graphs"][shape]
    file, _, variable = place.partition(":")
    spec = importlib.util.spec_from_file_location(shape, GALLERY / file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    graph = getattr(module, variable)
    return graph.copy({"checkpointer": InMemorySaver(), "store": InMemoryStore()})


async def play(shape: str) -> list[Any]:
    """Run all turns; returns their outputs."""
    graph = load(shape)
    outputs: list[Any] = []
    for turn in turns_of(shape):
        here = {"configurable": {"thread_id": turn.thread or f"own-{next(_FRESH)}"}}
        output = await graph.ainvoke(turn.input, here)
        if turn.decision is not None:
            assert "__interrupt__" in output
            output = await graph.ainvoke(Command(resume=turn.resume), here)
        outputs.append(loosen(tell(output)))
    return outputs


async def main() -> None:
    outputs = {shape: await play(shape) for shape in SHAPES}
    assert "perdure" not in sys.modules
    print(json.dumps(outputs))  # noqa: T201


asyncio.run(main())
