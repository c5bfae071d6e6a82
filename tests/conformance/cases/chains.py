"""LCEL chains as nodes, and calls of models and tools in nodes."""

import asyncio
from datetime import timedelta
from typing import Any

from langchain_core.messages import HumanMessage
from langchain_core.output_parsers import JsonOutputParser, StrOutputParser
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder
from langchain_core.runnables import (
    RunnableBranch,
    RunnableLambda,
    RunnableParallel,
    RunnablePassthrough,
)
from langgraph.graph import START, StateGraph
from pydantic import BaseModel
from typing_extensions import TypedDict

from conformance.case import Kit, Plan, case
from conformance.cases._states import Items, line
from conformance.kits import calls
from perdure import Retry

AREA = "Chains"
ONCE = Retry(initial=timedelta(seconds=1), maximum=timedelta(seconds=1), attempts=1)


class Text(TypedDict, total=False):
    x: str
    out: Any


def node_of(chain: Any) -> Any:
    graph = StateGraph(Text).add_node("n", chain | (lambda found: {"out": found}))
    return graph.add_edge(START, "n")


@case("lcel_chain", area=AREA, feature="prompt | model | parser as a node")
def lcel_chain(kit: Kit) -> Plan:
    model = kit.model(lambda messages: f"said: {messages[-1].text}")
    prompt = ChatPromptTemplate.from_messages([("system", "be brief"), ("human", "tell {x}")])
    return Plan(
        graph=node_of(prompt | model | StrOutputParser()),
        input={"x": "tea"},
        activities={"model": 1},
    )


@case("lcel_lambda", area=AREA, feature="RunnableLambda as a node, sync and async")
def lcel_lambda(kit: Kit) -> Plan:
    async def later(text: str) -> str:
        return f"{text}!"

    chain = RunnableLambda(lambda s: s["x"].upper()) | RunnableLambda(later)
    return Plan(graph=node_of(chain), input={"x": "tea"})


@case("lcel_parallel", area=AREA, feature="RunnableParallel of two models")
def lcel_parallel(kit: Kit) -> Plan:
    one = kit.model("one", name="one") | StrOutputParser()
    two = kit.model("two", name="two") | StrOutputParser()
    chain = RunnableLambda(lambda s: s["x"]) | RunnableParallel(one=one, two=two)
    return Plan(graph=node_of(chain), input={"x": "tea"}, activities={"model": 2})


@case("lcel_passthrough", area=AREA, feature="RunnablePassthrough.assign with a model")
def lcel_passthrough(kit: Kit) -> Plan:
    said = RunnableLambda(lambda s: s["x"]) | kit.model("one") | StrOutputParser()
    return Plan(
        graph=node_of(RunnablePassthrough.assign(said=said)),
        input={"x": "tea"},
        activities={"model": 1},
    )


@case("lcel_branch", area=AREA, feature="RunnableBranch")
def lcel_branch(kit: Kit) -> Plan:
    short = RunnableLambda(lambda s: s["x"]) | kit.model("short") | StrOutputParser()
    chain = RunnableBranch((lambda s: len(s["x"]) < 5, short), RunnableLambda(lambda s: "long"))
    return Plan(graph=node_of(chain), input={"x": "tea"}, activities={"model": 1})


@case("lcel_batch", area=AREA, feature="abatch() in a node")
def lcel_batch(kit: Kit) -> Plan:
    model = kit.model(lambda messages: messages[-1].text.upper())
    chain = ChatPromptTemplate.from_template("{x}") | model | StrOutputParser()

    async def node(state: Items) -> Any:
        return {"items": await chain.abatch([{"x": t} for t in "abc"])}

    return Plan(graph=line(node), input={"items": []}, activities={"model": 3})


@case("lcel_batch_limited", area=AREA, feature="abatch() with max_concurrency")
def lcel_batch_limited(kit: Kit) -> Plan:
    model = kit.model(lambda messages: messages[-1].text.upper())

    async def node(state: Items) -> Any:
        asked = [[HumanMessage(t)] for t in "abc"]
        found = await model.abatch(asked, config={"max_concurrency": 1})
        return {"items": [message.content for message in found]}

    return Plan(graph=line(node), input={"items": []}, activities={"model": 3})


