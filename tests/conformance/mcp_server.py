"""A real MCP server over stdin and stdout, for the cases of MCP tools."""

from mcp.server.fastmcp import FastMCP
from pydantic import BaseModel


class Sky(BaseModel):
    """The weather at a place."""

    place: str
    degrees: int


def forecast(place: str) -> Sky:
    """Tell the weather."""
    return Sky(place=place, degrees=len(place))


def add(a: int, b: int = 1) -> str:
    """Add two numbers."""
    return str(a + b)


def refuse(why: str) -> str:
    """Refuse."""
    raise ValueError(f"cannot, because {why}")


if __name__ == "__main__":
    server = FastMCP("cases", log_level="CRITICAL")
    for tool in (forecast, add, refuse):
        server.add_tool(tool)
    server.run()
