"""Every kind of tool gives in a run what it gives on plain LangGraph."""

import asyncio
from typing import Annotated, Any

import pytest
from langchain.agents import AgentState
from langchain.tools import InjectedState, InjectedStore, ToolRuntime
from langchain_core.messages import ToolMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import (
    BaseTool,
    InjectedToolCallId,
    StructuredTool,
    ToolException,
    tool,
)
from langgraph.config import get_config, get_store, get_stream_writer
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode
from langgraph.store.base import BaseStore
from langgraph.store.memory import InMemoryStore
from langgraph.types import Command
from pydantic import BaseModel, field_validator
from typing_extensions import TypedDict

import perdure
from integration.runtime.fakes import calls, chain, sole
from integration.runtime.harness import Lab
from integration.runtime.kinds import both, durable, plain, shape

pytestmark = pytest.mark.timeout(60)


def sync_add(a: int, b: int) -> int:
    """Add."""
    return a + b


async def async_add(a: int, b: int) -> int:
    """Add."""
    await asyncio.sleep(0)
    return a + b


class ClassAdd(BaseTool):
    name: str = "class_add"
    description: str = "Add."
    bonus: int = 100

    def _run(self, a: int, b: int) -> int:
        return a + b + self.bonus


class ConfigAdd(BaseTool):
    name: str = "config_add"
    description: str = "Add."

    async def _arun(self, a: int, b: int, *, config: RunnableConfig) -> str:
        return f"{a + b} {sorted(config.get('tags') or [])}"

    def _run(self, a: int, b: int) -> int:
        raise NotImplementedError


structured = StructuredTool.from_function(sync_add, name="structured", description="Add.")


@tool(response_format="content_and_artifact")
def with_artifact(a: int, b: int) -> tuple[str, dict[str, Any]]:
    """Add, and show how."""
    return f"{a + b}", {"parts": [a, b], "pair": (a, b)}


@tool
def own_message(a: int, b: int, tool_call_id: Annotated[str, InjectedToolCallId]) -> ToolMessage:
    """Add."""
    return ToolMessage(f"sum {a + b}", tool_call_id=tool_call_id, name="other")


@tool
def blocks(a: int, b: int) -> list[dict[str, Any]]:
    """Add."""
    return [{"type": "text", "text": str(a + b)}]


@tool
def several_messages(a: int, b: int, tool_call_id: Annotated[str, InjectedToolCallId]) -> Any:
    """Add."""
    return [Command(update={}), ToolMessage(f"{a + b}", tool_call_id=tool_call_id)]


@tool
def takes_config(a: int, b: int, config: RunnableConfig) -> str:
    """Add."""
    return f"{a + b} at {config['metadata']['langgraph_node']}"


@tool
def reads_config(a: int, b: int) -> str:
    """Add."""
    return f"{a + b} at {get_config()['metadata']['langgraph_node']}"


KINDS = [
    sync_add, async_add, ClassAdd(), ConfigAdd(), structured, with_artifact, own_message, blocks,
    several_messages, takes_config, reads_config,
]  # fmt: skip


@pytest.mark.parametrize("where", ["activity", "workflow"])
@pytest.mark.parametrize("kind", KINDS, ids=lambda k: getattr(k, "name", None) or k.__name__)
async def test_a_tool_says_to_the_model_what_it_says_on_langgraph(
    lab: Lab, kind: Any, where: str
) -> None:
    expected, output = await both(lab, kind, {"a": 1, "b": 2}, where=where)
    assert shape(output["messages"]) == shape(expected["messages"])


class Basket(AgentState[Any]):
    basket: list[str]
    owner: str


@tool
def put(item: str, tool_call_id: Annotated[str, InjectedToolCallId]) -> Command[Any]:
    """Put something into the basket."""
    said = ToolMessage(f"put {item}", tool_call_id=tool_call_id)
    return Command(update={"basket": [item], "messages": [said]})


@tool
def look(item: str, basket: Annotated[list[str], InjectedState("basket")]) -> str:
    """Look for something in the basket."""
    return f"{item in basket} among {len(basket)}"


@tool
def whole(item: str, state: Annotated[dict[str, Any], InjectedState]) -> str:
    """Look at everything."""
    last = state["messages"][-1]
    return f"{item} {state['basket']} {state['owner']} {last.type} {last.tool_calls[0]['name']}"


@tool
def ask_runtime(item: str, runtime: ToolRuntime) -> str:
    """Look at everything."""
    last = runtime.state["messages"][-1]
    return f"{item} {runtime.state['basket']} {last.type} {runtime.tool_call_id}"


def helper(runtime: ToolRuntime) -> str:
    names = [tool.name for tool in runtime.tools]
    assert runtime.execution_info is not None
    return f"{runtime.state['owner']} {names} {runtime.execution_info.node_attempt}"


@tool
def hands_runtime_on(item: str, runtime: ToolRuntime) -> str:
    """Look at everything."""
    return f"{item} {helper(runtime)}"


