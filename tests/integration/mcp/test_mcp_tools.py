"""Tools of real MCP servers in runs: listed once, each call an activity."""

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain_core.messages import ToolMessage
from langchain_core.tools import BaseTool
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition

import perdure
from integration.mcp.handwritten import Adding
from integration.mcp.peers import HttpServer, stdio
from integration.runtime.fakes import calls, chain, model, sole
from integration.runtime.harness import Lab, Started
from perdure.core.options import Retry
from perdure.errors import NameTaken, ToolServerFailed

pytestmark = pytest.mark.timeout(90)
TWICE = Retry(initial=timedelta(milliseconds=50), maximum=timedelta(milliseconds=50), attempts=2)


def agent(servers: Any, *answers: Any, tools: Any = (), **options: Any) -> perdure.Agents:
    """Make an agent at module level, as an app would: no server is asked yet."""
    return sole(create_agent(model(*answers), list(tools), middleware=[servers], **options))


async def kinds(run: Started) -> Counter[str]:
    return Counter(call.kind.removeprefix("perdure.") for call in await run.calls())


async def answer(run: Started) -> ToolMessage:
    """Return the one tool message of a run."""
    output = await run.result()
    (found,) = [m for m in output["messages"] if isinstance(m, ToolMessage)]
    return found


class TestAgent:
    """`create_agent(middleware=[perdure.mcp(...)])`."""

    async def test_the_tools_are_listed_once_and_each_call_is_an_activity(
        self, lab: Lab, steady: HttpServer
    ) -> None:
        servers = perdure.mcp({"weather": steady.connection()})
        script = (calls("add", {"a": 1}, {"a": 2}), calls("forecast", {"place": "Oslo"}, turn=2))
        async with lab.worker(agent(servers, *script, "done")) as runs:
            run = await runs.start("graph")
            assert (await run.texts())[-1] == "done"
            assert await kinds(run) == {"mcp.tools": 1, "model": 3, "tool": 3}

    async def test_the_model_is_given_the_servers_tools_beside_its_own(
        self, lab: Lab, steady: HttpServer
    ) -> None:
        async def own(q: str) -> str:
            """Look."""
            return q

        servers = perdure.mcp({"weather": steady.connection()})
        async with lab.worker(agent(servers, "done", tools=[perdure.tool(own)])) as runs:
            run = await runs.start("graph")
            await run.result()
            asked = (await run.got("perdure.model"))[0]
            given = [one["function"]["name"] for one in asked["options"]["tools"]]
            assert given[:3] == ["own", "forecast", "add"]

    async def test_structured_content_is_the_artifact(self, lab: Lab, steady: HttpServer) -> None:
        servers = perdure.mcp({"weather": steady.connection()})
        script = (calls("forecast", {"place": "Oslo"}), "done")
        async with lab.worker(agent(servers, *script)) as runs:
            said = await answer(await runs.start("graph"))
            assert said.artifact == {"structured_content": {"place": "Oslo", "degrees": 4}}

    async def test_a_picture_is_a_content_block(self, lab: Lab, steady: HttpServer) -> None:
        servers = perdure.mcp({"weather": steady.connection()})
        async with lab.worker(agent(servers, calls("picture", {}), "done")) as runs:
            said = await answer(await runs.start("graph"))
            (block,) = said.content_blocks
            assert (block["type"], block.get("mime_type")) == ("image", "image/png")

    async def test_an_error_of_the_tool_reaches_the_model(
        self, lab: Lab, steady: HttpServer
    ) -> None:
        servers = perdure.mcp({"weather": steady.connection()})
        async with lab.worker(agent(servers, calls("fail", {"why": "rain"}), "done")) as runs:
            run = await runs.start("graph")
            said = await answer(run)
            assert (said.status, "cannot, because rain" in said.text) == ("error", True)
            assert await kinds(run) == {"mcp.tools": 1, "model": 2, "tool": 1}

    async def test_a_server_over_stdio(self, lab: Lab) -> None:
        servers = perdure.mcp({"sums": stdio("add")})
        async with lab.worker(agent(servers, calls("add", {"a": 2}), "done")) as runs:
            assert (await answer(await runs.start("graph"))).text == "3"

    async def test_a_call_says_the_server_in_the_history(
        self, lab: Lab, steady: HttpServer
    ) -> None:
        servers = perdure.mcp({"w": steady.connection()}, prefix=True)
        async with lab.worker(agent(servers, calls("w_add", {"a": 2}), "done")) as runs:
            run = await runs.start("graph")
            assert (await answer(run)).name == "w_add"
            (call,) = [c for c in await run.calls() if c.kind == "perdure.tool"]
            assert call.summary == "tool: w_add(a=2)"
            assert call.input["mcp"] == {"server": "w", "tool": "add"}

    async def test_a_person_reviews_a_call_by_langchains_middleware(
        self, lab: Lab, steady: HttpServer
    ) -> None:
        servers = perdure.mcp({"weather": steady.connection()})
        review: Any = HumanInTheLoopMiddleware(interrupt_on={"add": True})
        graph = create_agent(model(calls("add", {"a": 2}), "done"), middleware=[servers, review])
        async with lab.worker(sole(graph)) as runs:
            run = await runs.start("graph")
            asked = await run.question()
            await run.decide({"question": asked["id"], "type": "approve", "by": "x"})
            assert (await answer(run)).text == "3"

    async def test_the_agent_runs_as_plain_langgraph_too(self, steady: HttpServer) -> None:
        servers = perdure.mcp({"weather": steady.connection()})
        graph = create_agent(model(calls("add", {"a": 2}), "done"), middleware=[servers])
        output: Any = await graph.ainvoke({"messages": [("user", "hi")]})
        assert [m.text for m in output["messages"]][-2:] == ["3", "done"]

    async def test_its_sync_invoke_in_a_node_works(self, lab: Lab, steady: HttpServer) -> None:
        servers = perdure.mcp({"weather": steady.connection()})
        inner = create_agent(model(calls("add", {"a": 2}), "done"), middleware=[servers])

        def ask(state: MessagesState) -> Any:
            return inner.invoke({"messages": state["messages"]})

        async with lab.worker(chain(ask)) as runs:
            run = await runs.start("graph")
            assert (await run.texts())[-2:] == ["3", "done"]
            assert await kinds(run) == {"mcp.tools": 1, "model": 2, "tool": 1}


