"""Keys are changed, lost, wrong, or another tenant's; runs go on, or wait to be helped."""

from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.messages import HumanMessage
from temporalio.client import WorkflowExecutionStatus

import perdure
from integration.payloads.lab import (
    NEW,
    OLD,
    OTHER,
    Lab,
    Runs,
    blobs_in,
    payloads_in,
    raw_history,
    ring,
)
from integration.runtime.fakes import chain, model, sole
from integration.runtime.harness import WITHIN, is_failed_task
from perdure import Key, Whose
from perdure.client.poll import until
from perdure.core.names import DECIDE_SIGNAL
from perdure.errors import BadOption, KeyMissing, Undecryptable
from perdure.testing.replay import assert_run_replays
from perdure.worker.factory import make_worker

pytestmark = pytest.mark.timeout(60)
State = dict[str, Any]
LARGE = "y" * 200_000


def hello(text: str) -> State:
    return {"messages": [{"role": "user", "content": text}]}


def asking() -> perdure.Agents:
    def node(state: State) -> State:
        answer = perdure.ask("well?", allowed=("respond",))
        return {"messages": [HumanMessage(f"{answer.value} {len(state['messages'][0].text)}")]}

    return chain(node)


def answering() -> perdure.Agents:
    return sole(create_agent(model("hi"), []))


async def open_question(runs: Runs, run_id: str) -> Any:
    async def look() -> Any:
        return (await runs.client.questions(run_id)).questions or None

    found = await until(look, within=WITHIN)
    assert found, "no question"
    return found[0]


async def stuck(lab: Lab, runs: Runs, run_id: str) -> None:
    """Wait until the workflow task of a run has failed at least once."""

    async def look() -> bool | None:
        told = await runs.client.temporal.get_workflow_handle(run_id).describe()
        return told.raw_description.pending_workflow_task.attempt > 1 or None

    assert await until(look, within=WITHIN), "its task did not fail"


async def test_a_run_goes_on_under_a_new_key(lab: Lab):
    agents = asking()
    async with lab.worker(agents, lab.payloads(keys=ring(OLD)), check=False) as runs:
        run = await runs.start("graph", hello(LARGE))
        await open_question(runs, run.run_id)
        queue = runs.queue
    async with lab.worker(agents, lab.payloads(keys=ring(NEW, OLD)), queue=queue) as runs:
        await runs.client.decide(run.run_id, {"type": "respond", "value": "yes", "by": "ann"})
        assert "yes 200000" in str(await runs.client.result(run.run_id))
        history = await raw_history(await lab.plain(), run.run_id)
        ids = [
            p.metadata["key"] for e in history.events for p in payloads_in(e) if "key" in p.metadata
        ]
        assert (ids[0], ids[-1]) == (b"old", b"new")


async def test_after_a_rotation_a_large_value_is_written_under_the_new_key(lab: Lab):
    """Otherwise a new run would need the old key for a value that it has in common."""
    agents = answering()
    async with lab.worker(agents, lab.payloads(keys=ring(OLD))) as runs:
        await runs.result("graph", hello(LARGE))
    async with lab.worker(agents, lab.payloads(keys=ring(NEW, OLD))) as runs:
        run = await runs.start("graph", hello(LARGE))
        await run.result()
    kept = perdure.Keyring([NEW], seal=ring(OLD).seal)
    client = await lab.client(lab.payloads(keys=kept))
    assert "hi" in str(await client.result(run.run_id))


async def test_equal_values_are_stored_once(lab: Lab):
    async with lab.worker(answering(), lab.payloads(keys=ring(NEW))) as runs:
        await runs.result("graph", hello(LARGE))
        before = len(blobs_in(lab.folder))
        await runs.result("graph", hello(LARGE), run_id=None)
        # The input names nothing of the run, so it is the same; the output has message ids.
        assert len(blobs_in(lab.folder)) < 2 * before


async def test_a_run_whose_key_is_gone_waits_for_it(lab: Lab):
    agents = asking()
    async with lab.worker(agents, lab.payloads(keys=ring(OLD)), check=False) as runs:
        run = await runs.start("graph", hello(LARGE))
        await open_question(runs, run.run_id)
        queue = runs.queue
    lost = lab.payloads(keys=ring(NEW))
    async with lab.worker(agents, lost, queue=queue, check=False) as runs:
        handle = runs.client.temporal.get_workflow_handle(run.run_id)
        await handle.signal(DECIDE_SIGNAL, {"type": "respond", "value": "yes", "by": "ann"})
        await stuck(lab, runs, run.run_id)
        told = await handle.describe()
        assert told.status == WorkflowExecutionStatus.RUNNING
        history = await raw_history(await lab.plain(), run.run_id)
        failed = [e for e in history.events if is_failed_task(e)]
        text = failed[0].workflow_task_failed_event_attributes.failure.message
        assert "key 'old', which this process does not have" in text
    async with lab.worker(agents, lab.payloads(keys=ring(NEW, OLD)), queue=queue) as runs:
        assert "yes 200000" in str(await runs.client.result(run.run_id))
        await assert_run_replays(agents, runs.client.temporal, run.run_id)


