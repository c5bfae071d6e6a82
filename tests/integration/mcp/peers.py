"""Start real MCP servers, kill them, start them again with other tools."""

import asyncio
import signal
import sys
from asyncio.subprocess import DEVNULL, Process
from pathlib import Path
from typing import Any, Self

from perdure.testing.servers import free_port

FILE = Path(__file__).parent / "server.py"


def stdio(*tools: str, **more: Any) -> dict[str, Any]:
    """Say how to start a server over stdin and stdout."""
    return {
        "transport": "stdio",
        "command": sys.executable,
        "args": [str(FILE), "stdio", "0", *tools],
        **more,
    }


class HttpServer:
    """A server over streamable HTTP, in a process of its own, always on the same port."""

    def __init__(self, *tools: str, how: str = "http") -> None:
        self.tools = tools
        self.how = how
        self.port = free_port()
        self.process: Process | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/{'sse' if self.how == 'sse' else 'mcp'}"

    def connection(self, **more: Any) -> dict[str, Any]:
        transport = "sse" if self.how == "sse" else "streamable_http"
        return {"transport": transport, "url": self.url, **more}

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.kill()

    async def start(self, *tools: str) -> None:
        """Start it, with these tools or those it had; wait until it listens."""
        self.tools = tools or self.tools
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, str(FILE), self.how, str(self.port), *self.tools,
            stdout=DEVNULL, stderr=DEVNULL,
        )  # fmt: skip
        await listening(self.port, self.process)

    async def kill(self, number: int = signal.SIGKILL) -> None:
        """Kill it at once."""
        if self.process is not None and self.process.returncode is None:
            self.process.send_signal(number)
            await self.process.wait()

    async def restart(self, *tools: str) -> None:
        await self.kill()
        await self.start(*tools)


async def listening(port: int, process: Process) -> None:
    """Wait until somebody listens on a port."""
    async with asyncio.timeout(20):
        while True:
            assert process.returncode is None, "the server ended"
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return