class TestNodes:
    """Tools in nodes of one's own."""

    async def test_a_node_takes_the_tools_and_calls_one(self, lab: Lab, steady: HttpServer) -> None:
        servers = perdure.mcp({"weather": steady.connection()})

        async def use(state: MessagesState) -> Any:
            tools = {tool.name: tool for tool in await servers.get_tools()}
            return {"messages": [str(await tools["add"].ainvoke({"a": 4}))]}

        async with lab.worker(chain(use)) as runs:
            run = await runs.start("graph")
            assert "5" in (await run.texts())[-1]
            assert await kinds(run) == {"mcp.tools": 1, "tool": 1}

    async def test_a_sync_node_calls_a_tool(self, lab: Lab, steady: HttpServer) -> None:
        import asyncio  # noqa: PLC0415 - what a sync node of an app would write

        servers = perdure.mcp({"weather": steady.connection()})

        def use(state: MessagesState) -> Any:
            tools = {tool.name: tool for tool in asyncio.run(servers.get_tools())}
            return {"messages": [str(tools["add"].invoke({"a": 4}))]}

        async with lab.worker(chain(use)) as runs:
            assert "5" in (await (await runs.start("graph")).texts())[-1]

    async def test_nodes_side_by_side_list_the_tools_once(
        self, lab: Lab, steady: HttpServer
    ) -> None:
        servers = perdure.mcp({"weather": steady.connection()})

        async def look(state: MessagesState) -> Any:
            return {"messages": [str(len(await servers.get_tools()))]}

        graph = StateGraph(MessagesState)
        for name in ("a", "b", "c"):
            graph.add_node(name, look)
            graph.add_edge(START, name)
        async with lab.worker(sole(graph)) as runs:
            run = await runs.start("graph")
            assert (await run.texts())[1:] == ["11"] * 3
            assert await kinds(run) == {"mcp.tools": 1}

    async def test_a_tool_node_finds_the_tools_in_the_run(
        self, lab: Lab, steady: HttpServer
    ) -> None:
        servers = perdure.mcp({"weather": steady.connection()})
        asked = model(calls("add", {"a": 1}, {"a": 2}), "done")

        async def think(state: MessagesState) -> Any:
            bound = asked.bind_tools(await servers.get_tools())
            return {"messages": [await bound.ainvoke(state["messages"])]}

        graph = StateGraph(MessagesState)
        graph.add_node("think", think)
        graph.add_node("tools", ToolNode([], awrap_tool_call=servers.awrap_tool_call))
        graph.add_edge(START, "think")
        graph.add_conditional_edges("think", tools_condition)
        graph.add_edge("tools", "think")
        async with lab.worker(sole(graph)) as runs:
            run = await runs.start("graph")
            assert (await run.texts())[-3:] == ["2", "3", "done"]
            assert await kinds(run) == {"mcp.tools": 1, "model": 2, "tool": 2}

    async def test_tools_taken_before_the_graph_is_built_are_activities_too(
        self, lab: Lab, steady: HttpServer
    ) -> None:
        servers = perdure.mcp({"weather": steady.connection()})
        tools: list[BaseTool] = await servers.get_tools()
        graph = create_agent(model(calls("add", {"a": 2}), "done"), tools)
        async with lab.worker(sole(graph)) as runs:
            run = await runs.start("graph")
            assert (await answer(run)).text == "3"
            assert await kinds(run) == {"model": 2, "tool": 1}