async def test_a_client_without_the_key_is_told_which_one_and_what_to_do(lab: Lab):
    async with lab.worker(answering(), lab.payloads(keys=ring(OLD))) as runs:
        run = await runs.start("graph", hello("x"))
        await run.result()
    client = await lab.client(lab.payloads(keys=ring(NEW)))
    with pytest.raises(
        KeyMissing, match=r"key 'old', which this process does not have.*PERDURE_KEYS"
    ):
        await client.result(run.run_id)


async def test_a_client_without_keys_is_told_the_same(lab: Lab):
    async with lab.worker(answering(), lab.payloads(keys=ring(OLD))) as runs:
        run = await runs.start("graph", hello("x"))
        await run.result()
    client = await lab.client(lab.payloads())
    with pytest.raises(KeyMissing, match="'old'"):
        await client.result(run.run_id)


async def test_a_time_line_without_keys_names_the_key_in_place_of_the_values(lab: Lab):
    async with lab.worker(answering(), lab.payloads(keys=ring(OLD))) as runs:
        run = await runs.start("graph", hello("x"))
        await run.result()
    line = await (await lab.client(lab.payloads())).timeline(run.run_id)
    assert line.result == "(unreadable: perdure/aes-gcm, key 'old')"


async def test_a_list_without_keys_shows_the_runs_all_the_same(lab: Lab):
    async with lab.worker(answering(), lab.payloads(keys=ring(OLD))) as runs:
        run = await runs.start("graph", hello("x"))
        await run.result()
    client = await lab.client(lab.payloads())

    async def listed() -> Any:
        found = [row for row in await client.ls() if row.run_id == run.run_id]
        return found or None

    rows = await until(listed, within=WITHIN)
    assert [row.agent for row in rows or []] == ["graph"]


async def test_another_key_of_the_same_id_is_noticed(lab: Lab):
    async with lab.worker(answering(), lab.payloads(keys=ring(OLD))) as runs:
        run = await runs.start("graph", hello("x"))
        await run.result()
    wrong = lab.payloads(keys=ring(Key("old", b"?" * 32)))
    with pytest.raises(Undecryptable, match="does not decrypt with key 'old'"):
        await (await lab.client(wrong)).result(run.run_id)


async def test_a_run_from_before_encryption_goes_on(lab: Lab):
    agents = asking()
    async with lab.worker(agents, lab.payloads(), check=False) as runs:
        run = await runs.start("graph", hello(LARGE))
        await open_question(runs, run.run_id)
        queue = runs.queue
    async with lab.worker(agents, lab.payloads(keys=ring(NEW)), queue=queue) as runs:
        await runs.client.decide(run.run_id, {"type": "respond", "value": "yes", "by": "ann"})
        assert "yes 200000" in str(await runs.client.result(run.run_id))
        await assert_run_replays(agents, runs.client.temporal, run.run_id)


def by_tenant(whose: Whose) -> perdure.Keyring | None:
    """Keys by what the run id begins with; without one, by the key's own id."""
    name = (whose.workflow_id or whose.key or "").partition("-")[0]
    secrets = {"acme": b"a" * 32, "blue": b"b" * 32}
    return ring(Key(f"{name}-1", secrets[name])) if name in secrets else None


async def test_each_tenant_has_keys_of_its_own(lab: Lab):
    async with lab.worker(answering(), lab.payloads(keys=by_tenant)) as runs:
        for name in ("acme", "blue", "free"):
            await runs.result("graph", hello(LARGE), run_id=f"{name}-{lab.folder.parent.name}")
        kinds = []
        for run_id in runs.started:
            history = await raw_history(await lab.plain(), run_id)
            found = [p for e in history.events for p in payloads_in(e) if "type" not in p.metadata]
            kinds.append({p.metadata.get("key") for p in found})
    assert kinds == [{b"acme-1"}, {b"blue-1"}, {None}]


async def test_a_tenant_cannot_read_what_another_wrote(lab: Lab):
    run_id = f"acme-{lab.folder.parent.name}"
    async with lab.worker(answering(), lab.payloads(keys=by_tenant)) as runs:
        await runs.result("graph", hello(LARGE), run_id=run_id)
    mine = lab.payloads(keys=ring(Key("blue-1", b"b" * 32)))
    with pytest.raises(KeyMissing, match="'acme-1'"):
        await (await lab.client(mine)).result(run_id)


async def test_a_worker_with_keys_refuses_a_client_without(lab: Lab):
    agents = answering()
    agents.payloads = lab.payloads(keys=ring(NEW))
    with pytest.raises(BadOption, match=r"this worker's client does not.*Client\.connect"):
        make_worker(await lab.plain(), agents)


async def test_a_worker_refuses_a_client_with_other_payloads(lab: Lab):
    agents = answering()
    agents.payloads = lab.payloads(keys=ring(NEW))
    client = await lab.client(lab.payloads(keys=ring(OTHER)))
    with pytest.raises(BadOption, match=r"give both the same perdure\.Payloads"):
        make_worker(client.temporal, agents)
