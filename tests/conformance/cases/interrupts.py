"""interrupt(): what is asked, in which order, and what the answers do."""

from typing import Any

from langchain_core.messages import AIMessage, HumanMessage
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode
from langgraph.types import Send, interrupt

from conformance.case import Kit, Plan, Session, case
from conformance.cases._states import Items, line
from conformance.kits import calls

AREA = "Interrupts"


def before(state: Items) -> Any:
    return {"items": ["before"]}


def after(state: Items) -> Any:
    return {"items": ["after"]}


def asking(*questions: Any) -> Any:
    def ask(state: Items) -> Any:
        return {"items": [interrupt(question) for question in questions]}

    return ask


@case("interrupt_one", area=AREA, feature="one interrupt")
def interrupt_one(kit: Kit) -> Plan:
    graph = line(before, asking("colour?"), after)
    return Plan(graph=graph, input={"items": []}, answers=["red"], states=True)


@case("interrupt_async", area=AREA, feature="an interrupt in an async node, after a model call")
def interrupt_async(kit: Kit) -> Plan:
    model = kit.model(lambda messages: "which?")

    async def ask(state: Items) -> Any:
        said = await model.ainvoke([HumanMessage("x")])
        return {"items": [interrupt(str(said.text))]}

    return Plan(graph=line(ask), input={"items": []}, answers=["that"], activities={"model": 2})


@case("interrupt_two", area=AREA, feature="several interrupts in one node")
def interrupt_two(kit: Kit) -> Plan:
    return Plan(
        graph=line(before, asking("one?", "two?"), after),
        input={"items": []},
        answers=["A", "B"],
        states=True,
    )


@case("interrupt_three_same", area=AREA, feature="the same question three times in one node")
def interrupt_three_same(kit: Kit) -> Plan:
    return Plan(
        graph=line(asking("again?", "again?", "again?")),
        input={"items": []},
        answers=["A", "B", "C"],
    )


def parallel() -> Any:
    graph = StateGraph(Items)
    for name in ("a", "b", "c"):

        def ask(state: Items, name: str = name) -> Any:
            return {"items": [f"{name}={interrupt(f'{name}?')}"]}

        graph.add_node(name, ask).add_edge(START, name)
    graph.add_node("join", lambda state: {"items": [len(state["items"])]})
    return graph.add_edge(["a", "b", "c"], "join")


ABC = {"a?": 1, "b?": 2, "c?": 3}


@case("interrupt_parallel_all", area=AREA, feature="parallel nodes ask; resume all at once, by id")
def interrupt_parallel_all(kit: Kit) -> Plan:
    return Plan(graph=parallel(), input={"items": []}, answers=ABC)


@case(
    "interrupt_parallel_each", area=AREA, feature="parallel nodes ask; resume one at a time, by id"
)
def interrupt_parallel_each(kit: Kit) -> Plan:
    return Plan(graph=parallel(), input={"items": []}, answers=ABC, resume="each")


@case("interrupt_parallel_twice", area=AREA, feature="parallel nodes ask twice each")
def interrupt_parallel_twice(kit: Kit) -> Plan:
    graph = StateGraph(Items)
    for name in ("a", "b"):

        def ask(state: Items, name: str = name) -> Any:
            return {"items": [interrupt(f"{name}1?"), interrupt(f"{name}2?")]}

        graph.add_node(name, ask).add_edge(START, name)
    return Plan(
        graph=graph,
        input={"items": []},
        answers={"a1?": 1, "a2?": 2, "b1?": 3, "b2?": 4},
    )


@case("interrupt_send", area=AREA, feature="the same question from two equal Sends")
def interrupt_send(kit: Kit) -> Plan:
    def ask(state: Any) -> Any:
        return {"items": [interrupt(f"{state['n']}?")]}

    graph = StateGraph(Items).add_node("ask", ask)
    graph.add_conditional_edges(START, lambda s: [Send("ask", {"n": 1})] * 2, ["ask"])
    return Plan(graph=graph, input={"items": []}, answers={"1?": ["x", "x"]})