class TestHandWritten:
    """A workflow of one's own."""

    async def test_it_lists_and_calls_tools(self, lab: Lab) -> None:
        async with lab.worker(perdure.Agents(), workflows=[Adding]) as runs:
            run = await runs.start_raw(workflow=Adding.run)
            assert await run.result() == "5"
            assert await kinds(run) == {"mcp.tools": 1, "tool": 1}


class TestOptions:
    """Effects, approvals, limits and names."""

    async def test_an_effect_brings_its_key_to_the_server(
        self, lab: Lab, steady: HttpServer
    ) -> None:
        servers = perdure.mcp({"weather": steady.connection()}, effect=["key"])
        async with lab.worker(agent(servers, calls("key", {}), "done")) as runs:
            run = await runs.start("graph")
            said = (await answer(run)).text
            (call,) = [c for c in await run.calls() if c.kind == "perdure.tool"]
            assert said == call.input["key"]
            assert run.id in said

    async def test_an_approval_is_asked_for(self, lab: Lab, steady: HttpServer) -> None:
        servers = perdure.mcp({"weather": steady.connection()}, approve={"add": perdure.Approve()})
        async with lab.worker(agent(servers, calls("add", {"a": 2}), "done")) as runs:
            run = await runs.start("graph")
            asked = await run.question()
            await run.decide({"question": asked["id"], "type": "edit", "by": "x", "args": {"a": 8}})
            assert (await answer(run)).text == "9"

    async def test_an_option_for_a_tool_that_is_not_there_is_an_error(
        self, lab: Lab, steady: HttpServer
    ) -> None:
        servers = perdure.mcp({"weather": steady.connection()}, effect=["pay"])
        async with lab.worker(agent(servers, "done")) as runs:
            failure = await (await runs.start("graph")).failure()
            assert failure.type == "bad_option"
            assert "no tool 'pay'; they have: forecast, add" in failure.message

    async def test_limits_are_those_of_the_servers(self, lab: Lab, steady: HttpServer) -> None:
        limit = timedelta(seconds=7)
        servers = perdure.mcp({"weather": steady.connection()}, timeout=limit, retry=TWICE)
        async with lab.worker(agent(servers, calls("add", {"a": 2}), "done")) as runs:
            run = await runs.start("graph")
            await run.result()
            mine = [call.at for call in await run.calls() if call.kind != "perdure.model"]
            assert [at.start_to_close_timeout.ToTimedelta() for at in mine] == [limit, limit]
            assert [at.retry_policy.maximum_attempts for at in mine] == [2, 2]

    async def test_a_call_that_takes_too_long_is_tried_again_and_then_fails(
        self, lab: Lab, steady: HttpServer
    ) -> None:
        limit = timedelta(seconds=1)
        servers = perdure.mcp({"weather": steady.connection()}, timeout=limit, retry=TWICE)
        async with lab.worker(agent(servers, calls("slow", {"seconds": 60}), "done")) as runs:
            failure = await (await runs.start("graph")).failure()
            assert "MCP server 'weather': no answer within 0.9 s" in failure.message

    async def test_two_servers_with_one_tool_name_are_an_error(
        self, lab: Lab, steady: HttpServer
    ) -> None:
        servers = perdure.mcp({"a": steady.connection(), "b": steady.connection()})
        async with lab.worker(agent(servers, "done")) as runs:
            failure = await (await runs.start("graph")).failure()
            assert failure.type == NameTaken.code
            assert "'a' and 'b' both have a tool 'forecast'" in failure.message
            assert "prefix=True" in failure.message

    async def test_a_prefix_tells_them_apart(self, lab: Lab, steady: HttpServer) -> None:
        both = {"a": steady.connection(), "b": steady.connection()}
        servers = perdure.mcp(both, prefix=True)
        script = (calls("a_add", {"a": 1}), calls("b_add", {"a": 2}, turn=2), "done")
        async with lab.worker(agent(servers, *script)) as runs:
            texts = await (await runs.start("graph")).texts()
            assert [text for text in texts if text.isdigit()] == ["2", "3"]

    async def test_a_tool_of_the_agent_with_the_same_name_is_an_error(
        self, lab: Lab, steady: HttpServer
    ) -> None:
        async def add(a: int) -> str:
            """Add."""
            return str(a)

        servers = perdure.mcp({"weather": steady.connection()})
        async with lab.worker(agent(servers, "done", tools=[perdure.tool(add)])) as runs:
            failure = await (await runs.start("graph")).failure()
            assert failure.type == NameTaken.code
            assert "the agent has a tool 'add', and so has MCP server 'weather'" in failure.message


