"""With keys nothing that a run says can be read in Temporal's record, in blobs or in logs."""

import asyncio
import logging
from base64 import b64encode
from datetime import timedelta
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.messages import HumanMessage
from langgraph.types import interrupt
from temporalio import activity
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.query.v1 import WorkflowQuery
from temporalio.api.workflowservice.v1 import QueryWorkflowRequest

import perdure
from integration.payloads.lab import (
    NEW,
    Lab,
    Runs,
    blobs_in,
    payloads_in,
    raw_history,
    record,
    ring,
)
from integration.runtime.fakes import Scripted, calls, chain, model, sole
from perdure.client.poll import until
from perdure.client.threads import lock_id
from perdure.core.names import DECIDE_SIGNAL
from perdure.errors import RunFailed

pytestmark = pytest.mark.timeout(60)
SECRET = "tangerine-4711"
LARGE = f"{SECRET} " * 20_000
WITHIN = timedelta(seconds=20)
State = dict[str, Any]


def traces(data: bytes) -> list[str]:
    """List the forms in which the secret stands in bytes."""
    forms = {"plain": SECRET.encode(), "utf-16": SECRET.encode("utf-16-le")}
    forms |= {f"base64+{n}": b64encode(b"." * n + SECRET.encode())[4:-4] for n in range(3)}
    return [name for name, form in forms.items() if form in data]


async def found(lab: Lab, run_id: str) -> list[str]:
    """List where the secret can be read: the server's record of the run, and the blobs."""
    places = traces(await record(await lab.plain(), run_id))
    return places + [str(path) for path in blobs_in(lab.folder) if traces(path.read_bytes())]


def keyed(lab: Lab):
    return lab.payloads(keys=ring(NEW))


def hello(text: str) -> State:
    return {"messages": [{"role": "user", "content": text}]}


def test_the_search_finds_what_is_there():
    assert traces(b"a" + b64encode(b".." + SECRET.encode()) + b"b") == ["base64+2"]


async def test_a_record_without_keys_can_be_read(lab: Lab):
    async with lab.worker(sole(create_agent(model("hi"), []))) as runs:
        run = await runs.start("graph", hello(SECRET))
        await run.result()
        assert await found(lab, run.run_id) == ["plain"]


async def test_messages_and_tools_are_hidden(lab: Lab):
    def look(q: str) -> str:
        """Look."""
        return f"found {q}"

    graph = create_agent(
        model(calls("look", {"q": SECRET}), f"it is {SECRET}"), [perdure.tool(look)]
    )
    async with lab.worker(sole(graph), keyed(lab)) as runs:
        run = await runs.start("graph", hello(f"where is {SECRET}?"))
        output = await run.result()
        assert (SECRET in str(output), await found(lab, run.run_id)) == (True, [])


async def test_large_values_are_hidden(lab: Lab):
    def look(q: str) -> str:
        """Look."""
        return LARGE

    tool = perdure.tool(look)

    async def node(state: State) -> State:
        return {"messages": [HumanMessage(await tool.ainvoke({"q": "x"}))]}

    async with lab.worker(chain(node), keyed(lab)) as runs:
        run = await runs.start("graph", hello(LARGE + "."))
        output = await run.result()
        assert (LARGE in str(output), await found(lab, run.run_id)) == (True, [])
        assert len(blobs_in(lab.folder)) >= 2


async def test_the_error_of_a_tool_is_hidden(lab: Lab, caplog: pytest.LogCaptureFixture):
    def look(q: str) -> str:
        """Look."""
        raise ValueError(f"no {SECRET}")

    tool = perdure.tool(
        look,
        retry=perdure.Retry(
            initial=timedelta(milliseconds=1), maximum=timedelta(milliseconds=1), attempts=2
        ),
    )

    async def node(state: State) -> None:
        await tool.ainvoke({"q": "x"})

    with caplog.at_level(logging.DEBUG, "temporalio"):
        async with lab.worker(chain(node), keyed(lab)) as runs:
            run = await runs.start("graph", hello("x"))
            with pytest.raises(RunFailed, match=SECRET):
                await run.result()
            assert await found(lab, run.run_id) == []
    assert (SECRET in caplog.text, "ValueError" in caplog.text) == (False, True)


