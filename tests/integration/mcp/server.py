"""A real MCP server: `server.py stdio|http|stateless|sse PORT TOOL...`. Nothing of ours is in."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

from mcp.server.fastmcp import Context, FastMCP
from mcp.server.fastmcp.utilities.types import Image
from pydantic import BaseModel


class Sky(BaseModel):
    """The weather at a place."""

    place: str
    degrees: int


def forecast(place: str) -> Sky:
    """Tell the weather."""
    return Sky(place=place, degrees=len(place))


def outlook(place: str) -> str:
    """Tell the weather; the newer name."""
    return f"{place}: outlook"


def add(a: int, b: int = 1) -> str:
    """Add two numbers."""
    return str(a + b)


def nothing() -> str:
    """Do nothing."""
    return "did nothing"


def fail(why: str) -> str:
    """Fail."""
    raise ValueError(f"cannot, because {why}")


def picture() -> Image:
    """Draw."""
    return Image(data=b"\x89PNG", format="png")


def whoami() -> str:
    """Tell who serves."""
    return f"process {os.getpid()}"


def secret_length() -> str:
    """Tell how long the token is that only the server's environment has."""
    return str(len(os.environ.get("SERVER_TOKEN", "")))


async def key(ctx: Context) -> str:
    """Tell the idempotency key that the caller sent."""
    meta = ctx.request_context.meta
    return str(getattr(meta, "model_extra", {}).get("perdure/idempotency-key"))


async def header(name: str, ctx: Context) -> str:
    """Tell a header of the request, its length only."""
    request: Any = ctx.request_context.request
    return str(len(request.headers.get(name, "")))


async def ask_back(ctx: Context) -> str:
    """Ask the person behind the client."""
    answer = await ctx.elicit("which?", Sky)
    return str(answer)


async def sample(ctx: Context) -> str:
    """Ask the client's model."""
    from mcp.types import SamplingMessage, TextContent  # noqa: PLC0415

    said = SamplingMessage(role="user", content=TextContent(type="text", text="hi"))
    return str(await ctx.session.create_message([said], max_tokens=9))


async def stall(flag: str) -> str:
    """Never answer the first time: leaves a file as a sign; answers if the file is there."""
    if Path(flag).exists():
        return "answered"
    Path(flag).touch()
    await asyncio.Event().wait()
    return "never"


def die(flag: str) -> str:
    """Die in the middle of the first call."""
    if not Path(flag).exists():
        Path(flag).touch()
        os._exit(1)
    return "answered"


async def die_later(flag: str) -> str:
    """Answer, and die a moment later."""
    asyncio.get_running_loop().call_later(0.05, os._exit, 1)
    return "answered"


async def slow(seconds: float) -> str:
    """Take some time."""
    await asyncio.sleep(seconds)
    return "slow"


def main() -> None:
    how, port, *names = sys.argv[1:]
    server = FastMCP(
        "test", port=int(port), stateless_http=how == "stateless", log_level="CRITICAL"
    )
    for name in names:
        server.add_tool(globals()[name])
    transports: dict[str, Any] = {"stdio": "stdio", "sse": "sse"}
    server.run(transports.get(how, "streamable-http"))


if __name__ == "__main__":
    main()
