"""Which tools may run beside their graph, and how one is caught that looks into it."""

from typing import Annotated, Any

import pytest
from langchain.tools import InjectedState, InjectedStore, ToolRuntime
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import ensure_config
from langchain_core.tools import BaseTool, InjectedToolCallId, StructuredTool, tool
from langgraph.config import get_config, get_store, get_stream_writer
from langgraph.types import interrupt

from perdure.activity.fusing import Apart, NeedsGraph, is_alone


def plain(q: str) -> str:
    """Look."""
    return q


async def later(q: str) -> str:
    """Look later."""
    return q


def identified(q: str, tool_call_id: Annotated[str, InjectedToolCallId]) -> str:
    """Know its call."""
    return f"{q}{tool_call_id}"


def stateful(q: str, state: Annotated[dict[str, Any], InjectedState]) -> str:
    """Know the state."""
    return f"{q}{state}"


def stored(q: str, store: Annotated[Any, InjectedStore()]) -> str:
    """Know the store."""
    return f"{q}{store}"


def running(q: str, runtime: ToolRuntime) -> str:
    """Know the runtime."""
    return f"{q}{runtime}"


def configured(q: str, config: RunnableConfig) -> str:
    """Know the config."""
    return f"{q}{config}"


def perhaps(q: str, config: RunnableConfig | None = None) -> str:
    """Know the config, if there is one."""
    return f"{q}{config}"


class Plain(BaseTool):
    name: str = "plain_class"
    description: str = "Look."

    def _run(self, q: str) -> str:
        return q


class Configured(BaseTool):
    name: str = "configured_class"
    description: str = "Look."

    def _run(self, q: str, config: RunnableConfig) -> str:
        return f"{q}{config}"


@pytest.mark.parametrize("one", [plain, later, identified], ids=lambda f: f.__name__)
def test_a_function_of_the_models_arguments_is_alone(one: Any) -> None:
    assert is_alone(tool(one))


@pytest.mark.parametrize(
    "one", [stateful, stored, running, configured, perhaps], ids=lambda f: f.__name__
)
def test_a_function_that_takes_something_of_its_graph_is_not(one: Any) -> None:
    assert not is_alone(tool(one))


def test_a_class_is_judged_by_its_body() -> None:
    assert is_alone(Plain())
    assert not is_alone(Configured())


def test_a_tool_with_a_json_schema_is_judged_by_its_function() -> None:
    schema = {"type": "object", "properties": {"q": {"type": "string"}}}
    assert is_alone(StructuredTool.from_function(plain, args_schema=schema))
    assert not is_alone(StructuredTool.from_function(configured, args_schema=schema))


LOOKS = {
    "config": lambda: get_config()["configurable"]["user"],
    "default": lambda: get_config()["configurable"].get("user", "nobody"),
    "test": lambda: "user" in get_config()["configurable"],
    "or": lambda: (get_config().get("configurable") or {}).get("user"),
    "store": get_store,
    "writer": get_stream_writer,
    "interrupt": lambda: interrupt("which?"),
    "merged": lambda: ensure_config({"tags": ["x"]})["configurable"].get("user"),
}


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS.keys())
async def test_a_tool_that_looks_into_its_config_is_noticed(look: Any) -> None:
    @tool
    async def looking(q: str) -> str:
        """Look into the config."""
        look()
        return q

    around = Apart()
    call = {"name": "looking", "args": {"q": "x"}, "id": "1", "type": "tool_call"}
    with pytest.raises(NeedsGraph):
        await looking.ainvoke(call, RunnableConfig(configurable=around))
    assert around.asked


async def test_a_tool_that_looks_nowhere_is_left_in_peace() -> None:
    around = Apart()
    call = {"name": "plain", "args": {"q": "x"}, "id": "1", "type": "tool_call"}
    answer = await tool(plain).ainvoke(call, RunnableConfig(configurable=around))
    assert answer.content == "x"
    assert around.asked == []
