"""The client against a real server: start, follow, decide, list."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest

from integration.cli.conftest import APP
from perdure.client import connect
from perdure.client.poll import until
from perdure.client.runs import Client
from perdure.core.approvals import Decision
from perdure.errors import (
    AlreadyDecided,
    BadDecision,
    NothingWaiting,
    RunExists,
    RunFailed,
    RunNotFound,
    ServerUnavailable,
    Unavailable,
)
from perdure.testing import DevServer, WorkerProcess, time_skipping

WITHIN = timedelta(seconds=20)


async def eventually(look):
    found = await until(look, within=WITHIN)
    assert found is not None
    return found


@pytest.fixture
def waiting(client):
    """Start a run and return its open question."""

    async def start(agent="mail", text="hello", **more):
        run = await client.start(agent, {"text": text}, **more)

        async def look():
            inbox = await client.questions(run.run_id)
            return inbox.questions[0] if inbox.questions else None

        return await eventually(look)

    return start


async def test_the_result_of_a_run_is_its_output(client):
    run = await client.start("echo", {"text": "hi"})
    assert await run.result() == {"text": "hi", "said": "done so"}


async def test_a_failed_run_raises_with_code_and_words(client):
    run = await client.start("broken", {})
    with pytest.raises(RunFailed, match=r"\[tool_failed\].*it is broken"):
        await run.result()


async def test_the_failure_of_a_run_is_a_value_too(client):
    run = await client.start("broken", {})
    with pytest.raises(RunFailed):
        await run.result()
    assert (await client.failure(run.run_id)).code == "tool_failed"


async def test_a_run_that_is_done_has_an_output_and_no_failure(client):
    run = await client.start("echo", {})
    await run.result()
    assert (await client.output(run.run_id), await client.failure(run.run_id)) == (
        {"said": "done so"},
        None,
    )


async def test_one_run_id_is_one_run(client):
    run = await client.start("echo", {})
    with pytest.raises(RunExists, match="agent 'echo'"):
        await client.start("echo", {}, run_id=run.run_id)


async def test_ten_starts_of_one_run_id_are_one_run(client):
    run_id = f"many-{uuid4().hex[:8]}"
    starts = [client.start("echo", {}, run_id=run_id) for _ in range(10)]
    ended = await asyncio.gather(*starts, return_exceptions=True)
    assert sum(isinstance(end, RunExists) for end in ended) == 9


async def test_an_unknown_run_has_no_result(client):
    with pytest.raises(RunNotFound):
        await client.result("no-such-run")


async def test_a_status_counts_calls_while_the_run_lives(client, waiting):
    question = await waiting()
    status = await client.status(question.run_id)
    assert (status.status, status.model_calls, len(status.questions)) == ("waiting", 0, 1)


async def test_a_status_of_a_failed_run_has_the_failure(client):
    run = await client.start("broken", {})
    with pytest.raises(RunFailed):
        await run.result()
    status = await client.status(run.run_id)
    assert (status.status, status.failure.code) == ("failed", "tool_failed")


async def test_a_run_is_started_with_its_agent_and_tenant_to_be_found_by(client):
    run = await client.start("echo", {}, tenant="acme")
    found = (await client.describe(run.run_id)).search_attributes
    assert (found["PerdureAgent"], found["PerdureTenant"]) == (["echo"], ["acme"])


async def test_a_question_tells_all_that_a_person_needs(client, waiting):
    question = await waiting(text="body text")
    assert (question.action, question.args["body"], question.complete) == (
        "send",
        "body text",
        True,
    )


async def test_questions_of_all_runs_are_found(client, waiting):
    question = await waiting()

    async def look():
        found = (await client.questions()).questions
        return next((each for each in found if each.run_id == question.run_id), None)

    assert (await eventually(look)).id == question.id


async def test_the_same_decision_twice_is_one_decision(client, waiting):
    question = await waiting("choose")
    decision = Decision(type="approve", by="ann", question=question.id)
    first = await client.decide(question.run_id, decision)
    assert await client.decide(question.run_id, decision) == first


async def test_the_same_click_at_the_same_time_is_one_decision(client, waiting):
    question = await waiting()
    decision = Decision(type="approve", by="ann", question=question.id)
    clicks = [client.decide(question.run_id, decision, asked=question) for _ in range(5)]
    acks = await asyncio.gather(*clicks)
    assert [ack["decision"] for ack in acks] == [acks[0]["decision"]] * 5


async def test_another_decision_afterwards_is_refused_and_names_the_first(client, waiting):
    question = await waiting("twice")
    decision = Decision(type="approve", by="ann", question=question.id)
    await client.decide(question.run_id, decision)
    with pytest.raises(AlreadyDecided, match="'ann'"):
        await client.decide(
            question.run_id, Decision(type="reject", by="bob", question=question.id)
        )


async def test_a_decision_on_an_ended_run_tells_how_it_ended(client):
    run = await client.start("echo", {})
    await run.result()
    with pytest.raises(NothingWaiting, match="done"):
        await client.decide(run.run_id, {"type": "approve"})


async def test_a_decision_on_an_unknown_run_is_refused(client):
    with pytest.raises(RunNotFound):
        await client.decide("no-such-run", {"type": "approve"})


@pytest.mark.parametrize(
    "raw",
    [
        "approve",
        [],
        {},
        {"type": "accept"},
        {"type": "approve", "who": "ann"},
        {"type": "edit", "args": "body"},
        {"type": "approve", "by": 3},
        {"type": "edit"},
        {"type": "edit", "args": {"nobody": 1}},
        {"type": "approve", "args": {}},
    ],
    ids=str,
)
async def test_a_decision_of_the_wrong_shape_is_refused_and_the_run_goes_on_waiting(
    client, waiting, raw
):
    question = await waiting()
    with pytest.raises(BadDecision):
        await client.decide(question.run_id, raw)
    assert (await client.questions(question.run_id)).questions == (question,)


async def test_a_cancelled_run_ends(client):
    run = await client.start("slow", {})
    await client.cancel(run.run_id, reason="enough")
    with pytest.raises(RunFailed):
        await run.result()


async def test_a_time_line_needs_no_worker(client):
    run = await client.start("echo", {}, task_queue="nobody-here")
    assert (await client.timeline(run.run_id)).status == "running"


async def test_without_a_worker_a_decision_ends_with_a_bounded_wait(client):
    run = await client.start("mail", {}, task_queue="nobody-here")
    with pytest.raises(Unavailable, match="give the same command again"):
        await client.decide(run.run_id, {"type": "approve"}, within=timedelta(seconds=1))


async def test_without_a_worker_a_status_says_why_it_is_thin(client):
    run = await client.start("mail", {}, task_queue="nobody-here")
    assert "no worker" in (await client.status(run.run_id)).note


async def test_a_run_survives_its_worker_and_its_time_line_tells(server, client):
    queue = f"queue-{uuid4().hex[:8]}"
    first = (
        await WorkerProcess(str(APP), address=server.address, task_queue=queue).start().wait_ready()
    )
    run = await client.start("mail", {"text": "x"}, task_queue=queue)

    async def asked():
        return (await client.questions(run.run_id)).questions or None

    question = (await eventually(asked))[0]
    first.kill()
    async with WorkerProcess(str(APP), address=server.address, task_queue=queue):
        await client.decide(run.run_id, {"type": "approve", "by": "ann"}, asked=question)
        await run.result()
    line = await client.timeline(run.run_id)
    assert (len(line.workers), line.repeated_model_calls) == (2, 0)


async def test_what_waits_is_listed_when_no_worker_is_up(server, client):
    queue = f"queue-{uuid4().hex[:8]}"
    async with WorkerProcess(str(APP), address=server.address, task_queue=queue):
        run = await client.start("mail", {"text": "x"}, task_queue=queue)

        async def asked():
            return (await client.questions(run.run_id)).questions or None

        await eventually(asked)

    async def listed():
        found = (await client.questions()).questions
        return next((each for each in found if each.run_id == run.run_id), None)

    assert (await eventually(listed)).args == {"to": "ann@example.com", "body": "x"}


async def test_without_search_attributes_every_run_is_asked():
    async with (
        DevServer(attributes=False) as bare,
        WorkerProcess(str(APP), address=bare.address),
    ):
        client = await connect(bare.address)
        run = await client.start("mail", {"text": "x"})
        await client.start("mail", {}, run_id="alone", task_queue="nobody-here")

        async def asked():
            inbox = await client.questions()
            return inbox if inbox.questions and inbox.unasked else None

        inbox = await eventually(asked)
    assert [question.run_id for question in inbox.questions] == [run.run_id]
    assert [missed.run_id for missed in inbox.unasked] == ["alone"]


async def test_a_server_that_went_away_is_named():
    async with DevServer() as server:
        client = await connect(server.address)
        server.kill()
        with pytest.raises(ServerUnavailable, match=server.address):
            await client.ls()


async def test_a_killed_server_comes_back_with_all_its_runs(tmp_path):
    async with DevServer(data=tmp_path) as server:
        client = await connect(server.address)
        run = await client.start("echo", {"text": "kept"})
        server.kill()
        await server.restart()
        line = await client.timeline(run.run_id)
    assert line.input == {"text": "kept"}


async def test_the_time_skipping_server_needs_no_search_attributes():
    async with time_skipping() as environment:
        client = Client(environment.client)
        run = await client.start("echo", {}, task_queue="nobody-here")
        assert not await client.indexed()
        assert (await client.timeline(run.run_id)).agent == "echo"
