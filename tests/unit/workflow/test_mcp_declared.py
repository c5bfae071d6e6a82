"""`perdure.mcp` where an app is imported, and the tools of LangChain's MCP adapters."""

from collections.abc import Sequence
from typing import Any

import pytest
from langchain_core.tools import BaseTool, tool
from langchain_mcp_adapters.callbacks import Callbacks
from langchain_mcp_adapters.tools import convert_mcp_tool_to_langchain_tool
from mcp.types import Tool

import perdure
from perdure.core.adapters import CELLS, adapted, declare_server
from perdure.core.declared import DECLARED, Table
from perdure.core.toolservers import ServerTool
from perdure.errors import BadOption, MissingExtra, NameTaken
from perdure.workflow.reading import RUNTIME_PARTS, read_from

pytestmark = pytest.mark.usefixtures("fresh_declarations")
HTTP: Any = {"transport": "streamable_http", "url": "https://x/mcp"}


def made(**options: Any) -> BaseTool:
    """Make a tool as the adapters do."""
    bare = Tool(name="look", inputSchema={"type": "object"})
    given: Any = {"connection": HTTP, "server_name": "desk", **options}
    return convert_mcp_tool_to_langchain_tool(None, bare, **given)


async def intercept(request: Any, handler: Any) -> Any:
    return await handler(request)


class TestDeclared:
    """The function itself."""

    def test_a_middleware_is_named_after_its_servers(self):
        assert perdure.mcp({"a": HTTP, "b": {**HTTP, "url": "https://y"}}).name == "mcp:a,b"

    def test_no_server_is_asked_and_no_tool_is_known_yet(self):
        assert perdure.mcp({"a": HTTP}).tools == ()

    def test_the_same_server_may_be_declared_again_by_a_reloaded_app(self):
        perdure.mcp({"a": HTTP})
        perdure.mcp({"a": {**HTTP, "headers": {"new": "key"}}})
        assert DECLARED.names("mcp") == ["a"]

    def test_two_servers_of_one_name_are_an_error(self):
        perdure.mcp({"a": HTTP})
        with pytest.raises(NameTaken, match="two different MCP servers are named 'a'"):
            perdure.mcp({"a": {**HTTP, "url": "https://y"}})

    @pytest.mark.parametrize("servers", [{}, ["a"], "a", None])
    def test_servers_are_a_mapping(self, servers: Any):
        with pytest.raises(BadOption, match="servers: write"):
            perdure.mcp(servers)

    @pytest.mark.parametrize("effect", [True, "pay"])
    def test_effects_are_named_by_a_list(self, effect: Any):
        with pytest.raises(BadOption, match="list the names of the tools"):
            perdure.mcp({"a": HTTP}, effect=effect)

    @pytest.mark.parametrize("name", ["", 3])
    def test_a_server_has_a_name(self, name: Any):
        with pytest.raises(BadOption, match="an MCP server's name is text"):
            perdure.mcp({name: HTTP})

    def test_without_the_adapters_it_says_what_to_install(self, monkeypatch: Any):
        monkeypatch.setattr("perdure.workflow.mcp.find_spec", lambda _: None)
        with pytest.raises(MissingExtra, match=r"perdure\[mcp\]"):
            perdure.mcp({"a": HTTP})


class TestAdapted:
    """What the adapters' own tools tell about themselves."""

    def test_the_function_of_an_adapters_tool_closes_over_what_is_read(self):
        """If this fails, the adapters changed: calls are made by their function then."""
        function: Any = getattr(made(), "coroutine", None)
        assert set(function.__code__.co_freevars) >= set(CELLS)

    def test_server_and_connection_are_read(self):
        found = adapted(made())
        assert found is not None
        assert (found.server, found.tool, found.connection is HTTP) == ("desk", "look", True)

    def test_another_tool_is_none(self):
        @tool
        def look(q: str) -> str:
            """Look."""
            return q

        assert adapted(look) is None

    @pytest.mark.parametrize(
        ("options", "bare"),
        [
            ({}, True),
            ({"callbacks": Callbacks()}, True),
            ({"callbacks": Callbacks(on_progress=intercept)}, False),
            ({"tool_interceptors": [intercept]}, False),
        ],
    )
    def test_a_call_is_bare_if_nothing_of_the_app_takes_part(
        self, options: dict[str, Any], bare: bool
    ):
        found = adapted(made(**options))
        assert found is not None
        assert found.bare is bare

    def test_the_server_is_declared_by_its_name(self):
        table = Table()
        assert declare_server(table, made()) == ServerTool(server="desk", tool="look")
        assert table.names("mcp") == ["desk"]

    def test_two_connections_under_one_name_are_two_servers(self):
        table = Table()
        tools: Sequence[BaseTool] = [made(), made(connection=dict(HTTP)), made()]
        found = [declare_server(table, one) for one in tools]
        assert [one.server for one in found if one] == ["desk", "desk.2", "desk"]

    def test_a_tool_with_interceptors_keeps_its_own_function(self):
        assert declare_server(Table(), made(tool_interceptors=[intercept])) is None

    def test_a_bare_tool_reads_nothing_of_its_runtime(self):
        assert read_from(made(), "runtime") == frozenset()

    def test_an_interceptor_may_read_all_of_it(self):
        assert read_from(made(tool_interceptors=[intercept]), "runtime") == RUNTIME_PARTS
