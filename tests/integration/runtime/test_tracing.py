"""OpenTelemetry shows a run as one tree of spans, each made once."""

import asyncio
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from temporalio.testing import WorkflowEnvironment

pytestmark = pytest.mark.timeout(60)
Spans = list[dict[str, Any]]


@pytest_asyncio.fixture(loop_scope="session")
async def spans(
    skipping: WorkflowEnvironment, cache: int, tmp_path: Path, request: pytest.FixtureRequest
) -> Spans:
    """Run an agent in a process of its own: a search between two questions to a model."""
    file = tmp_path / "spans.json"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "integration.runtime.traced"),
        *(skipping.client.service_client.config.target_host, str(cache), str(file)),
        *(["quick"] if getattr(request, "param", False) else []),
        cwd=Path(__file__).parents[2],
        stdout=asyncio.subprocess.DEVNULL,
    )
    assert await process.wait() == 0
    return json.loads(file.read_text("utf-8"))


@pytest.mark.parametrize("spans", [False, True], ids=["ordinary", "quick"], indirect=True)
async def test_a_run_is_one_tree_of_spans_each_made_once(spans: Spans) -> None:
    names = Counter(span["name"] for span in spans)
    assert names == {
        "StartWorkflow:perdure.agent": 1,
        "RunWorkflow:perdure.agent": 1,
        "StartActivity:perdure.model": 2,
        "RunActivity:perdure.model": 2,
        "StartActivity:perdure.tool": 1,
        "RunActivity:perdure.tool": 1,
    }
    assert len({span["trace"] for span in spans}) == 1
    known = {span["id"]: span["name"] for span in spans}
    parents = {span["name"]: known.get(span["parent"]) for span in spans}
    assert parents["StartActivity:perdure.model"] == "RunWorkflow:perdure.agent"
    assert parents["RunActivity:perdure.model"] == "StartActivity:perdure.model"
    last = [span["attributes"] for span in spans if span["name"] == "RunActivity:perdure.model"][-1]
    assert last["gen_ai.operation.name"] == "chat"
    assert last["gen_ai.request.model"] == "m"
    assert last["gen_ai.usage.input_tokens"] == 10
    assert last["gen_ai.usage.output_tokens"] == 5