class TestAnswersBack:
    """A server that asks the client something."""

    @pytest.mark.parametrize("name", ["ask_back", "sample"])
    async def test_it_is_told_that_this_is_not_supported(
        self, lab: Lab, steady: HttpServer, name: str
    ) -> None:
        servers = perdure.mcp({"weather": steady.connection()})
        async with lab.worker(agent(servers, calls(name, {}), "done")) as runs:
            said = await answer(await runs.start("graph"))
            assert (said.status, "not supported" in said.text) == ("error", True)


class TestSecrets:
    """What only the worker may know."""

    async def test_nothing_of_a_connection_is_in_the_history(
        self, lab: Lab, steady: HttpServer
    ) -> None:
        secret = "s3cr3t-of-the-worker"
        servers = perdure.mcp(
            {
                "weather": steady.connection(headers={"x-key": secret}),
                "files": stdio("secret_length", env={"SERVER_TOKEN": secret}),
            }
        )
        script = (
            calls("header", {"name": "x-key"}),
            calls("secret_length", {}, turn=2),
            "done",
        )
        async with lab.worker(agent(servers, *script)) as runs:
            run = await runs.start("graph")
            texts = await run.texts()
            assert [text for text in texts if text.isdigit()] == [str(len(secret))] * 2
            assert secret not in (await run.handle.fetch_history()).to_json()

    async def test_nor_in_an_error(self, lab: Lab, steady: HttpServer) -> None:
        url = f"{steady.url}/gone?k=s3cr3t-in-the-address"
        servers = perdure.mcp({"weather": steady.connection(url=url)}, retry=TWICE)
        async with lab.worker(agent(servers, "done")) as runs:
            run = await runs.start("graph")
            failure = await run.failure()
            assert failure.type == ToolServerFailed.code
            assert "s3cr3t" not in (await run.handle.fetch_history()).to_json()

    async def test_a_function_makes_the_connection_on_the_worker(
        self, lab: Lab, steady: HttpServer
    ) -> None:
        async def connect() -> dict[str, Any]:
            return steady.connection(headers={"x-key": "12345"})

        servers = perdure.mcp({"weather": connect})
        script = (calls("header", {"name": "x-key"}), "done")
        async with lab.worker(agent(servers, *script)) as runs:
            assert (await answer(await runs.start("graph"))).text == "5"
