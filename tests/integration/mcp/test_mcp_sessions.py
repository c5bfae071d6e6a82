"""Sessions that are lost, servers that change or are not there."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.messages import ToolMessage
from langgraph.graph import MessagesState
from langgraph.types import interrupt
from temporalio.client import WorkflowExecutionStatus

import perdure
from integration.mcp.peers import HttpServer, stdio
from integration.runtime.fakes import calls, model, sole
from integration.runtime.harness import Lab, Started, eventually
from perdure.core.options import Retry
from perdure.errors import ToolServerFailed
from perdure.testing.servers import free_port

pytestmark = pytest.mark.timeout(90)
SOON = Retry(initial=timedelta(milliseconds=50), maximum=timedelta(milliseconds=400), attempts=20)
TWICE = Retry(initial=timedelta(milliseconds=50), maximum=timedelta(milliseconds=50), attempts=2)


def agent(servers: Any, *answers: Any, **options: Any) -> perdure.Agents:
    return sole(create_agent(model(*answers), middleware=[servers], **options))


async def tool_messages(run: Started) -> list[ToolMessage]:
    output = await run.result()
    return [m for m in output["messages"] if isinstance(m, ToolMessage)]


async def attempts(run: Started, kind: str = "perdure.tool") -> list[int]:
    """Tell how often each call of a kind was tried."""
    ids = {call.event.event_id for call in await run.calls() if call.kind == kind}
    started = [e.activity_task_started_event_attributes for e in
               await run.events("ACTIVITY_TASK_STARTED")]  # fmt: skip
    return [one.attempt for one in started if one.scheduled_event_id in ids]


async def began(flag: Path) -> None:
    async def look() -> bool | None:
        return flag.exists() or None

    await eventually(look, what="the call at the server")


class TestKept:
    """One session with each server."""

    async def test_calls_of_two_runs_reach_the_same_process(self, lab: Lab) -> None:
        servers = perdure.mcp({"files": stdio("whoami")})
        async with lab.worker(agent(servers, calls("whoami", {}), "done")) as runs:
            first = await tool_messages(await runs.start("graph"))
            second = await tool_messages(await runs.start("graph"))
            assert first[0].text == second[0].text

    async def test_it_is_closed_when_the_worker_stops(self, lab: Lab) -> None:
        servers = perdure.mcp({"files": stdio("whoami")})
        async with lab.worker(agent(servers, calls("whoami", {}), "done")) as runs:
            (said,) = await tool_messages(await runs.start("graph"))
        pid = int(said.text.removeprefix("process "))

        async def gone() -> bool | None:
            return not Path(f"/proc/{pid}").exists() or None

        await eventually(gone, what="the end of the server's process")


class TestLost:
    """The worker opens a lost session again, and Temporal tries the call again."""

    async def test_a_server_that_was_restarted_between_two_calls(
        self, lab: Lab, peer: HttpServer
    ) -> None:
        servers = perdure.mcp({"weather": peer.connection()}, retry=SOON)
        async with lab.worker(agent(servers, calls("add", {"a": 1}), "done")) as runs:
            await tool_messages(await runs.start("graph"))
            await peer.restart()
            run = await runs.start("graph")
            (said,) = await tool_messages(run)
            assert said.text == "2"
            assert await attempts(run, "perdure.mcp.tools") == [1]

    async def test_a_server_over_sse_that_was_restarted(self, lab: Lab) -> None:
        async with HttpServer("add", how="sse") as peer:
            servers = perdure.mcp({"weather": peer.connection()}, retry=SOON)
            async with lab.worker(agent(servers, calls("add", {"a": 1}), "done")) as runs:
                await tool_messages(await runs.start("graph"))
                await peer.restart()
                assert [s.text for s in await tool_messages(await runs.start("graph"))] == ["2"]

    async def test_a_server_that_is_away_for_a_while(self, lab: Lab, peer: HttpServer) -> None:
        servers = perdure.mcp({"weather": peer.connection()}, retry=SOON)
        async with lab.worker(agent(servers, calls("add", {"a": 1}), "done")) as runs:
            await peer.kill()
            run = await runs.start("graph")
            await asyncio.sleep(0.5)
            await peer.start()
            assert [said.text for said in await tool_messages(run)] == ["2"]

    @pytest.mark.parametrize("how", ["http", "stateless", "sse"])
    async def test_a_server_that_dies_in_the_middle_of_a_call(
        self, lab: Lab, tmp_path: Path, how: str
    ) -> None:
        flag = tmp_path / "flag"
        async with HttpServer("stall", how=how) as peer:
            servers = perdure.mcp({"weather": peer.connection()}, retry=SOON)
            script = (calls("stall", {"flag": str(flag)}), "done")
            async with lab.worker(agent(servers, *script)) as runs:
                run = await runs.start("graph")
                await began(flag)
                await peer.restart()
                assert [said.text for said in await tool_messages(run)] == ["answered"]
                assert (await attempts(run))[0] > 1

    async def test_a_process_that_dies_in_the_middle_of_a_call(
        self, lab: Lab, tmp_path: Path
    ) -> None:
        flag = tmp_path / "flag"
        servers = perdure.mcp({"files": stdio("die", "whoami")}, retry=SOON)
        script = (calls("die", {"flag": str(flag)}), "done")
        async with lab.worker(agent(servers, *script)) as runs:
            run = await runs.start("graph")
            assert [said.text for said in await tool_messages(run)] == ["answered"]
            assert await attempts(run) == [2]

    async def test_a_process_that_died_between_two_calls(self, lab: Lab, tmp_path: Path) -> None:
        flag = tmp_path / "flag"
        servers = perdure.mcp({"files": stdio("die_later", "whoami")}, retry=SOON)
        script = (calls("die_later", {"flag": str(flag)}), calls("whoami", {}, turn=2), "done")
        async with lab.worker(agent(servers, *script)) as runs:
            run = await runs.start("graph")
            assert len(await tool_messages(run)) == 2

    async def test_an_effect_that_may_not_be_repeated_is_unknown(
        self, lab: Lab, tmp_path: Path
    ) -> None:
        flag = tmp_path / "flag"
        servers = perdure.mcp({"files": stdio("die")}, effect=["die"], idempotent=False)
        script = (calls("die", {"flag": str(flag)}), "done")
        async with lab.worker(agent(servers, *script)) as runs:
            run = await runs.start("graph")
            assert (await run.failure()).type == "effect_unknown"
            assert await attempts(run) == [1]

    async def test_a_run_that_is_cancelled_in_a_call_leaves_the_session_as_it_is(
        self, lab: Lab, tmp_path: Path
    ) -> None:
        flag = tmp_path / "flag"
        servers = perdure.mcp({"files": stdio("stall", "whoami")})
        stalling = create_agent(
            model(calls("stall", {"flag": str(flag)}), "done"), middleware=[servers]
        )
        asking = create_agent(
            model(calls("whoami", {}), "done", name="other"), middleware=[servers]
        )
        agents = sole(stalling)
        agents.add("asking", asking)
        async with lab.worker(agents) as runs:
            before = await tool_messages(await runs.start("asking"))
            run = await runs.start("graph")
            await began(flag)
            await run.handle.cancel()

            async def over() -> bool | None:
                return await run.status() == WorkflowExecutionStatus.CANCELED or None

            await eventually(over, what="the end of the run")
            after = await tool_messages(await runs.start("asking"))
            assert after[0].text == before[0].text

    async def test_a_call_in_a_session_that_is_alive_goes_on(
        self, lab: Lab, peer: HttpServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("perdure.activity.mcpsessions.PING", timedelta(milliseconds=20))
        servers = perdure.mcp({"weather": peer.connection()}, retry=TWICE)
        async with lab.worker(agent(servers, calls("slow", {"seconds": 0.3}), "done")) as runs:
            run = await runs.start("graph")
            assert [said.text for said in await tool_messages(run)] == ["slow"]
            assert await attempts(run) == [1]


class TestAway:
    """A server that cannot be reached."""

    async def test_the_run_fails_with_a_code_after_the_retries(self, lab: Lab) -> None:
        connection = {"transport": "streamable_http", "url": f"http://127.0.0.1:{free_port()}/mcp"}
        servers = perdure.mcp({"weather": connection}, retry=TWICE)
        async with lab.worker(agent(servers, "done")) as runs:
            run = await runs.start("graph")
            failure = await run.failure()
            assert failure.type == ToolServerFailed.code
            assert "MCP server 'weather'" in failure.message
            assert "All connection attempts failed" in failure.message
            assert await attempts(run, "perdure.mcp.tools") == [2]

    async def test_a_server_that_never_answers_is_given_up(self, lab: Lab) -> None:
        async def ignore(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()
            await writer.wait_closed()

        deaf = await asyncio.start_server(ignore, "127.0.0.1", 0)
        port = deaf.sockets[0].getsockname()[1]
        connection = {"transport": "streamable_http", "url": f"http://127.0.0.1:{port}/mcp"}
        second = timedelta(seconds=1)
        servers = perdure.mcp({"weather": connection}, timeout=second, retry=TWICE)
        async with lab.worker(agent(servers, "done")) as runs:
            failure = await (await runs.start("graph")).failure()
            assert failure.type == ToolServerFailed.code
            assert "MCP server 'weather': no answer within 0.9 s" in failure.message
        deaf.close()
        await deaf.wait_closed()

    async def test_the_list_has_a_minute_by_default(self, lab: Lab, steady: HttpServer) -> None:
        servers = perdure.mcp({"weather": steady.connection()})
        async with lab.worker(agent(servers, "done")) as runs:
            run = await runs.start("graph")
            await run.result()
            (asked,) = [c.at for c in await run.calls() if c.kind == "perdure.mcp.tools"]
            assert asked.start_to_close_timeout.ToTimedelta() == timedelta(minutes=1)

    async def test_a_program_that_is_not_there_is_not_tried_again(self, lab: Lab) -> None:
        connection = {"transport": "stdio", "command": "no-such-program", "args": []}
        async with lab.worker(agent(perdure.mcp({"files": connection}), "done")) as runs:
            run = await runs.start("graph")
            failure = await run.failure()
            assert failure.type == ToolServerFailed.code
            assert "no-such-program" in failure.message
            assert await attempts(run, "perdure.mcp.tools") == [1]

    async def test_a_node_may_catch_it(self, lab: Lab) -> None:
        connection = {"transport": "stdio", "command": "no-such-program", "args": []}
        servers = perdure.mcp({"files": connection})

        async def use(state: MessagesState) -> Any:
            try:
                await servers.get_tools()
            except ToolServerFailed:
                return {"messages": ["without tools"]}
            return {}

        from integration.runtime.fakes import chain  # noqa: PLC0415

        async with lab.worker(chain(use)) as runs:
            assert (await (await runs.start("graph")).texts())[-1] == "without tools"


class TestChanged:
    """A server that changes its tools while a run waits for a person."""

    def asking(self, servers: Any, *script: Any) -> perdure.Agents:
        """Make an agent whose first tool asks a person."""

        async def confirm(q: str) -> str:
            """Ask a person."""
            return str(interrupt(q))

        return sole(
            create_agent(
                model(calls("confirm", {"q": "go on?"}), *script),
                [perdure.tool(confirm)],
                middleware=[servers],
            )
        )

    async def changed(self, run: Started, peer: HttpServer, *tools: str) -> list[ToolMessage]:
        asked = await run.question()
        await peer.restart(*tools)
        await run.decide({"question": asked["id"], "type": "respond", "by": "x", "value": "yes"})
        return await tool_messages(run)

    async def test_the_run_goes_on_with_the_list_that_it_began_with(
        self, lab: Lab, peer: HttpServer
    ) -> None:
        servers = perdure.mcp({"weather": peer.connection()}, retry=SOON)
        agents = self.asking(servers, calls("add", {"a": 1}, turn=2), "done")
        async with lab.worker(agents) as runs:
            run = await runs.start("graph")
            said = await self.changed(run, peer, "add", "outlook")
            assert said[-1].text == "2"
            listed = [call for call in await run.calls() if call.kind == "perdure.mcp.tools"]
            models = await run.got("perdure.model")
            names = [
                [tool["function"]["name"] for tool in one["options"]["tools"]] for one in models
            ]
            assert len(listed) == 1
            assert names == [["confirm", "forecast", "add", "whoami", "stall", "slow"]] * 3

    async def test_a_tool_that_is_gone_is_told_to_the_model(
        self, lab: Lab, peer: HttpServer
    ) -> None:
        servers = perdure.mcp({"weather": peer.connection()}, retry=SOON)
        agents = self.asking(servers, calls("forecast", {"place": "Oslo"}, turn=2), "done")
        async with lab.worker(agents) as runs:
            said = await self.changed(await runs.start("graph"), peer, "add", "outlook")
            assert said[-1].status == "error"
            assert "MCP server 'weather' has no tool 'forecast' any more" in said[-1].text
            assert "It has: add, outlook" in said[-1].text

    async def test_the_next_run_sees_the_new_list(self, lab: Lab, peer: HttpServer) -> None:
        servers = perdure.mcp({"weather": peer.connection()}, retry=SOON)
        async with lab.worker(agent(servers, calls("outlook", {"place": "Oslo"}), "done")) as runs:
            first = await runs.start("graph", {"messages": []})
            await first.result()
            await peer.restart("outlook")
            said = await tool_messages(await runs.start("graph"))
            assert said[-1].text == "Oslo: outlook"
