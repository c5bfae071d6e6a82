"""The state of a run: read, changed, forked, gone back to."""

from typing import Any

from langchain_core.messages import HumanMessage
from langgraph.graph import MessagesState
from langgraph.types import interrupt

from conformance.case import Kit, Plan, Session, case
from conformance.cases._states import Items, line

AREA = "State and history"
EMPTY: Any = {"items": []}


def one(state: Items) -> Any:
    return {"items": ["one"]}


def ask(state: Items) -> Any:
    return {"items": [interrupt("colour?")]}


def last(state: Items) -> Any:
    return {"items": [len(state["items"])]}


@case("state_history", area=AREA, feature="the history of states")
def state_history(kit: Kit) -> Plan:
    return Plan(graph=line(one, last), input=EMPTY, states=True)


@case("state_history_waiting", area=AREA, feature="the history of states of a run that waits")
def state_history_waiting(kit: Kit) -> Plan:
    async def play(session: Session) -> Any:
        await session.start(EMPTY)
        waiting = await session.history()
        await session.answer("red")
        return [waiting, await session.history()]

    return Plan(graph=line(one, ask, last), scenario=play)


@case("state_step", area=AREA, feature="the state after a step")
def state_step(kit: Kit) -> Plan:
    async def play(session: Session) -> Any:
        await session.start(EMPTY)
        return [await session.state(step) for step in (-1, 0, 1, 2)]

    return Plan(graph=line(one, last), scenario=play)


@case("state_update", area=AREA, feature="update_state of a run that waits")
def state_update(kit: Kit) -> Plan:
    async def play(session: Session) -> Any:
        await session.start(EMPTY)
        paused = await session.update({"items": ["changed"]}, as_node="one")
        return [paused, await session.answer("red"), await session.history()]

    return Plan(graph=line(one, ask, last), scenario=play)


@case("state_update_as_node", area=AREA, feature="update_state in the name of a later node")
def state_update_as_node(kit: Kit) -> Plan:
    async def play(session: Session) -> Any:
        await session.start(EMPTY)
        return [await session.update({"items": ["given"]}, as_node="ask"), await session.history()]

    return Plan(graph=line(one, ask, last), scenario=play)


@case("state_update_messages", area=AREA, feature="update_state replaces a message by its id")
def state_update_messages(kit: Kit) -> Plan:
    def wait(state: MessagesState) -> Any:
        return {"messages": [HumanMessage(interrupt("go?"), id="b")]}

    def before(state: MessagesState) -> Any:
        return {"messages": [HumanMessage("draft", id="a")]}

    async def play(session: Session) -> Any:
        await session.start({"messages": []})
        edited = {"messages": [HumanMessage("final", id="a")]}
        await session.update(edited, as_node="before")
        return await session.answer("yes")

    return Plan(graph=line(before, wait, schema=MessagesState), scenario=play)


@case("state_fork", area=AREA, feature="fork from an earlier step: the nodes after it run again")
def state_fork(kit: Kit) -> Plan:
    async def play(session: Session) -> Any:
        first = await session.start(EMPTY)
        return [first, await session.fork(1), await session.state()]

    return Plan(graph=line(one, last), scenario=play)


@case("state_fork_changed", area=AREA, feature="fork from an earlier step with a changed state")
def state_fork_changed(kit: Kit) -> Plan:
    async def play(session: Session) -> Any:
        await session.start(EMPTY)
        return await session.fork(1, {"items": ["x", "y"]})

    return Plan(graph=line(one, last), scenario=play)


@case("state_fork_paid", area=AREA, feature="fork: calls before the step are not made again")
def state_fork_paid(kit: Kit) -> Plan:
    model = kit.model(lambda messages: "said")

    async def talk(state: Items) -> Any:
        return {"items": [(await model.ainvoke([HumanMessage("x")])).content]}

    async def play(session: Session) -> Any:
        first = await session.start(EMPTY)
        return [first, await session.fork(1)]

    return Plan(graph=line(talk, last), scenario=play, activities={"model": 1})


@case("state_fork_interrupt", area=AREA, feature="fork before an interrupt: it is asked again")
def state_fork_interrupt(kit: Kit) -> Plan:
    async def play(session: Session) -> Any:
        await session.start(EMPTY)
        first = await session.answer("red")
        again = await session.fork(1)
        return [first, again, await session.answer("blue")]

    return Plan(graph=line(one, ask, last), scenario=play)


@case("state_fork_delta", area=AREA, feature="fork of a graph with a DeltaChannel")
def state_fork_delta(kit: Kit) -> Plan:
    from conformance.cases.graph import DeltaState  # noqa: PLC0415

    def add(state: DeltaState) -> Any:
        return {"log": [len(state["log"])]}

    def end(state: DeltaState) -> Any:
        return {"log": ["end"]}

    async def play(session: Session) -> Any:
        first = await session.start({"log": ["a"]})
        return [first, await session.fork(1)]

    return Plan(graph=line(add, end, schema=DeltaState), scenario=play)


@case("thread_turns", area="Threads", feature="a second run on a thread goes on with its state")
def thread_turns(kit: Kit) -> Plan:
    model = kit.model("one", "two", "three")

    async def talk(state: MessagesState) -> Any:
        return {"messages": [await model.ainvoke(state["messages"])]}

    async def play(session: Session) -> Any:
        texts = ("hi", "and?", "bye")
        return [await session.again({"messages": [HumanMessage(text)]}) for text in texts]

    return Plan(graph=line(talk, schema=MessagesState), scenario=play)


@case("thread_types", area="Threads", feature="values keep their types from run to run of a thread")
def thread_types(kit: Kit) -> Plan:
    from conformance.cases.values import Shape, Values  # noqa: PLC0415

    def node(state: Values) -> Any:
        held = state.get("value")
        if held is None:
            return {"value": {"s": {1, 2}, "shape": Shape(side=2)}}
        return {"seen": [type(held["s"]).__name__, type(held["shape"]).__name__]}

    async def play(session: Session) -> Any:
        await session.again({"seen": []})
        return (await session.again({"seen": []}))["seen"]

    return Plan(graph=line(node, schema=Values), scenario=play, types=(Shape,))


@case("thread_interrupted", area="Threads", feature="the next run on a thread after one that asked")
def thread_interrupted(kit: Kit) -> Plan:
    async def play(session: Session) -> Any:
        await session.again(EMPTY)
        first = await session.answer("red")
        await session.again({"items": ["again"]})
        return [first, await session.answer("blue")]

    return Plan(graph=line(one, ask, last), scenario=play)
