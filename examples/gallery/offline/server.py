"""Anthropic's Messages API over HTTP, answered by rules: as much of it as LangChain uses."""

import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from .answers import Answer, answer
from .prompt import Prompt, read_prompt

Event = dict[str, Any]


class ModelServer(ThreadingHTTPServer):
    """The offline model on a port of this machine; 0 is any free one.

    `before` is called with every prompt before it is answered. `pause` is the time between two
    words of a stream, in seconds.
    """

    daemon_threads = True

    def __init__(
        self, port: int = 0, *, pause: float = 0.0, before: Callable[[Prompt], None] | None = None
    ) -> None:
        self.pause = pause
        self.before = before
        super().__init__(("127.0.0.1", port), _Handler)

    @property
    def environment(self) -> dict[str, str]:
        """The variables that lead LangChain's `ChatAnthropic` here."""
        url = f"http://127.0.0.1:{self.server_port}"
        return {"ANTHROPIC_API_KEY": "offline", "ANTHROPIC_BASE_URL": url}

    def __enter__(self) -> Self:
        """Serve on a thread of its own."""
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop serving."""
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: ModelServer  # pyright: ignore[reportIncompatibleVariableOverride]
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["content-length"]))
        if not self.path.startswith("/v1/messages"):
            self._send(404, {"type": "error", "error": {"type": "not_found_error", "message": "?"}})
            return
        body = json.loads(raw)
        prompt = read_prompt(body)
        if self.server.before is not None:
            self.server.before(prompt)
        message = _message(answer(prompt), body)
        if body.get("stream"):
            self._stream(_events(message))
        else:
            self._send(200, message)

    def _send(self, status: int, data: Event) -> None:
        payload = json.dumps(data).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def _stream(self, events: Iterator[Event]) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for event in events:
            line = f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
            if event["type"] == "content_block_delta":
                time.sleep(self.server.pause)
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def _message(said: Answer, body: Event) -> Event:
    # Ids follow from the request, so that the same request gets the same answer.
    request = json.dumps(body, sort_keys=True).encode()
    digest = hashlib.sha256(request).hexdigest()[:20]
    if isinstance(said, str):
        content: list[Event] = [{"type": "text", "text": said}]
    else:
        content = [
            {"type": "tool_use", "id": f"toolu_{digest}{n}", "name": c.name, "input": dict(c.args)}
            for n, c in enumerate(said)
        ]
    return {
        "id": f"msg_{digest}",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": content,
        "stop_reason": "end_turn" if isinstance(said, str) else "tool_use",
        "stop_sequence": None,
        "usage": {"input_tokens": len(request) // 4, "output_tokens": len(str(said)) // 4 + 1},
    }


def _events(message: Event) -> Iterator[Event]:
    """Tell a message piece by piece, as the API does."""
    start: Event = {**message, "content": [], "stop_reason": None}
    yield {"type": "message_start", "message": start}
    for index, block in enumerate(message["content"]):
        deltas: list[Event]
        if block["type"] == "text":
            empty, words = {**block, "text": ""}, block["text"].split(" ")
            spaced = [words[0], *(f" {word}" for word in words[1:])]
            deltas = [{"type": "text_delta", "text": word} for word in spaced]
        else:
            empty = block | {"input": dict[str, Any]()}
            told = json.dumps(block["input"])
            deltas = [{"type": "input_json_delta", "partial_json": told}]
        yield {"type": "content_block_start", "index": index, "content_block": empty}
        for delta in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    stop = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    yield {"type": "message_delta", "delta": stop, "usage": message["usage"]}
    yield {"type": "message_stop"}
