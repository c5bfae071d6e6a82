"""The options of `create_agent`."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from langchain.agents import AgentState, create_agent
from langchain.agents.middleware import ModelRequest, dynamic_prompt, wrap_model_call
from langchain.agents.structured_output import ProviderStrategy, ToolStrategy
from langchain.tools import ToolRuntime
from langchain_core.messages import AIMessage, SystemMessage
from langgraph.checkpoint.memory import InMemorySaver
from pydantic import BaseModel
from typing_extensions import TypedDict  # pydantic needs it on Python 3.11

from conformance.case import Kit, Plan, case
from conformance.cases.agents_tools import HELLO, look, search
from conformance.kits import calls


class Weather(BaseModel):
    """The weather of one day."""

    sky: str
    degrees: int


class Mood(BaseModel):
    """A mood."""

    mood: str


class Sky(TypedDict):
    """The sky."""

    sky: str


@dataclass
class Sight:
    """Something seen."""

    thing: str
    far: bool


@dataclass(frozen=True)
class User:
    """Who asks."""

    name: str
    expert: bool = False


class Counted(AgentState[Any]):
    """A state with a counter."""

    count: int


SUNNY = {"sky": "blue", "degrees": 21}


@case(
    "agent_structured_tool_strategy",
    area="Agents",
    feature="response_format=ToolStrategy(pydantic)",
)
def structured_by_tool(kit: Kit) -> Plan:
    model = kit.model(calls("search", {"q": "x"}), calls("Weather", SUNNY, turn=2))
    graph = create_agent(model, [kit.tool(search)], response_format=ToolStrategy(Weather))
    return Plan(graph=graph, input=HELLO, types=(Weather,), activities={"model": 2, "tool": 1})


@case("agent_structured_union", area="Agents", feature="ToolStrategy of a union of two schemas")
def structured_union(kit: Kit) -> Plan:
    graph = create_agent(
        kit.model(calls("Mood", {"mood": "fine"})), [], response_format=ToolStrategy(Weather | Mood)
    )
    return Plan(graph=graph, input=HELLO, types=(Weather, Mood), activities={"model": 1})


@case("agent_structured_message", area="Agents", feature="ToolStrategy with tool_message_content")
def structured_message(kit: Kit) -> Plan:
    strategy = ToolStrategy(Weather, tool_message_content="weather noted")
    graph = create_agent(kit.model(calls("Weather", SUNNY)), [], response_format=strategy)
    return Plan(graph=graph, input=HELLO, types=(Weather,), activities={"model": 1})


@case("agent_structured_typed_dict", area="Agents", feature="response_format as a TypedDict")
def structured_typed_dict(kit: Kit) -> Plan:
    model = kit.model(calls("Sky", {"sky": "blue"}))
    graph = create_agent(model, [], response_format=ToolStrategy(Sky))
    return Plan(graph=graph, input=HELLO, activities={"model": 1})


@case("agent_structured_dataclass", area="Agents", feature="response_format as a dataclass")
def structured_dataclass(kit: Kit) -> Plan:
    model = kit.model(calls("Sight", {"thing": "ship", "far": True}))
    graph = create_agent(model, [], response_format=ToolStrategy(Sight))
    return Plan(graph=graph, input=HELLO, types=(Sight,), activities={"model": 1})


@case("agent_structured_json_schema", area="Agents", feature="response_format as a JSON schema")
def structured_json_schema(kit: Kit) -> Plan:
    schema = {
        "title": "Town",
        "description": "A town.",
        "type": "object",
        "properties": {"name": {"type": "string"}},
        "required": ["name"],
    }
    model = kit.model(calls("Town", {"name": "Ulm"}))
    graph = create_agent(model, [], response_format=ToolStrategy(schema))
    return Plan(graph=graph, input=HELLO, activities={"model": 1})


@case(
    "agent_structured_auto", area="Agents", feature="response_format chosen by the model's profile"
)
def structured_auto(kit: Kit) -> Plan:
    graph = create_agent(kit.model(calls("Weather", SUNNY)), [], response_format=Weather)
    return Plan(graph=graph, input=HELLO, types=(Weather,), activities={"model": 1})


@case("agent_structured_provider", area="Agents", feature="response_format=ProviderStrategy")
def structured_by_provider(kit: Kit) -> Plan:
    model = kit.model('{"sky": "blue", "degrees": 21}')
    graph = create_agent(model, [], response_format=ProviderStrategy(Weather))
    return Plan(graph=graph, input=HELLO, types=(Weather,), activities={"model": 1})


@case(
    "agent_structured_retry",
    area="Agents",
    feature="ToolStrategy tells the model what is wrong with its answer",
    caveat="with `repairs` (the default) the model is asked again, before the graph sees it",
)
def structured_retry(kit: Kit) -> Plan:
    wrong = calls("Weather", {"sky": "blue", "degrees": "many"})
    model = kit.model(wrong, calls("Weather", SUNNY, turn=2), repairs=0)
    graph = create_agent(model, [], response_format=ToolStrategy(Weather))
    return Plan(graph=graph, input=HELLO, types=(Weather,), activities={"model": 2})


@case("agent_dynamic_model", area="Agents", feature="A model chosen anew for each call")
def dynamic_model(kit: Kit) -> Plan:
    large = kit.model("the large one", name="large")

    @wrap_model_call  # type: ignore[arg-type]
    async def choose(
        request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], Awaitable[Any]]
    ) -> Any:
        is_late = any(isinstance(message, AIMessage) for message in request.messages)
        return await handler(request.override(model=large) if is_late else request)

    small = kit.model(calls("search", {"q": "x"}), "the small one", name="small")
    graph = create_agent(small, [kit.tool(search)], middleware=[choose])
    return Plan(graph=graph, input=HELLO, activities={"model": 2, "tool": 1})


@case("agent_dynamic_tools", area="Agents", feature="Tools chosen anew for each call")
def dynamic_tools(kit: Kit) -> Plan:
    @wrap_model_call  # type: ignore[arg-type]
    async def choose(
        request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], Awaitable[Any]]
    ) -> Any:
        return await handler(request.override(tools=[t for t in request.tools if t.name == "look"]))  # type: ignore[union-attr]

    model = kit.model(calls("look", {"q": "x"}), "done")
    graph = create_agent(model, [kit.tool(search), kit.tool(look)], middleware=[choose])
    return Plan(graph=graph, input=HELLO, activities={"model": 2, "tool": 1})


def echo_system(messages: list[Any]) -> AIMessage:
    """Answer with the system prompt."""
    return AIMessage(" | ".join(m.text for m in messages if isinstance(m, SystemMessage)))


@case("agent_dynamic_prompt", area="Agents", feature="A system prompt made from the context")
def prompt_by_context(kit: Kit) -> Plan:
    @dynamic_prompt
    def prompt(request: ModelRequest[Any]) -> str:
        user: User = request.runtime.context
        return f"You serve {user.name}, {'an expert' if user.expert else 'a beginner'}."

    graph = create_agent(kit.model(echo_system), [], middleware=[prompt], context_schema=User)
    plan = Plan(graph=graph, input=HELLO, types=(User,), activities={"model": 1})
    plan.context = User(name="Ann", expert=True)
    return plan


@case("agent_system_prompt", area="Agents", feature="system_prompt as a text")
def system_prompt(kit: Kit) -> Plan:
    graph = create_agent(kit.model(echo_system), [], system_prompt="Be brief.")
    return Plan(graph=graph, input=HELLO, activities={"model": 1})


@case("agent_system_message", area="Agents", feature="system_prompt as a SystemMessage")
def system_message(kit: Kit) -> Plan:
    said = SystemMessage([{"type": "text", "text": "Be kind."}])
    graph = create_agent(kit.model(echo_system), [], system_prompt=said)
    return Plan(graph=graph, input=HELLO, activities={"model": 1})


@case("agent_state_schema", area="Agents", feature="state_schema with a field of one's own")
def state_schema(kit: Kit) -> Plan:
    graph = create_agent(kit.model("done"), [], state_schema=Counted)
    return Plan(graph=graph, input={**HELLO, "count": 3}, activities={"model": 1})


def who(q: str, runtime: ToolRuntime[User, Any]) -> str:
    """Say who asks."""
    return f"{q} {runtime.context.name}"


@case("agent_context_in_tool", area="Agents", feature="context_schema read in a tool")
def context_in_tool(kit: Kit) -> Plan:
    model = kit.model(calls("who", {"q": "hi"}), "done")
    graph = create_agent(model, [kit.tool(who)], context_schema=User)
    plan = Plan(graph=graph, input=HELLO, types=(User,), activities={"model": 2, "tool": 1})
    plan.context = User(name="Bob")
    return plan


@case("agent_checkpointer", area="Agents", feature="create_agent with a checkpointer of its own")
def with_checkpointer(kit: Kit) -> Plan:
    graph = create_agent(kit.model("done"), [], checkpointer=InMemorySaver())
    return Plan(graph=graph, input=HELLO, activities={"model": 1})


@case("agent_name", area="Agents", feature="create_agent with a name, told on its messages")
def with_name(kit: Kit) -> Plan:
    graph = create_agent(
        kit.model(calls("search", {"q": "x"}), "done"), [kit.tool(search)], name="ann"
    )
    return Plan(graph=graph, input=HELLO, activities={"model": 2, "tool": 1})


@case("agent_interrupt_before", area="Agents", feature="create_agent(interrupt_before=['tools'])")
def interrupt_before(kit: Kit) -> Plan:
    model = kit.model(calls("search", {"q": "x"}), "done")
    graph = create_agent(model, [kit.tool(search)], interrupt_before=["tools"])
    return Plan(graph=graph, input=HELLO, activities={"model": 2, "tool": 1}, answers=[None])


@case("agent_as_node", area="Agents", feature="An agent as a node of a graph, twice")
def as_node(kit: Kit) -> Plan:
    from langgraph.graph import START, MessagesState, StateGraph  # noqa: PLC0415

    graph: Any = StateGraph(MessagesState)
    first = create_agent(
        kit.model(calls("search", {"q": "x"}), "one", name="a"), [kit.tool(search)], name="first"
    )
    second = create_agent(kit.model(echo_system, name="b"), [], system_prompt="two", name="second")
    graph.add_node("first", first).add_node("second", second)
    graph.add_edge(START, "first").add_edge("first", "second")
    return Plan(graph=graph, input=HELLO, activities={"model": 3, "tool": 1})


@case("agent_as_tool", area="Agents", feature="An agent called in a tool-like node of another")
def as_tool(kit: Kit) -> Plan:
    from langchain_core.tools import tool  # noqa: PLC0415

    inner = create_agent(
        kit.model(calls("search", {"q": "x"}), "inner done", name="in"), [kit.tool(search)]
    )

    @tool
    async def ask_expert(question: str) -> str:
        """Ask the expert."""
        said = await inner.ainvoke({"messages": [{"role": "user", "content": question}]})
        return said["messages"][-1].text

    model = kit.model(calls("ask_expert", {"question": "why"}), "done", name="out")
    graph = create_agent(model, [ask_expert])
    return Plan(graph=graph, input=HELLO, activities={"model": 4, "tool": 1})
