"""Run one agent under OpenTelemetry and write its spans to a file.

A process of its own, for the tracer provider can be set once only:

    python -m integration.runtime.traced HOST:PORT CACHED_RUNS FILE
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any
from uuid import uuid4

from langchain.agents import create_agent
from langchain_core.messages import AIMessage
from opentelemetry import trace
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from temporalio.client import Client
from temporalio.worker import Worker

import perdure
from integration.runtime.fakes import Scripted, calls, lines, search
from integration.runtime.harness import HELLO
from perdure.telemetry.spans import create_tracer_provider, note, tracing


def agents() -> perdure.Agents:
    done = AIMessage(
        "done", usage_metadata={"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}
    )
    asked = perdure.model(Scripted(say=lines(calls("search", {"q": "x"}), done)), name="m")
    quick = "quick" in sys.argv
    # A tool that is called with the model has no span of its own.
    made = perdure.Agents(fuse=False)
    made.add("searcher", create_agent(asked, [perdure.tool(search, quick=quick)]))
    return made


async def main(target: str, cached: int) -> list[dict[str, Any]]:
    exporter = InMemorySpanExporter()
    provider = create_tracer_provider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    client = await Client.connect(target, plugins=[tracing()])
    queue = f"traced-{uuid4().hex}"
    plugin = perdure.Plugin(agents(), notify=note)
    async with Worker(client, task_queue=queue, plugins=[plugin], max_cached_workflows=cached):
        start = {"agent": "searcher", "input": HELLO}
        await client.execute_workflow("perdure.agent", start, id=queue, task_queue=queue)
    return [
        {
            "name": span.name,
            "id": span.context.span_id,
            "parent": span.parent.span_id if span.parent else None,
            "trace": span.context.trace_id,
            "attributes": dict(span.attributes or {}),
        }
        for span in exporter.get_finished_spans()
    ]


if __name__ == "__main__":
    found = asyncio.run(main(sys.argv[1], int(sys.argv[2])))
    Path(sys.argv[3]).write_text(json.dumps(found), "utf-8")
