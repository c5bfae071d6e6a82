"""Tools of MCP servers, through LangChain's adapters; the servers are real processes."""

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from langchain.agents import create_agent
from langchain_core.tools import BaseTool
from langchain_mcp_adapters.client import MultiServerMCPClient
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition

import perdure
from conformance.case import Kit, Plan, case
from conformance.cases.agents_tools import HELLO
from conformance.kits import calls

AREA = "MCP tools"
SERVER: Any = {
    "transport": "stdio",
    "command": sys.executable,
    "args": [str(Path(__file__).parents[1] / "mcp_server.py")],
}


def client(**options: Any) -> MultiServerMCPClient:
    return MultiServerMCPClient({"desk": SERVER}, **options)


def taken(source: MultiServerMCPClient) -> list[BaseTool]:
    """Take a client's tools before a graph is built, as an async factory would."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, source.get_tools()).result()


def agent(kit: Kit, tools: list[BaseTool], *script: Any, count: int = 1) -> Plan:
    made = create_agent(kit.model(*script, "done"), tools)
    activities = {"model": len(script) + 1, "tool": count}
    return Plan(graph=made, input=HELLO, activities=activities, intercept=True)


@case("mcp_agent", area=AREA, feature="create_agent with tools of `MultiServerMCPClient`")
def mcp_agent(kit: Kit) -> Plan:
    return agent(kit, taken(client()), calls("add", {"a": 1}, {"a": 2, "b": 3}), count=2)


@case("mcp_artifact", area=AREA, feature="Structured content of an MCP tool is its artifact")
def mcp_artifact(kit: Kit) -> Plan:
    return agent(kit, taken(client()), calls("forecast", {"place": "Oslo"}))


@case("mcp_error", area=AREA, feature="An error of an MCP tool reaches the model")
def mcp_error(kit: Kit) -> Plan:
    return agent(kit, taken(client()), calls("refuse", {"why": "it rains"}))


@case("mcp_prefix", area=AREA, feature="MCP tools named with their server (`tool_name_prefix`)")
def mcp_prefix(kit: Kit) -> Plan:
    return agent(kit, taken(client(tool_name_prefix=True)), calls("desk_add", {"a": 1}))


@case("mcp_client_in_node", area=AREA, feature="`await client.get_tools()` in a node")
def mcp_client_in_node(kit: Kit) -> Plan:
    source = client()

    async def use(state: MessagesState) -> Any:
        tools = {tool.name: tool for tool in await source.get_tools()}
        call = {"name": "add", "args": {"a": 2}, "id": "1", "type": "tool_call"}
        return {"messages": [await tools["add"].ainvoke(call)]}

    graph = StateGraph(MessagesState)
    graph.add_sequence([use])
    graph.add_edge(START, "use")
    return Plan(graph=graph, input=HELLO, activities={"tool": 1, "mcp.tools": 1}, intercept=True)


@case("mcp_middleware", area=AREA, feature="`perdure.mcp` as middleware of create_agent")
def mcp_middleware(kit: Kit) -> Plan:
    model = kit.model(calls("add", {"a": 1}), "done")
    made = create_agent(model, middleware=[perdure.mcp({"mine": SERVER})])
    return Plan(graph=made, input=HELLO, activities={"model": 2, "tool": 1, "mcp.tools": 1})


@case("mcp_tool_node", area=AREA, feature="`perdure.mcp` with a model and a ToolNode of one's own")
def mcp_tool_node(kit: Kit) -> Plan:
    servers = perdure.mcp({"own": SERVER}, prefix=True)
    model = kit.model(calls("own_add", {"a": 1}), "done")

    async def think(state: MessagesState) -> Any:
        bound = model.bind_tools(await servers.get_tools())
        return {"messages": [await bound.ainvoke(state["messages"])]}

    graph = StateGraph(MessagesState)
    graph.add_node("think", think)
    graph.add_node("tools", ToolNode([], awrap_tool_call=servers.awrap_tool_call))
    graph.add_edge(START, "think")
    graph.add_conditional_edges("think", tools_condition)
    graph.add_edge("tools", "think")
    return Plan(graph=graph, input=HELLO, activities={"model": 2, "tool": 1, "mcp.tools": 1})
