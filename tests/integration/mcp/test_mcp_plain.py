"""Tools of LangChain's own MCP adapters, in projects that know nothing of `perdure.mcp`."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.messages import ToolMessage
from langchain_mcp_adapters.client import MultiServerMCPClient
from langchain_mcp_adapters.tools import load_mcp_tools
from langgraph.graph import MessagesState
from langgraph.types import interrupt
from temporalio.testing import WorkflowEnvironment

import perdure
from integration.mcp.peers import HttpServer, stdio
from integration.runtime.fakes import Scripted, calls, chain, lines, sole
from integration.runtime.harness import Lab, Started, eventually
from perdure.testing.replay import assert_replays

pytestmark = pytest.mark.timeout(90)
SECRET = "s3cr3t-of-the-worker"
SOON = {"tools": {"*": {"retry": {"initial": 0.05, "maximum": 0.4, "attempts": 20}}}}


def plain(*answers: Any) -> Scripted:
    return Scripted(say=lines(*answers))


def client_of(peer: HttpServer, **options: Any) -> MultiServerMCPClient:
    connection: Any = peer.connection(headers={"x-key": SECRET})
    return MultiServerMCPClient({"weather": connection}, **options)


async def tool_messages(run: Started) -> list[ToolMessage]:
    output = await run.result()
    return [m for m in output["messages"] if isinstance(m, ToolMessage)]


async def tool_calls(run: Started) -> list[Any]:
    return [call.input for call in await run.calls() if call.kind == "perdure.tool"]


class TestTakenBefore:
    """`tools = await client.get_tools()` before the graph is built."""

    async def test_each_call_is_an_activity_that_names_the_server(
        self, lab: Lab, steady: HttpServer
    ) -> None:
        tools = await client_of(steady).get_tools()
        script = (calls("forecast", {"place": "Oslo"}), "done")
        async with lab.worker(sole(create_agent(plain(*script), tools))) as runs:
            run = await runs.start("graph")
            (said,) = await tool_messages(run)
            (call,) = await tool_calls(run)
            assert said.artifact == {"structured_content": {"place": "Oslo", "degrees": 4}}
            assert call["mcp"] == {"server": "weather", "tool": "forecast"}

    async def test_the_state_does_not_travel_with_each_call(
        self, lab: Lab, steady: HttpServer
    ) -> None:
        tools = await client_of(steady).get_tools()
        script = (calls("forecast", {"place": "Oslo"}), "done")
        async with lab.worker(sole(create_agent(plain(*script), tools))) as runs:
            run = await runs.start("graph")
            await run.result()
            (call,) = await tool_calls(run)
            assert "state" not in call["scene"]

    async def test_an_error_of_the_tool_reaches_the_model(
        self, lab: Lab, steady: HttpServer
    ) -> None:
        tools = await client_of(steady).get_tools()
        script = (calls("fail", {"why": "rain"}), "done")
        async with lab.worker(sole(create_agent(plain(*script), tools))) as runs:
            (said,) = await tool_messages(await runs.start("graph"))
            assert (said.status, "because rain" in said.text) == ("error", True)

    async def test_a_client_that_wants_errors_raised_gets_them_raised(
        self, lab: Lab, steady: HttpServer
    ) -> None:
        tools = await client_of(steady, handle_tool_errors=False).get_tools()
        script = (calls("fail", {"why": "rain"}), "done")
        async with lab.worker(sole(create_agent(plain(*script), tools))) as runs:
            failure = await (await runs.start("graph")).failure()
            assert "because rain" in failure.message

    async def test_no_key_of_the_connection_is_in_the_history(
        self, lab: Lab, steady: HttpServer
    ) -> None:
        tools = await client_of(steady).get_tools()
        script = (calls("header", {"name": "x-key"}), "done")
        async with lab.worker(sole(create_agent(plain(*script), tools))) as runs:
            run = await runs.start("graph")
            (said,) = await tool_messages(run)
            assert said.text == str(len(SECRET))
            assert SECRET not in (await run.handle.fetch_history()).to_json()

    async def test_one_process_serves_all_calls(self, lab: Lab) -> None:
        connection: Any = stdio("whoami")
        tools = await MultiServerMCPClient({"files": connection}).get_tools()
        script = (calls("whoami", {}), calls("whoami", {}, turn=2), "done")
        async with lab.worker(sole(create_agent(plain(*script), tools))) as runs:
            first, second = await tool_messages(await runs.start("graph"))
            assert first.text == second.text

    async def test_a_session_that_is_lost_is_opened_again(self, lab: Lab, tmp_path: Path) -> None:
        flag = tmp_path / "flag"
        async with HttpServer("stall") as peer:
            tools = await client_of(peer).get_tools()
            script = (calls("stall", {"flag": str(flag)}), "done")
            async with lab.worker(sole(create_agent(plain(*script), tools))) as runs:
                run = await runs.start("graph", options=SOON)

                async def began() -> bool | None:
                    return flag.exists() or None

                await eventually(began, what="the call at the server")
                await peer.restart()
                assert [said.text for said in await tool_messages(run)] == ["answered"]

    async def test_interceptors_run_on_the_worker(self, lab: Lab, steady: HttpServer) -> None:
        async def more(request: Any, handler: Any) -> Any:
            seen = len(request.runtime.state["messages"])
            return await handler(request.override(args={"a": request.args["a"], "b": 100 * seen}))

        tools = await client_of(steady, tool_interceptors=[more]).get_tools()
        script = (calls("add", {"a": 1}), "done")
        async with lab.worker(sole(create_agent(plain(*script), tools))) as runs:
            run = await runs.start("graph")
            assert [said.text for said in await tool_messages(run)] == ["201"]
            assert "mcp" not in (await tool_calls(run))[0]

    async def test_tools_of_a_session_that_the_app_holds_are_called_in_it(
        self, lab: Lab, steady: HttpServer
    ) -> None:
        client = client_of(steady)
        async with client.session("weather") as session:
            tools = await load_mcp_tools(session)
            script = (calls("add", {"a": 1}), "done")
            async with lab.worker(sole(create_agent(plain(*script), tools))) as runs:
                run = await runs.start("graph")
                assert [said.text for said in await tool_messages(run)] == ["2"]

    async def test_a_declared_tool_keeps_its_options(self, lab: Lab, steady: HttpServer) -> None:
        tools = {tool.name: tool for tool in await client_of(steady).get_tools()}
        mine = perdure.tool(tools["key"], effect=True, timeout=timedelta(seconds=9))
        async with lab.worker(sole(create_agent(plain(calls("key", {}), "done"), [mine]))) as runs:
            run = await runs.start("graph")
            (said,) = await tool_messages(run)
            assert said.text == (await tool_calls(run))[0]["key"]


class TestChanged:
    """The server lists other tools when the next worker builds the graph."""

    async def build(self, peer: HttpServer, *script: Any) -> perdure.Agents:
        async def confirm(q: str) -> str:
            """Ask a person."""
            return str(interrupt(q))

        tools = await client_of(peer).get_tools()
        model = plain(
            calls("forecast", {"place": "Oslo"}), calls("confirm", {"q": "?"}, turn=2), *script
        )
        return sole(create_agent(model, [*tools, perdure.tool(confirm)]))

    async def test_a_run_that_called_a_tool_that_is_gone_replays(
        self, lab: Lab, peer: HttpServer
    ) -> None:
        before = await self.build(peer, "done")
        async with lab.worker(before) as runs:
            run = await runs.start("graph")
            asked = await run.question()
            choice = {"question": asked["id"], "type": "respond", "by": "x", "value": "yes"}
            await run.decide(choice)
            await run.result()
            await peer.restart("add", "outlook")
            after = await self.build(peer, "done")
            await assert_replays(after, await run.handle.fetch_history())

    async def test_such_a_run_goes_on_with_another_worker(
        self, skipping: WorkflowEnvironment, peer: HttpServer
    ) -> None:
        # No run is kept: a dead worker's own queue is left by real time only, which this
        # server's clock is not.
        lab = Lab(client=skipping.client, environment=skipping, cache=0)
        script = (calls("outlook", {"place": "Oslo"}, turn=3), "done")
        async with lab.worker(await self.build(peer, *script)) as runs:
            run = await runs.start("graph")
            asked = await run.question()
            runs.started.clear()  # the rest of it is another worker's
        await peer.restart("add", "outlook")
        after = await self.build(peer, *script)
        async with lab.worker(after, queue=runs.queue) as later:
            later.started.append(run)
            choice = {"question": asked["id"], "type": "respond", "by": "x", "value": "yes"}
            await run.decide(choice)
            assert [said.text for said in await tool_messages(run)][-1] == "Oslo: outlook"

    async def test_a_tool_that_is_gone_is_told_to_the_model(
        self, lab: Lab, peer: HttpServer
    ) -> None:
        tools = await client_of(peer).get_tools()
        script = (calls("forecast", {"place": "Oslo"}), "done")
        async with lab.worker(sole(create_agent(plain(*script), tools))) as runs:
            await peer.restart("add", "outlook")
            (said,) = await tool_messages(await runs.start("graph", options=SOON))
            assert said.status == "error"
            assert "has no tool 'forecast' any more" in said.text


class TestTakenInTheRun:
    """`tools = await client.get_tools()` in a node."""

    async def test_the_servers_are_asked_once_by_an_activity(
        self, lab: Lab, steady: HttpServer
    ) -> None:
        client = client_of(steady)

        async def use(state: MessagesState) -> Any:
            tools = {tool.name: tool for tool in await client.get_tools()}
            again = await client.get_tools()
            said = await tools["add"].ainvoke({"a": len(again)})
            return {"messages": [str(said)]}

        async with lab.worker(chain(use)) as runs:
            run = await runs.start("graph")
            assert "12" in (await run.texts())[-1]
            assert [call.kind for call in await run.calls()] == [
                "perdure.mcp.tools",
                "perdure.tool",
            ]

    async def test_one_server_of_several(self, lab: Lab, steady: HttpServer) -> None:
        one: Any = steady.connection()
        client = MultiServerMCPClient({"a": one, "b": dict(one)}, tool_name_prefix=True)

        async def use(state: MessagesState) -> Any:
            names = [tool.name for tool in await client.get_tools(server_name="b")]
            return {"messages": [names[0]]}

        async with lab.worker(chain(use)) as runs:
            assert (await (await runs.start("graph")).texts())[-1] == "b_forecast"

    async def test_a_client_that_is_made_in_the_run_is_an_error_with_the_mend(
        self, lab: Lab, steady: HttpServer
    ) -> None:
        async def use(state: MessagesState) -> Any:
            await client_of(steady).get_tools()
            return {}

        async with lab.worker(chain(use)) as runs:
            failure = await (await runs.start("graph")).failure()
            assert failure.type == "unknown_tool"
            assert "servers = perdure.mcp({...})" in failure.message