@case("interrupt_loop", area=AREA, feature="an interrupt in a loop")
def interrupt_loop(kit: Kit) -> Plan:
    def ask(state: Items) -> Any:
        return {"items": [interrupt("more?")]}

    graph = StateGraph(Items).add_node("ask", ask).add_edge(START, "ask")
    graph.add_conditional_edges("ask", lambda s: "ask" if s["items"][-1] else "__end__")
    return Plan(graph=graph, input={"items": []}, answers=[True, True, False], states=True)


@case("interrupt_validate", area=AREA, feature="asking in a while loop until the answer will do")
def interrupt_validate(kit: Kit) -> Plan:
    def ask(state: Items) -> Any:
        question = "age?"
        while True:
            answer = interrupt(question)
            if isinstance(answer, int):
                return {"items": [answer]}
            question = f"{answer!r} is no age. Age?"

    return Plan(graph=line(ask), input={"items": []}, answers=["old", "very old", 70])


@case("interrupt_subgraph", area=AREA, feature="an interrupt in a sub-graph as node")
def interrupt_subgraph(kit: Kit) -> Plan:
    inner = line(before, asking("inside?"), after).compile()
    graph = StateGraph(Items).add_node("sub", inner).add_node("end", after)
    return Plan(
        graph=graph.add_edge(START, "sub").add_edge("sub", "end"),
        input={"items": []},
        answers=["yes"],
    )


@case(
    "interrupt_subgraph_called", area=AREA, feature="an interrupt in a sub-graph called in a node"
)
def interrupt_subgraph_called(kit: Kit) -> Plan:
    inner = line(before, asking("inside?", "more?"), after).compile()

    def n(state: Items) -> Any:
        return {"items": [inner.invoke({"items": []})["items"]]}

    return Plan(graph=line(before, n, after), input={"items": []}, answers=["yes", "no"])


@case("interrupt_subgraphs_parallel", area=AREA, feature="interrupts in two parallel sub-graphs")
def interrupt_subgraphs_parallel(kit: Kit) -> Plan:
    graph = StateGraph(Items)
    for name in ("a", "b"):
        graph.add_node(name, line(asking(f"{name}?")).compile()).add_edge(START, name)
    return Plan(graph=graph, input={"items": []}, answers={"a?": 1, "b?": 2}, resume="each")


def interrupts_buy(thing: str) -> str:
    """Buy a thing, if somebody agrees."""
    answer = interrupt(f"buy {thing}?")
    return f"{thing}: {answer}"


@case("interrupt_tool", area=AREA, feature="an interrupt in a tool")
def interrupt_tool(kit: Kit) -> Plan:
    tool = kit.tool(interrupts_buy)
    model = kit.model(calls("interrupts_buy", {"thing": "tea"}), "done")

    async def talk(state: MessagesState) -> Any:
        return {"messages": [await model.ainvoke(state["messages"])]}

    graph = StateGraph(MessagesState).add_node("talk", talk).add_node("tools", ToolNode([tool]))
    graph.add_edge(START, "talk").add_edge("talk", "tools")
    return Plan(graph=graph, input={"messages": [HumanMessage("x")]}, answers=["yes"])


@case("interrupt_tools_parallel", area=AREA, feature="interrupts in parallel calls of a tool")
def interrupt_tools_parallel(kit: Kit) -> Plan:
    tool = kit.tool(interrupts_buy)
    both = calls("interrupts_buy", {"thing": "tea"}, {"thing": "milk"})
    graph = StateGraph(MessagesState).add_node("tools", ToolNode([tool]))
    return Plan(
        graph=graph.add_edge(START, "tools"),
        input={"messages": [both]},
        answers={"buy tea?": "yes", "buy milk?": "no"},
    )


def falsy(value: Any) -> Any:
    def build(kit: Kit) -> Plan:
        def ask(state: Items) -> Any:
            answer = interrupt("what?")
            return {"items": [type(answer).__name__, answer]}

        return Plan(graph=line(ask), input={"items": []}, answers=[value])

    return build


for _name, _value in (
    ("false", False), ("zero", 0), ("empty_text", ""), ("empty_list", []), ("empty_dict", {}),
    ("none", None),
):  # fmt: skip
    case(f"interrupt_answer_{_name}", area=AREA, feature=f"falsy answers: {_value!r}")(
        falsy(_value)
    )


