"""An HTTP server that answers with bytes that a well-behaved one would not send."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from llmock.testing import BASE_PATHS


class RawServer:
    """Answer with given bytes, one answer a request; then pass requests on to llmock."""

    def __init__(self, upstream: str) -> None:
        self._upstream = upstream.removeprefix("http://").split(":")
        self._answers: list[bytes] = []
        self.served = 0
        self.port = 0

    def base_url(self, company: str) -> str:
        return f"http://127.0.0.1:{self.port}{BASE_PATHS[company]}"

    def answer(self, status: int, body: bytes, *, headers: Mapping[str, str] | None = None) -> None:
        lines = [f"HTTP/1.1 {status} X", "connection: close", f"content-length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        self.answer_bytes("\r\n".join([*lines, "", ""]).encode() + body)

    def answer_bytes(self, answer: bytes) -> None:
        self._answers.append(answer)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["RawServer"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        async with server:
            yield self

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                int(line.partition(b":")[2])
                for line in head.split(b"\r\n")
                if line.lower().startswith(b"content-length:")
            )
            body = await reader.readexactly(length)
            if self._answers:
                self.served += 1
                writer.write(self._answers.pop(0))
            else:
                await self._relay(head, body, writer)
            await writer.drain()
        finally:
            writer.close()

    async def _relay(self, head: bytes, body: bytes, writer: asyncio.StreamWriter) -> None:
        host, port = self._upstream
        reader, upstream = await asyncio.open_connection(host, int(port))
        upstream.write(head.replace(b"keep-alive", b"close") + body)
        writer.write(await reader.read(-1))
        upstream.close()