@case("lcel_as_completed", area=AREA, feature="abatch_as_completed() in a node")
def lcel_as_completed(kit: Kit) -> Plan:
    model = kit.model(lambda messages: messages[-1].text.upper())

    async def node(state: Items) -> Any:
        asked = [[HumanMessage(t)] for t in "abc"]
        found = [(i, m.content) async for i, m in model.abatch_as_completed(asked)]
        return {"items": [list(pair) for pair in sorted(found)]}

    return Plan(graph=line(node), input={"items": []}, activities={"model": 3})


class ChainColour(BaseModel):
    """A colour."""

    name: str
    warm: bool = True


@case("lcel_structured", area=AREA, feature="structured output: a pydantic model")
def lcel_structured(kit: Kit) -> Plan:
    model = kit.model(calls("ChainColour", {"name": "red"})).with_structured_output(ChainColour)

    async def node(state: ColourState) -> Any:
        return {"colour": await model.ainvoke([HumanMessage("x")])}

    return Plan(graph=line(node, schema=ColourState), input={"items": []}, activities={"model": 1})


class ColourState(TypedDict, total=False):
    items: list[Any]
    colour: ChainColour


@case(
    "lcel_structured_any",
    area=AREA,
    feature="structured output in a state that does not name its type",
    caveat="a type that no annotation of the graph names is registered: Agents(types=[...])",
)
def lcel_structured_any(kit: Kit) -> Plan:
    model = kit.model(calls("OddColour", {"name": "red"})).with_structured_output(OddColour)

    async def node(state: Items) -> Any:
        return {"items": [await model.ainvoke([HumanMessage("x")])]}

    return Plan(graph=line(node), input={"items": []}, types=(OddColour,), activities={"model": 1})


class OddColour(BaseModel):
    """A colour."""

    name: str


@case("lcel_structured_raw", area=AREA, feature="structured output with include_raw")
def lcel_structured_raw(kit: Kit) -> Plan:
    model: Any = kit.model(calls("ChainColour", {"name": "red"}))
    chain = model.with_structured_output(ChainColour, include_raw=True)

    async def node(state: Items) -> Any:
        found = await chain.ainvoke([HumanMessage("x")])
        return {"items": [sorted(found), found["raw"].tool_calls, found["parsed"].name]}

    return Plan(graph=line(node), input={"items": []}, activities={"model": 1})


@case("lcel_json_parser", area=AREA, feature="a JSON parser behind a model")
def lcel_json_parser(kit: Kit) -> Plan:
    chain = kit.model('{"a": [1, 2]}') | JsonOutputParser()
    return Plan(graph=node_of(RunnableLambda(lambda s: s["x"]) | chain), input={"x": "?"})


def chain_price(item: str) -> str:
    """Tell a price."""
    return f"{item}: 3"


@case("lcel_tool", area=AREA, feature="tool calls inside nodes, outside ToolNode")
def lcel_tool(kit: Kit) -> Plan:
    tool = kit.tool(chain_price)
    model = kit.model(calls("chain_price", {"item": "tea"}, {"item": "milk"})).bind_tools([tool])

    async def node(state: Items) -> Any:
        said = await model.ainvoke([HumanMessage("x")])
        found = [await tool.ainvoke(call) for call in said.tool_calls]
        plain = await tool.ainvoke({"item": "rice"})
        both = await asyncio.gather(*(tool.ainvoke({"item": i}) for i in "ab"))
        return {"items": [*found, plain, *both]}

    return Plan(graph=line(node), input={"items": []}, activities={"model": 1, "tool": 5})


@case("lcel_tool_piped", area=AREA, feature="a tool in a chain")
def lcel_tool_piped(kit: Kit) -> Plan:
    tool = kit.tool(chain_price)
    chain = RunnableLambda(lambda s: {"item": s["x"]}) | tool | RunnableLambda(str.upper)
    return Plan(graph=node_of(chain), input={"x": "tea"}, activities={"tool": 1})


class ModelDown(Exception):
    pass


@case("lcel_fallbacks", area=AREA, feature="with_fallbacks: the second model answers")
def lcel_fallbacks(kit: Kit) -> Plan:
    broken = kit.model(ModelDown("down"), name="broken", retry=ONCE)
    model = broken.with_fallbacks([kit.model("second", name="second")])

    async def node(state: Items) -> Any:
        return {"items": [(await model.ainvoke([HumanMessage("x")])).content]}

    return Plan(graph=line(node), input={"items": []})


