"""A workflow as people write them, sandboxed, that calls a tool of an MCP server."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    import perdure
    from integration.mcp.peers import stdio

SUMS = perdure.mcp({"sums": stdio("add")})


@workflow.defn
class Adding:
    """Add two numbers at the server."""

    @workflow.run
    async def run(self) -> str:
        tools = {tool.name: tool for tool in await SUMS.get_tools()}
        said = await tools["add"].ainvoke({"a": 2, "b": 3})
        return str(said[0]["text"])
