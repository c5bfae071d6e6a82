"""The codec endpoint answers Temporal's UI and CLI, and nobody else."""

import asyncio
import json
import subprocess
from base64 import b64decode, b64encode
from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest
import pytest_asyncio
from langchain.agents import create_agent

from integration.payloads.lab import NEW, OLD, Lab, ring
from integration.runtime.fakes import model, sole
from perdure import Payloads
from perdure.errors import BadOption, PortTaken
from perdure.server.codec import LARGEST_SHOWN, Endpoint, serving
from perdure.storage.payloads import Carrier
from perdure.testing.servers import find_binary

pytestmark = pytest.mark.timeout(60)
TOKEN = "a-token-that-is-long"
PAGE = "http://127.0.0.1:8233"
PLAIN = {
    "metadata": {"encoding": b64encode(b"json/plain").decode()},
    "data": b64encode(b'"hi"').decode(),
}


def hello(text: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}]}


@pytest.fixture
def codec(tmp_path) -> Carrier:
    return Carrier(Payloads(blobs=(tmp_path / "blobs").as_uri(), keys=ring(NEW, OLD)))


@pytest_asyncio.fixture(loop_scope="session")
async def guarded(codec: Carrier) -> AsyncGenerator[httpx.AsyncClient]:
    """An endpoint with a token; the client sends none by itself."""
    endpoint = Endpoint(codec=codec, token=TOKEN, origins=(PAGE,))
    async with (
        serving(endpoint, host="127.0.0.1", port=0) as url,
        httpx.AsyncClient(base_url=url) as http,
    ):
        yield http


@pytest_asyncio.fixture(loop_scope="session")
async def opened(codec: Carrier) -> AsyncGenerator[httpx.AsyncClient]:
    """An endpoint as that of `perdure dev`."""
    async with (
        serving(Endpoint(codec=codec, origins=(PAGE,)), host="127.0.0.1", port=0) as url,
        httpx.AsyncClient(base_url=url) as http,
    ):
        yield http


def bearer(token: str = TOKEN) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}", "X-Namespace": "default"}


def encoding(payload: dict[str, Any]) -> bytes:
    return b64decode(payload["metadata"]["encoding"])


async def test_what_was_encoded_is_decoded(guarded: httpx.AsyncClient):
    written = (await guarded.post("/encode", json={"payloads": [PLAIN]}, headers=bearer())).json()
    assert encoding(written["payloads"][0]) == b"perdure/aes-gcm"
    read = await guarded.post("/decode", json=written, headers=bearer())
    assert read.json() == {"payloads": [PLAIN]}


async def test_a_blob_is_decoded(guarded: httpx.AsyncClient):
    large = {**PLAIN, "data": b64encode(b'"' + b"x" * 200_000 + b'"').decode()}
    written = (await guarded.post("/encode", json={"payloads": [large]}, headers=bearer())).json()
    assert encoding(written["payloads"][0]) == b"perdure/blob"
    assert (await guarded.post("/decode", json=written, headers=bearer())).json() == {
        "payloads": [large]
    }


async def test_what_is_too_large_for_a_page_is_told_by_its_size(guarded: httpx.AsyncClient):
    large = {**PLAIN, "data": b64encode(b'"' + b"x" * LARGEST_SHOWN + b'"').decode()}
    written = (await guarded.post("/encode", json={"payloads": [large]}, headers=bearer())).json()
    read = (await guarded.post("/decode", json=written, headers=bearer())).json()
    assert "a value of 8,388,6" in b64decode(read["payloads"][0]["data"]).decode()


@pytest.mark.parametrize(
    "headers", [{}, bearer("another-token-of-that-size"), {"Authorization": f"Basic {TOKEN}"}]
)
@pytest.mark.parametrize("path", ["/decode", "/encode"])
async def test_without_the_token_nothing_is_answered(guarded: httpx.AsyncClient, headers, path):
    told = await guarded.post(path, json={"payloads": [PLAIN]}, headers=headers)
    assert (told.status_code, "payloads" in told.json()) == (401, False)


async def test_another_page_may_not_ask_even_with_the_token(guarded: httpx.AsyncClient):
    headers = bearer() | {"Origin": "http://evil.example"}
    told = await guarded.post("/decode", json={"payloads": []}, headers=headers)
    assert (told.status_code, "access-control-allow-origin" in told.headers) == (403, False)


