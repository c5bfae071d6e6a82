"""Noticing that the answer to a call broke off on its way."""

import httpx
import pytest

from perdure.activity.mcpwatch import Watch, call_of

REQUEST = {"method": "tools/call", "params": {"name": "x", "_meta": {"perdure/call": "c1"}}}
EVENTS = {"content-type": "text/event-stream"}


class Broken(httpx.AsyncByteStream):
    """A stream that gives some bytes, and then an error or its end."""

    def __init__(self, *chunks, error=None):
        self.chunks = chunks
        self.error = error

    async def __aiter__(self):
        for chunk in self.chunks:
            yield chunk
        if self.error is not None:
            raise self.error


async def read(watch, stream, *, stop=False, headers=EVENTS):
    """Make a call over a watched connection and read its answer."""

    def answer(request):
        return httpx.Response(200, headers=headers, stream=stream)

    def make(**given):
        return httpx.AsyncClient(transport=httpx.MockTransport(answer), **given)

    over = watch.over({"transport": "streamable_http", "url": "", "httpx_client_factory": make})
    async with (
        over["httpx_client_factory"](headers=None, timeout=None, auth=None) as client,
        client.stream("POST", "http://x", json=REQUEST) as response,
    ):
        try:
            async for _ in response.aiter_bytes():
                if stop:
                    return
        except httpx.TransportError:
            return


@pytest.mark.parametrize("error", [None, httpx.ReadError("cut")])
async def test_an_answer_that_ends_or_breaks_is_noticed(error):
    watch = Watch()
    waiting = watch.expect("c1")
    await read(watch, Broken(b"data: {}\n\n", error=error))
    assert "answer" in waiting.result()


async def test_an_answer_that_the_client_took_is_not():
    watch = Watch()
    waiting = watch.expect("c1")
    await read(watch, Broken(b"data: {}\n\n", b"more"), stop=True)
    assert not waiting.done()


async def test_a_stream_that_can_be_taken_up_again_is_not():
    watch = Watch()
    waiting = watch.expect("c1")
    await read(watch, Broken(b"event: message\nid: 7\ndata: {}\n\n", error=httpx.ReadError("cut")))
    assert not waiting.done()


async def test_an_id_within_the_data_is_no_id():
    watch = Watch()
    waiting = watch.expect("c1")
    await read(watch, Broken(b'data: {"paid: 5": 1, "id": 3}\n\n'))
    assert waiting.done()


async def test_the_answer_to_another_call_says_nothing():
    watch = Watch()
    waiting = watch.expect("c2")
    await read(watch, Broken(b"data: {}\n\n"))
    assert not waiting.done()


@pytest.mark.parametrize("transport", ["stdio", "sse", "websocket"])
def test_other_transports_are_left_as_they_are(transport):
    connection = {"transport": transport}
    assert Watch().over(connection) is connection


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"params": {"_meta": {}}}'])
def test_a_request_without_a_mark_is_no_call(body):
    assert call_of(httpx.Request("POST", "http://x", content=body)) is None
