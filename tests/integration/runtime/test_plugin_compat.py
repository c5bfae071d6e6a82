"""An app written for Temporal's own plugin runs on Perdure, with the same results."""

import importlib
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import pytest
from temporalio.worker import Worker

from integration.runtime import foreign
from integration.runtime.harness import Lab, Started
from perdure.errors import BadOption
from perdure.testing.replay import assert_replays
from perdure.worker import plugin_compat
from perdure.worker.plugin_compat import LangGraphPlugin

pytestmark = pytest.mark.timeout(60)
CASES: Mapping[str, tuple[Any, Any]] = {
    "Shout": ("hi", {"text": "HI!", "user": "ann"}),
    "Ask": ("yes", ["sure?", {"text": "x", "answer": "yes"}]),
    "Calculate": (4, 50),
}


async def run_on(lab: Lab, parts: Any, name: str, *arguments: Any) -> tuple[Any, Started | None]:
    """Run one workflow of the app with a plugin; on ours, replay it too."""
    importlib.reload(foreign)  # the other plugin changes the tasks that it is given
    foreign.CHOSEN["parts"] = parts
    plugin = parts.LangGraphPlugin(**foreign.arguments())
    queue = f"queue-{uuid4().hex[:12]}"
    async with Worker(
        lab.client,
        task_queue=queue,
        workflows=list(foreign.WORKFLOWS),
        plugins=[plugin],
        max_cached_workflows=lab.cache,
    ):
        handle = await lab.client.start_workflow(
            name, args=arguments, id=f"run-{uuid4().hex[:12]}", task_queue=queue
        )
        result = await handle.result()
    if parts is not plugin_compat:
        return result, None
    agents = plugin.agents
    history = await handle.fetch_history()
    await assert_replays(agents, history, workflows=list(foreign.WORKFLOWS))
    return result, Started(handle=handle, agents=agents)


@pytest.mark.parametrize("name", CASES)
async def test_a_workflow_of_the_other_plugin_gives_its_result(lab: Lab, name: str) -> None:
    argument, expected = CASES[name]
    assert (await run_on(lab, plugin_compat, name, argument))[0] == expected


async def test_options_go_to_the_activity_as_they_are(lab: Lab) -> None:
    _, run = await run_on(lab, plugin_compat, "Shout", "hi")
    assert run is not None
    (call,) = await run.calls()
    assert call.summary == "shouting hi"
    assert call.at.start_to_close_timeout.ToTimedelta().total_seconds() == 30
    assert call.at.retry_policy.maximum_attempts == 3


async def test_only_the_task_that_says_so_is_an_activity(lab: Lab) -> None:
    _, run = await run_on(lab, plugin_compat, "Calculate", 4)
    assert run is not None
    assert [call.summary for call in await run.calls()] == ["adding"]


async def test_results_go_along_when_the_workflow_continues_as_new(lab: Lab) -> None:
    result, _ = await run_on(lab, plugin_compat, "Remember")
    assert result == 20


@pytest.mark.parametrize("name", CASES)
async def test_the_other_plugin_gives_the_same(lab: Lab, name: str) -> None:
    theirs = importlib.import_module("temporalio.langgraph")
    argument, expected = CASES[name]
    assert (await run_on(lab, theirs, name, argument))[0] == expected


def test_the_app_s_graph_is_not_changed() -> None:
    graph = foreign.shouting()
    before = {name: (spec.runnable, dict(spec.metadata)) for name, spec in graph.nodes.items()}
    LangGraphPlugin(graphs={"shouting": graph})
    after = {name: (spec.runnable, dict(spec.metadata)) for name, spec in graph.nodes.items()}
    assert before == after


def test_a_node_must_say_where_it_runs() -> None:
    graph = foreign.asking()
    graph.nodes["ask"].metadata = {}
    with pytest.raises(BadOption, match=r"node asking.ask lacks 'execute_in'"):
        LangGraphPlugin(graphs={"asking": graph})


def test_a_task_must_say_where_it_runs() -> None:
    with pytest.raises(BadOption, match="task 'add' in activity_options lacks 'execute_in'"):
        LangGraphPlugin(tasks=[foreign.add])


def test_a_streaming_topic_is_refused_by_name() -> None:
    with pytest.raises(BadOption, match=r"streaming_topic='tokens' cannot be kept"):
        LangGraphPlugin(streaming_topic="tokens")


def test_two_forms_of_a_summary_are_refused() -> None:
    graph = foreign.asking()
    graph.nodes["ask"].metadata = {"execute_in": "activity", "summary": "a", "summary_fn": str}
    with pytest.raises(BadOption, match="either 'summary' or 'summary_fn'"):
        LangGraphPlugin(graphs={"asking": graph})