async def test_the_error_of_a_node_is_hidden(lab: Lab, caplog: pytest.LogCaptureFixture):
    def node(state: State) -> None:
        raise ValueError(f"no {SECRET}")

    async with lab.worker(chain(node), keyed(lab)) as runs:
        run = await runs.start("graph", hello("x"))
        with pytest.raises(RunFailed, match=SECRET):
            await run.result()
        assert await found(lab, run.run_id) == []
    assert SECRET not in caplog.text


async def test_the_error_of_a_model_is_hidden(lab: Lab, caplog: pytest.LogCaptureFixture):
    def say(messages: Any) -> Any:
        raise ValueError(f"no {SECRET}")

    asked = perdure.model(Scripted(say=say), name="m")
    async with lab.worker(sole(create_agent(asked, [])), keyed(lab)) as runs:
        run = await runs.start("graph", hello("x"))
        with pytest.raises(RunFailed, match=SECRET):
            await run.result()
        assert await found(lab, run.run_id) == []
    assert SECRET not in caplog.text


def asking() -> perdure.Agents:
    def node(state: State) -> State:
        decision = perdure.ask(f"{SECRET}?", args={"body": SECRET}, allowed=("approve", "respond"))
        return {"messages": [HumanMessage(f"{decision.value} {decision.by}")]}

    return chain(node)


async def waiting(runs: Runs, **options: Any):
    run = await runs.start("graph", hello("x"), **options)

    async def look() -> Any:
        inbox = await runs.client.questions(run.run_id)
        return inbox.questions or None

    questions = await until(look, within=WITHIN)
    assert questions
    return run, questions[0]


async def test_a_question_is_hidden_while_it_is_open(lab: Lab):
    async with lab.worker(asking(), keyed(lab)) as runs:
        run, question = await waiting(runs)
        assert (SECRET in str(question), await found(lab, run.run_id)) == (True, [])
        await runs.client.decide(run.run_id, {"type": "approve", "by": "ann"})
        await run.result()


async def test_a_decision_is_hidden(lab: Lab):
    async with lab.worker(asking(), keyed(lab)) as runs:
        run, _ = await waiting(runs)
        answer = {"type": "respond", "value": SECRET, "by": SECRET, "message": SECRET}
        await runs.client.decide(run.run_id, answer)
        assert SECRET in str(await run.result())
        assert await found(lab, run.run_id) == []


async def test_a_signal_is_hidden(lab: Lab):
    async with lab.worker(asking(), keyed(lab)) as runs:
        run, _ = await waiting(runs)
        handle = runs.client.temporal.get_workflow_handle(run.run_id)
        await handle.signal(DECIDE_SIGNAL, {"type": "respond", "value": SECRET, "by": "ann"})
        await run.result()
        assert await found(lab, run.run_id) == []


async def test_a_plain_interrupt_is_hidden(lab: Lab):
    def node(state: State) -> State:
        return {"messages": [HumanMessage(interrupt({"text": SECRET}))]}

    async with lab.worker(chain(node), keyed(lab)) as runs:
        run, _ = await waiting(runs)
        await runs.client.decide(run.run_id, {"type": "respond", "value": SECRET, "by": "ann"})
        await run.result()
        assert await found(lab, run.run_id) == []


async def test_the_answer_of_a_query_is_hidden(lab: Lab):
    async with lab.worker(asking(), keyed(lab)) as runs:
        run, _ = await waiting(runs)
        plain = await lab.plain()
        for name in ("status", "questions", "__temporal_workflow_metadata"):
            asked = QueryWorkflowRequest(
                namespace="default",
                execution=WorkflowExecution(workflow_id=run.run_id),
                query=WorkflowQuery(query_type=name),
            )
            told = await plain.workflow_service.query_workflow(asked)
            assert (told.ByteSize() > 100, traces(told.SerializeToString())) == (True, [])
        await runs.client.decide(run.run_id, {"type": "approve", "by": "ann"})
        await run.result()


