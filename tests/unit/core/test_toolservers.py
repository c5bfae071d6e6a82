"""What is known of MCP servers and their tools."""

import pytest

from perdure.core.toolservers import (
    ServerTool,
    ToolCard,
    check_connection,
    check_known,
    identity_of_connection,
    name_tools,
)
from perdure.core.wire import ModelReply, ToolCall
from perdure.errors import BadInput, BadOption, NameTaken

HTTP = {"transport": "streamable_http", "url": "https://x/mcp", "headers": {"key": "s3cr3t"}}
STDIO = {"transport": "stdio", "command": "python", "args": ["a.py"]}


@pytest.mark.parametrize("connection", [HTTP, STDIO, lambda: HTTP])
def test_a_connection_of_the_adapters_is_taken(connection):
    check_connection("x", connection)


@pytest.mark.parametrize(
    ("connection", "said"),
    [
        ("https://x", "write a connection as LangChain's MCP adapters take it"),
        ({"url": "https://x"}, "choose of stdio"),
        ({"transport": "carrier pigeon"}, "transport='carrier pigeon'"),
        ({"transport": "http"}, "needs 'url'"),
        ({"transport": "stdio", "command": "python"}, "needs 'args'"),
    ],
)
def test_another_is_refused_with_the_reason(connection, said):
    with pytest.raises(BadOption, match=said):
        check_connection("x", connection)


def test_a_refusal_shows_no_value_of_the_connection():
    with pytest.raises(BadOption) as raised:
        check_connection("x", {**HTTP, "transport": "?"})
    assert "s3cr3t" not in str(raised.value)


def test_the_same_server_with_another_key_is_the_same():
    assert identity_of_connection(HTTP) == identity_of_connection({**HTTP, "headers": {}})


@pytest.mark.parametrize("change", [{"url": "https://y"}, {"transport": "sse"}])
def test_another_address_is_another_server(change):
    assert identity_of_connection(HTTP) != identity_of_connection({**HTTP, **change})


def test_other_arguments_are_another_server():
    assert identity_of_connection(STDIO) != identity_of_connection({**STDIO, "args": ["b.py"]})


def test_tools_are_named_as_the_servers_name_them():
    (found,) = name_tools({"a": [ToolCard(name="x")]}, prefix=False)
    assert found[:2] == ("x", ServerTool(server="a", tool="x"))


def test_a_prefix_is_the_servers_name():
    (found,) = name_tools({"a": [ToolCard(name="x")]}, prefix=True)
    assert found[:2] == ("a_x", ServerTool(server="a", tool="x"))


def test_one_name_at_two_servers_is_an_error_that_shows_the_mend():
    with pytest.raises(NameTaken, match=r"'a' and 'b' both .* 'x'; .*prefix=True.* a_x and b_x"):
        name_tools({"a": [ToolCard(name="x")], "b": [ToolCard(name="x")]}, prefix=False)


def test_one_name_twice_at_one_server_is_an_error():
    with pytest.raises(NameTaken, match="'a' lists two tools named 'x'"):
        name_tools({"a": [ToolCard(name="x"), ToolCard(name="x")]}, prefix=True)


def test_an_option_for_an_unknown_tool_is_an_error():
    with pytest.raises(BadOption, match="approve: the MCP servers have no tool 'y'; they have: x"):
        check_known("approve", ["y"], ["x"])


def test_a_card_is_read_as_it_was_written():
    card = ToolCard(name="x", description="d", schema={"type": "object"}, metadata={"a": 1})
    assert ToolCard.from_json(card.to_json()) == card


def test_a_card_without_a_name_is_refused():
    with pytest.raises(BadInput, match="no name"):
        ToolCard.from_json({"schema": {}})


def test_the_server_of_a_call_is_read_as_it_was_written():
    call = ToolCall(tool="a_x", args={}, server=ServerTool(server="a", tool="x"))
    assert ToolCall.from_json(call.to_json()) == call


def test_a_call_from_before_has_no_server():
    assert ToolCall.from_json({"tool": "x", "args": {}}).server is None


def test_the_servers_of_called_tools_are_read_as_they_were_written():
    reply = ModelReply(message={}, servers={"a_x": ServerTool(server="a", tool="x")})
    assert ModelReply.from_json(reply.to_json()) == reply


@pytest.mark.parametrize("raw", [{"server": "a"}, {"tool": "x"}, {"server": 1, "tool": "x"}])
def test_a_tool_of_a_server_needs_both_names(raw):
    with pytest.raises(BadInput, match="needs both names"):
        ServerTool.from_json(raw)