@case("lcel_fallbacks_by_type", area=AREA, feature="with_fallbacks for one type of exception")
def lcel_fallbacks_by_type(kit: Kit) -> Plan:
    broken = kit.model(ModelDown("down"), name="broken", retry=ONCE)
    second = kit.model("second", name="second")
    model = broken.with_fallbacks([second], exceptions_to_handle=(ModelDown,))

    async def node(state: Items) -> Any:
        return {"items": [(await model.ainvoke([HumanMessage("x")])).content]}

    return Plan(graph=line(node), input={"items": []})


@case("lcel_retry", area=AREA, feature="with_retry around a chain")
def lcel_retry(kit: Kit) -> Plan:
    model = kit.model("yes")

    async def shaky(text: str, config: Any) -> str:
        said = await model.ainvoke([HumanMessage(text)])
        raise ValueError(f"still {said.content}")

    chain = RunnableLambda(shaky).with_retry(
        stop_after_attempt=3, wait_exponential_jitter=False, retry_if_exception_type=(ValueError,)
    )

    async def node(state: Items) -> Any:
        try:
            return {"items": [await chain.ainvoke("x")]}
        except ValueError as error:
            return {"items": [str(error)]}

    return Plan(graph=line(node), input={"items": []}, activities={"model": 3})


@case("lcel_retry_jitter", area=AREA, feature="with_retry with exponential jitter")
def lcel_retry_jitter(kit: Kit) -> Plan:
    model = kit.model("yes")

    async def shaky(text: str) -> str:
        said = await model.ainvoke([HumanMessage(text)])
        raise ValueError(f"still {said.content}")

    chain = RunnableLambda(shaky).with_retry(
        stop_after_attempt=2,
        exponential_jitter_params={"initial": 0.01, "max": 0.05, "jitter": 0.01},
    )

    async def node(state: Items) -> Any:
        try:
            return {"items": [await chain.ainvoke("x")]}
        except ValueError as error:
            return {"items": [str(error)]}

    return Plan(graph=line(node), input={"items": []}, activities={"model": 2})


@case("lcel_stream", area=AREA, feature="astream() of a model in a node")
def lcel_stream(kit: Kit) -> Plan:
    model = kit.model("one two three")

    async def node(state: Items) -> Any:
        parts = [str(part.content) async for part in model.astream([HumanMessage("x")])]
        return {"items": ["".join(parts)]}

    return Plan(graph=line(node), input={"items": []}, activities={"model": 1})


@case("lcel_transform", area=AREA, feature="astream() of a chain with a parser in a node")
def lcel_transform(kit: Kit) -> Plan:
    chain = kit.model("one two three") | StrOutputParser()

    async def node(state: Items) -> Any:
        return {"items": ["".join([part async for part in chain.astream("x")])]}

    return Plan(graph=line(node), input={"items": []}, activities={"model": 1})


@case("lcel_placeholder", area=AREA, feature="MessagesPlaceholder, partial and bind")
def lcel_placeholder(kit: Kit) -> Plan:
    model = kit.model(lambda messages: "|".join(m.text for m in messages))
    prompt = ChatPromptTemplate.from_messages([("system", "{who}"), MessagesPlaceholder("past")])
    chain = prompt.partial(who="be kind") | model.bind(stop=["x"]) | StrOutputParser()

    async def node(state: Items) -> Any:
        return {"items": [await chain.ainvoke({"past": [HumanMessage("hi")]})]}

    return Plan(graph=line(node), input={"items": []}, activities={"model": 1})


@case("lcel_configurable", area=AREA, feature="with_config: names and tags of a chain")
def lcel_configurable(kit: Kit) -> Plan:
    def look(text: str, config: Any) -> Any:
        return [text, sorted(set(config["tags"]) - {"seq:step:1"})]

    from langchain_core.runnables import RunnableConfig  # noqa: PLC0415

    look.__annotations__["config"] = RunnableConfig
    chain = RunnableLambda(look).with_config(tags=["mine"], run_name="named")

    async def node(state: Items) -> Any:
        return {"items": await chain.ainvoke("x")}

    return Plan(graph=line(node), input={"items": []})


@case("lcel_router_async", area=AREA, feature="an async router that calls a model")
def lcel_router_async(kit: Kit) -> Plan:
    model = kit.model("odd")

    async def route(state: Items) -> str:
        return str((await model.ainvoke([HumanMessage("x")])).content)

    graph = StateGraph(Items)
    for name in ("even", "odd"):
        graph.add_node(name, lambda state, name=name: {"items": [name]})
    graph.add_conditional_edges(START, route, ["even", "odd"])
    return Plan(graph=graph, input={"items": []}, activities={"model": 1})