async def test_a_heartbeat_is_hidden(lab: Lab, caplog: pytest.LogCaptureFixture):
    go = asyncio.Event()

    async def look(q: str) -> str:
        """Look."""
        activity.heartbeat({"at": SECRET})
        await go.wait()
        return "x"

    tool = perdure.tool(look)

    async def node(state: State) -> None:
        await tool.ainvoke({"q": "x"})

    with caplog.at_level(logging.DEBUG, "temporalio"):
        async with lab.worker(chain(node), keyed(lab)) as runs:
            run = await runs.start("graph", hello("x"))

            async def beaten() -> bool | None:
                told = await runs.client.describe(run.run_id)
                pending = told.raw_description.pending_activities
                return bool(pending and pending[0].heartbeat_details.payloads) or None

            assert await until(beaten, within=WITHIN)
            assert await found(lab, run.run_id) == []
            go.set()
            await run.result()
    assert SECRET not in caplog.text


async def test_summaries_and_details_are_hidden(lab: Lab):
    """The summary of a tool call has its arguments, the details of a run have its input."""

    def look(q: str) -> str:
        """Look."""
        return "x"

    graph = create_agent(model(calls("look", {"q": SECRET}), "done"), [perdure.tool(look)])
    async with lab.worker(sole(graph), keyed(lab)) as runs:
        run = await runs.start("graph", hello(SECRET))
        await run.result()
        told = await runs.client.describe(run.run_id)
        assert SECRET in str(await told.static_details())
        line = await runs.client.timeline(run.run_id)
        assert SECRET in str(line.to_json())
        assert await found(lab, run.run_id) == []


async def test_the_memo_is_hidden(lab: Lab):
    async with lab.worker(asking(), keyed(lab)) as runs:
        run, _ = await waiting(runs)
        plain = await (await lab.plain()).get_workflow_handle(run.run_id).describe()
        kinds = {p.metadata["encoding"] for p in plain.raw_info.memo.fields.values()}
        assert kinds == {b"perdure/aes-gcm"}
        await runs.client.decide(run.run_id, {"type": "approve", "by": "ann"})
        await run.result()


async def test_the_server_logs_no_secret(lab: Lab):
    async with lab.worker(sole(create_agent(model(SECRET), [])), keyed(lab)) as runs:
        await (await runs.start("graph", hello(SECRET))).result()
    assert traces(lab.server.log.read_bytes()) == []


async def test_every_payload_of_a_history_is_encrypted(lab: Lab):
    """Other than search attributes, which Temporal must read itself."""

    def look(q: str) -> str:
        """Look."""
        return "x"

    graph = create_agent(model(calls("look", {"q": SECRET}), "done"), [perdure.tool(look)])
    async with lab.worker(sole(graph), keyed(lab)) as runs:
        run = await runs.start("graph", hello(SECRET))
        await run.result()
        history = await raw_history(await lab.plain(), run.run_id)
        found = [p for event in history.events for p in payloads_in(event)]
        kinds = {p.metadata["encoding"] for p in found if "type" not in p.metadata}
        assert kinds == {b"perdure/aes-gcm"}


async def test_the_name_of_a_thread_is_hidden_in_its_runs(lab: Lab):
    """It stands in the id of the workflow that orders them: ids are not encrypted."""
    async with lab.worker(sole(create_agent(model("hi"), [])), keyed(lab)) as runs:
        runs.agents.places.change(data=lab.folder.parent)
        run = await runs.start("graph", hello("x"), thread=SECRET)
        await run.result()
        data = await record(await lab.plain(), run.run_id)
        assert traces(data.replace(lock_id(SECRET).encode(), b"")) == []