@pytest.mark.parametrize("kind", [put, look, whole, ask_runtime, hands_runtime_on])
async def test_a_tool_sees_and_changes_the_state(lab: Lab, kind: BaseTool) -> None:
    given = {"basket": ["hat"], "owner": "ann"}
    expected, output = await both(lab, kind, {"item": "hat"}, input=given, state_schema=Basket)
    assert shape(output["messages"]) == shape(expected["messages"])
    assert output["basket"] == expected["basket"]


class Who(TypedDict):
    user: str


@tool
def greet(word: str, runtime: ToolRuntime[Who]) -> str:
    """Greet."""
    return f"{word} {runtime.context['user']}"


async def test_a_tool_sees_the_context(lab: Lab) -> None:
    context = {"user": "ann"}
    expected, output = await both(lab, greet, {"word": "hi"}, context=context, context_schema=Who)
    assert output["messages"][2].content == "hi ann"
    assert shape(output["messages"]) == shape(expected["messages"])


@tool
def plain_id(word: str, runtime: ToolRuntime) -> str:
    """Say the id of the call."""
    return f"{word} {runtime.tool_call_id}"


async def test_the_state_does_not_travel_to_a_tool_that_does_not_read_it(lab: Lab) -> None:
    agents = perdure.Agents()

    agents.add("graph", durable(plain_id, calls("plain_id", {"word": "x"}), "done"))
    async with lab.worker(agents) as runs:
        run = await runs.start("graph")
        await run.result()
        (call,) = [c for c in await run.calls() if c.kind == "perdure.tool"]
        assert "state" not in call.input["scene"]


@tool(return_direct=True)
def direct(word: str) -> str:
    """Answer at once."""
    return f"the answer is {word}"


async def test_return_direct_ends_the_agent(lab: Lab) -> None:
    expected, output = await both(lab, direct, {"word": "x"})
    assert shape(output["messages"]) == shape(expected["messages"])
    assert output["messages"][-1].type == "tool"


def refusing(word: str) -> str:
    """Refuse."""
    raise ToolException(f"no {word} today")


@pytest.mark.parametrize(
    "handling", [True, "sorry", lambda error: f"told: {error}"], ids=["true", "text", "function"]
)
async def test_a_tool_exception_is_told_as_the_tool_says(lab: Lab, handling: Any) -> None:
    kind = StructuredTool.from_function(refusing, handle_tool_error=handling)
    expected, output = await both(lab, kind, {"word": "hats"})
    assert shape(output["messages"]) == shape(expected["messages"])
    assert output["messages"][2].status == "error"


class Amount(BaseModel):
    amount: int

    @field_validator("amount")
    @classmethod
    def positive(cls, value: int) -> int:
        if value <= 0:
            raise ValueError("must be more than 0")
        return value


@tool(args_schema=Amount)
def pay(amount: int) -> str:
    """Pay."""
    return f"paid {amount}"


def tool_node(tool: BaseTool) -> StateGraph[Any, Any, Any, Any]:
    """Make a graph of a ToolNode alone, so that no model is told before it."""
    graph = StateGraph(MessagesState).add_node("tools", ToolNode([tool]))
    return graph.add_edge(START, "tools")


@pytest.mark.parametrize("args", [{"amount": "x"}, {}, {"amount": -1}], ids=str)
async def test_wrong_arguments_are_told_to_the_model_in_the_same_words(
    lab: Lab, args: dict[str, Any]
) -> None:
    given = {"messages": [calls("pay", args)]}
    expected = await tool_node(pay).compile().ainvoke(given)
    async with lab.worker(sole(tool_node(perdure.tool(pay)))) as runs:
        run = await runs.start("graph", runs.agents.codec.encode(given, what="input"))
        output = await run.result()
        assert shape(output["messages"]) == shape(expected["messages"])
        assert "Please fix the error" in output["messages"][-1].content
        assert await run.calls() == []


def inner_check(word: str) -> str:
    """Check something inside."""
    Amount.model_validate({"amount": word})
    return "fine"


async def test_a_validation_error_inside_the_tool_is_told_in_the_same_words(lab: Lab) -> None:
    expected, output = await both(lab, inner_check, {"word": "x"})
    assert shape(output["messages"]) == shape(expected["messages"])


async def test_a_handled_validation_error_is_told_as_the_tool_says(lab: Lab) -> None:
    kind = StructuredTool.from_function(inner_check, handle_validation_error="check it")
    expected, output = await both(lab, kind, {"word": "x"})
    assert shape(output["messages"]) == shape(expected["messages"])