@case("interrupt_messages", area=AREA, feature="message payloads: asked with, and in the state")
def interrupt_messages(kit: Kit) -> Plan:
    def ask(state: MessagesState) -> Any:
        answer = interrupt(AIMessage("may I?", id="q"))
        return {"messages": [HumanMessage(answer)]}

    return Plan(graph=line(ask, schema=MessagesState), input={"messages": []}, answers=["you may"])


@case("interrupt_objects", area=AREA, feature="payloads with dates, sets and nested values")
def interrupt_objects(kit: Kit) -> Plan:
    from datetime import date  # noqa: PLC0415

    def ask(state: Items) -> Any:
        return {"items": [interrupt({"day": date(2024, 1, 2), "of": {1}, "who": ["a"]})]}

    return Plan(graph=line(ask), input={"items": []}, answers=[{"day": "2024-01-03", "ok": [True]}])


@case("interrupt_before", area=AREA, feature="interrupt_before a node")
def interrupt_before(kit: Kit) -> Plan:
    def middle(state: Items) -> Any:
        return {"items": ["middle"]}

    return Plan(
        graph=line(before, middle, after),
        input={"items": []},
        interrupt_before=("middle",),
        answers=[None],
        states=True,
    )


@case("interrupt_after", area=AREA, feature="interrupt_after a node")
def interrupt_after(kit: Kit) -> Plan:
    def middle(state: Items) -> Any:
        return {"items": ["middle"]}

    return Plan(
        graph=line(before, middle, after),
        input={"items": []},
        interrupt_after=("before", "middle"),
        answers=[None, None],
        states=True,
    )


@case("interrupt_before_all", area=AREA, feature="interrupt_before every node")
def interrupt_before_all(kit: Kit) -> Plan:
    return Plan(
        graph=line(before, after),
        input={"items": []},
        interrupt_before=("*",),
        answers=[None] * 2,
        states=True,
    )


@case("interrupt_before_compiled", area=AREA, feature="interrupt_before given to compile()")
def interrupt_before_compiled(kit: Kit) -> Plan:
    return Plan(
        graph=line(before, after).compile(interrupt_before=["after"]),
        input={"items": []},
        answers=[None],
        states=True,
    )


@case("interrupt_caught", area=AREA, feature="an interrupt in a try with except Exception")
def interrupt_caught(kit: Kit) -> Plan:
    def ask(state: Items) -> Any:
        try:
            return {"items": [interrupt("caught?")]}
        except ValueError:
            return {"items": ["no"]}

    return Plan(graph=line(ask), input={"items": []}, answers=["fine"])


@case("interrupt_state_shown", area=AREA, feature="the state of a waiting run: values, next, tasks")
def interrupt_state_shown(kit: Kit) -> Plan:
    async def play(session: Session) -> Any:
        first = await session.start({"items": []})
        waiting = await session.state()
        last = await session.answer("red")
        return [first, waiting, last, await session.state()]

    return Plan(graph=line(before, asking("colour?"), after), scenario=play)


@case("interrupt_with_parallel_work", area=AREA, feature="a node that asks beside one that works")
def interrupt_with_parallel_work(kit: Kit) -> Plan:
    model = kit.model("worked")

    async def work(state: Items) -> Any:
        return {"items": [str((await model.ainvoke([HumanMessage("x")])).text)]}

    graph = StateGraph(Items).add_node("ask", asking("go?")).add_node("work", work)
    graph.add_node("join", after).add_edge(START, "ask").add_edge(START, "work")
    return Plan(
        graph=graph.add_edge(["ask", "work"], "join"),
        input={"items": []},
        answers=["yes"],
        activities={"model": 1},
    )


@case(
    "interrupt_ids_stable", area=AREA, feature="ids are stable over replays: the id shown is taken"
)
def interrupt_ids_stable(kit: Kit) -> Plan:
    graph = line(asking("one?"), before).add_node("third", asking("three?"))
    return Plan(graph=graph.add_edge("before", "third"), input={"items": []}, answers=["A", "C"])