async def test_the_ui_may_ask_before_it_sends_the_token(guarded: httpx.AsyncClient):
    asked = {
        "Origin": PAGE,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,x-namespace",
    }
    told = await guarded.options("/decode", headers=asked)
    assert (told.status_code, told.headers["access-control-allow-origin"]) == (204, PAGE)
    assert "x-namespace" in told.headers["access-control-allow-headers"]


async def test_on_this_machine_no_token_is_needed_in_development(opened: httpx.AsyncClient):
    told = await opened.post("/decode", json={"payloads": [PLAIN]}, headers={"Origin": PAGE})
    assert told.json() == {"payloads": [PLAIN]}


async def test_a_name_that_was_made_to_point_here_is_refused(opened: httpx.AsyncClient):
    told = await opened.post(
        "/decode", json={"payloads": [PLAIN]}, headers={"Host": "evil.example"}
    )
    assert told.status_code == 403


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"payloads": 7}', b"\xff"])
async def test_a_body_that_is_none_is_refused(guarded: httpx.AsyncClient, body):
    told = await guarded.post("/decode", content=body, headers=bearer())
    assert (told.status_code, told.json()["error"]["code"]) == (400, "bad_request")


async def test_a_missing_key_is_told_in_place_of_the_value(guarded: httpx.AsyncClient, tmp_path):
    from temporalio.api.common.v1 import Payload  # noqa: PLC0415 - of this test only

    other = Carrier(Payloads(blobs=None, keys="lost:" + b64encode(b"l" * 32).decode()))
    [lost] = await other.encode([Payload(metadata={"encoding": b"json/plain"}, data=b'"hi"')])
    sent = {
        "metadata": {k: b64encode(v).decode() for k, v in lost.metadata.items()},
        "data": b64encode(lost.data).decode(),
    }
    told = (
        await guarded.post("/decode", json={"payloads": [sent, PLAIN]}, headers=bearer())
    ).json()
    assert "[key_missing] a payload" in b64decode(told["payloads"][0]["data"]).decode()
    assert told["payloads"][1] == PLAIN


async def test_an_address_that_others_reach_needs_a_token(codec: Carrier):
    with pytest.raises(BadOption, match="needs a token"):
        async with serving(Endpoint(codec=codec), host="192.0.2.1", port=0):
            pass


async def test_a_short_token_is_refused(codec: Carrier):
    with pytest.raises(BadOption, match="at least 16"):
        Endpoint(codec=codec, token="short")


async def test_a_port_that_is_taken_is_named(codec: Carrier):
    endpoint = Endpoint(codec=codec)
    async with serving(endpoint, host="127.0.0.1", port=0) as url:
        port = int(url.rpartition(":")[2])
        with pytest.raises(PortTaken, match=str(port)):
            async with serving(endpoint, host="127.0.0.1", port=port):
                pass


async def shown(lab: Lab, run_id: str, *options: str) -> str:
    """Ask Temporal's own command line for the history of a run."""
    command = [str(find_binary("temporal")), "workflow", "show", "-w", run_id, "--output", "json"]
    address = ["--address", lab.server.address]
    done = await asyncio.to_thread(
        subprocess.run, [*command, *address, *options], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found: list[str] = []
    json.loads(done.stdout, object_hook=lambda part: found.append(part.get("data", "")))
    return " ".join(b64decode(text).decode("utf-8", "replace") for text in found)


async def test_temporals_own_cli_reads_a_run_through_it(lab: Lab):
    payloads = lab.payloads(keys=ring(NEW))
    async with lab.worker(sole(create_agent(model("tangerine"), [])), payloads) as runs:
        run = await runs.start("graph", hello("zebra " * 40_000))
        await run.result()
    assert "tangerine" not in await shown(lab, run.run_id)
    endpoint = Endpoint(codec=Carrier(payloads), token=TOKEN)
    async with serving(endpoint, host="127.0.0.1", port=0) as url:
        reads = ("--codec-endpoint", url, "--codec-auth", f"Bearer {TOKEN}")
        text = await shown(lab, run.run_id, *reads)
    assert ("tangerine" in text, "zebra zebra" in text) == (True, True)