async def test_a_tool_is_called_outside_of_a_tool_node(lab: Lab) -> None:
    add, artifact = perdure.tool(sync_add), perdure.tool(with_artifact)
    call = {"name": "with_artifact", "args": {"a": 1, "b": 2}, "id": "c1", "type": "tool_call"}

    async def node(state: dict[str, Any]) -> dict[str, Any]:
        total = await add.ainvoke({"a": 1, "b": 2})
        message = await artifact.ainvoke(call)
        return {"messages": [("ai", f"{total} {message.content} {message.artifact['pair']}")]}

    async with lab.worker(chain(node)) as runs:
        assert (await (await runs.start("graph")).texts())[-1] == "3 3 (1, 2)"


async def test_the_configs_own_keys_tags_and_metadata_reach_a_tool(lab: Lab) -> None:
    @perdure.tool
    def tell(word: str) -> str:
        """Tell."""
        config = get_config()
        mine = config["configurable"]["tenant"]
        return f"{word} {mine} {config['metadata']['ticket']} {'urgent' in config['tags']}"

    async def node(state: dict[str, Any]) -> dict[str, Any]:
        return {"messages": [("ai", await tell.ainvoke({"word": "x"}))]}

    async with lab.worker(chain(node)) as runs:
        run = await runs.start(
            "graph", configurable={"tenant": "acme"}, tags=["urgent"], metadata={"ticket": 7}
        )
        assert (await run.texts())[-1] == "x acme 7 True"


@tool
def streams(word: str, runtime: ToolRuntime) -> str:
    """Stream a little."""
    runtime.stream_writer({"first": word})
    get_stream_writer()("second")
    return word


async def test_what_a_tool_streams_is_streamed_in_the_graph(lab: Lab) -> None:

    turns = (calls("streams", {"word": "x"}), "done")
    wanted = [
        c async for c in plain(streams, *turns).astream({"messages": []}, stream_mode="custom")
    ]
    inner = durable(streams, *turns)

    async def node(state: dict[str, Any]) -> dict[str, Any]:
        got = [chunk async for chunk in inner.astream({"messages": []}, stream_mode="custom")]
        return {"messages": [("ai", str(got))]}

    async with lab.worker(chain(node)) as runs:
        assert (await (await runs.start("graph")).texts())[-1] == str(wanted)


class Boxed:
    """No JSON form."""


class Odd(AgentState[Any]):
    box: Any
    basket: list[str]


@tool
def reads_box(item: str, runtime: ToolRuntime) -> str:
    """Look into the box."""
    if item == "box":
        return str(runtime.state["box"])
    return str(runtime.state["basket"])


@pytest.mark.parametrize("where", ["activity", "workflow"])
async def test_a_field_without_a_json_form_stays_behind(lab: Lab, where: str) -> None:

    agent = durable(
        reads_box, calls("reads_box", {"item": "basket"}), "done", state_schema=Odd, where=where
    )

    async def node(state: dict[str, Any]) -> dict[str, Any]:
        output = await agent.ainvoke({"messages": [], "box": Boxed(), "basket": ["hat"]})
        return {"messages": [("ai", output["messages"][-2].content)]}

    async with lab.worker(chain(node)) as runs:
        assert (await (await runs.start("graph")).texts())[-1] == "['hat']"


async def test_reading_what_could_not_travel_says_so(lab: Lab) -> None:

    agent = durable(
        reads_box, calls("reads_box", {"item": "box"}), "done", state_schema=Odd, where="activity"
    )

    async def node(state: dict[str, Any]) -> None:
        await agent.ainvoke({"messages": [], "box": Boxed(), "basket": ["hat"]})

    async with lab.worker(chain(node)) as runs:
        failure = await (await runs.start("graph")).failure()
        assert failure.type == "unserializable"
        assert "state['box'] has no JSON form" in str(failure)


def keeps(item: str, store: Annotated[BaseStore, InjectedStore()]) -> str:
    """Keep something."""
    store.put(("kept",), "item", {"item": item})
    return str(get_store().get(("kept",), "item").value)  # type: ignore[union-attr]


async def keeps_async(item: str, runtime: ToolRuntime) -> str:
    """Keep something."""
    assert runtime.store is not None
    await runtime.store.aput(("kept",), "item", {"item": item})
    found = await runtime.store.aget(("kept",), "item")
    return str(found and found.value)


@pytest.mark.parametrize("kind", [keeps, keeps_async])
async def test_a_tool_uses_the_workers_store(lab: Lab, kind: Any) -> None:
    expected, output = await both(lab, kind, {"item": "hat"}, store=InMemoryStore())
    assert shape(output["messages"]) == shape(expected["messages"])
    assert "hat" in output["messages"][2].content


async def test_the_summary_of_a_call_shows_what_the_model_gave(lab: Lab) -> None:
    agents = perdure.Agents()
    agents.add("graph", durable(look, calls("look", {"item": "hat"}), "done", state_schema=Basket))
    async with lab.worker(agents) as runs:
        run = await runs.start("graph", {"messages": [], "basket": ["hat"]})
        await run.result()
        assert [c.summary for c in await run.calls()][1] == "tool: look(item='hat')"
