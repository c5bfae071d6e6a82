"""What is told of an MCP server's failure, and what is not."""

import httpx
import pytest
from mcp import McpError
from mcp.types import ErrorData

from perdure.activity.mcpfaults import ServerFault, mask, plainly, secrets_of
from perdure.activity.mcpsessions import SessionLost

NONE: frozenset[str] = frozenset()


def told(error, secrets=NONE):
    return plainly(error, server="desk", secrets=secrets)


def refused(status, url="https://x/mcp?k=s3cr3t99"):
    request = httpx.Request("POST", url)
    response = httpx.Response(status, request=request)
    return httpx.HTTPStatusError(f"said {status} for {url}", request=request, response=response)


@pytest.mark.parametrize(
    ("error", "act"),
    [
        (httpx.ConnectError("refused"), "retry"),
        (SessionLost("gone", sent=True), "retry"),
        (TimeoutError("no answer"), "retry"),
        (refused(503), "retry"),
        (refused(401), "give_up"),
        (FileNotFoundError(2, "no such file", "uvx"), "give_up"),
        (McpError(ErrorData(code=-32603, message="internal")), "retry"),
    ],
)
def test_what_may_pass_is_tried_again(error, act):
    assert told(error).perdure_verdict.act == act


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (SessionLost("gone", sent=True), ConnectionError),
        (TimeoutError("no answer"), TimeoutError),
        (refused(401), ServerFault),
    ],
)
def test_a_graph_can_catch_it_by_its_kind(error, kind):
    assert isinstance(told(error), kind)


def test_the_text_names_the_server():
    assert str(told(httpx.ConnectError("refused"))) == "MCP server 'desk': refused"


def test_of_a_group_the_innermost_error_is_told_and_judged():
    group = BaseExceptionGroup("x", [BaseExceptionGroup("y", [httpx.ConnectError("refused")])])
    fault = told(group)
    assert str(fault) == "MCP server 'desk': refused"
    assert fault.perdure_verdict.reason == "the connection failed (ConnectError)"


@pytest.mark.parametrize(
    "connection",
    [
        {"headers": {"x-key": "s3cr3t99"}},
        {"headers": {"authorization": "Bearer s3cr3t99"}},
        {"env": {"TOKEN": "s3cr3t99"}},
        {"args": ["--token=s3cr3t99"]},
        {"url": "https://me:s3cr3t99@x/mcp"},
        {"url": "https://x/mcp?s3cr3t99"},
    ],
)
def test_no_value_of_a_connection_is_shown(connection):
    assert "s3cr3t99" not in mask("it said s3cr3t99", secrets_of(connection))


def test_short_values_are_left_as_they_are():
    assert mask("a 1", secrets_of({"env": {"DEBUG": "1"}})) == "a 1"
