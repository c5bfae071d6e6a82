"""Functional API: entrypoints and tasks."""

import asyncio
from typing import Any

from langchain_core.messages import AIMessage, HumanMessage
from langgraph.cache.memory import InMemoryCache
from langgraph.func import entrypoint, task
from langgraph.runtime import Runtime
from langgraph.types import CachePolicy, RetryPolicy, interrupt

from conformance.case import Kit, Plan, Session, case

AREA = "Functional API"


@case("func_sync", area=AREA, feature="sync @entrypoint with a chain of sync tasks")
def func_sync(kit: Kit) -> Plan:
    @task
    def add(n: int) -> int:
        return n + 1

    @entrypoint()
    def flow(n: int) -> Any:
        first = add(n).result()
        return {"n": add(first).result()}

    return Plan(graph=flow, input=1)


@case("func_async", area=AREA, feature="async @entrypoint with async tasks and a model")
def func_async(kit: Kit) -> Plan:
    model = kit.model("one", "two")

    @task
    async def talk(text: str) -> str:
        return str((await model.ainvoke([HumanMessage(text)])).text)

    @entrypoint()
    async def flow(given: Any) -> Any:
        return [await talk(given["text"]), await talk(given["text"])]

    return Plan(graph=flow, input={"text": "x"}, activities={"model": 2})


@case("func_parallel", area=AREA, feature="parallel tasks, async")
def func_parallel(kit: Kit) -> Plan:
    model = kit.model(lambda messages: messages[-1].text.upper())

    @task
    async def talk(text: str) -> str:
        return str((await model.ainvoke([HumanMessage(text)])).text)

    @entrypoint()
    async def flow(given: Any) -> Any:
        return await asyncio.gather(*(talk(text) for text in given))

    return Plan(graph=flow, input=["a", "b", "c"], activities={"model": 3})


@case("func_parallel_sync", area=AREA, feature="parallel tasks, sync, with a model")
def func_parallel_sync(kit: Kit) -> Plan:
    model = kit.model(lambda messages: messages[-1].text.upper())

    @task
    def talk(text: str) -> str:
        return str(model.invoke([HumanMessage(text)]).text)

    @entrypoint()
    def flow(given: Any) -> Any:
        futures = [talk(text) for text in given]
        return [future.result() for future in futures]

    return Plan(graph=flow, input=["a", "b", "c"], activities={"model": 3})


@case("func_same_task", area=AREA, feature="the same task with the same argument runs each time")
def func_same_task(kit: Kit) -> Plan:
    model = kit.model("yes")

    @task
    async def talk(text: str) -> str:
        return str((await model.ainvoke([HumanMessage(text)])).text)

    @entrypoint()
    async def flow(given: Any) -> Any:
        return [await talk("same"), await talk("same"), await talk("same")]

    return Plan(graph=flow, input={"x": 1}, activities={"model": 3})


@case("func_message", area=AREA, feature="a task that returns a message")
def func_message(kit: Kit) -> Plan:
    @task
    async def say(text: str) -> AIMessage:
        return AIMessage(text)

    @entrypoint()
    async def flow(given: Any) -> Any:
        found = await say("x")
        return {"type": type(found).__name__, "message": found}

    return Plan(graph=flow, input={"x": 1})


@case("func_previous", area=AREA, feature="previous: what the last run on the thread returned")
def func_previous(kit: Kit) -> Plan:
    @entrypoint()
    async def flow(n: int, *, previous: Any = None) -> Any:
        return (previous or 0) + n

    async def play(session: Session) -> Any:
        return [await session.again(n) for n in (1, 10, 100)]

    return Plan(graph=flow, scenario=play)


@case("func_final", area=AREA, feature="entrypoint.final: value and what is saved differ")
def func_final(kit: Kit) -> Plan:
    @entrypoint()
    async def flow(n: int, *, previous: Any = None) -> Any:
        return entrypoint.final(value={"was": previous}, save=n * 2)

    async def play(session: Session) -> Any:
        return [await session.again(n) for n in (1, 10)]

    return Plan(graph=flow, scenario=play)


@case("func_final_once", area=AREA, feature="entrypoint.final in one run")
def func_final_once(kit: Kit) -> Plan:
    @entrypoint()
    def flow(n: int) -> Any:
        return entrypoint.final(value=n, save=n * 2)

    return Plan(graph=flow, input=3, state=False)


@case("func_interrupt", area=AREA, feature="an interrupt in the entrypoint, between tasks")
def func_interrupt(kit: Kit) -> Plan:
    model = kit.model("drafted")

    @task
    async def draft(text: str) -> str:
        return str((await model.ainvoke([HumanMessage(text)])).text)

    @entrypoint()
    async def flow(given: Any) -> Any:
        text = await draft(given["text"])
        return {"text": text, "answer": interrupt(f"send {text}?")}

    return Plan(graph=flow, input={"text": "x"}, answers=["yes"], activities={"model": 1})


@case("func_interrupt_tasks", area=AREA, feature="interrupts in two tasks, one after the other")
def func_interrupt_tasks(kit: Kit) -> Plan:
    @task
    def approve(text: str) -> Any:
        return interrupt(f"approve {text}?")

    @entrypoint()
    def flow(given: Any) -> Any:
        first = approve("the draft").result()
        return [first, approve("the transfer").result()]

    return Plan(
        graph=flow,
        input={"x": 1},
        answers={"approve the draft?": "yes", "approve the transfer?": "no"},
    )


@case("func_interrupt_parallel", area=AREA, feature="interrupts in parallel tasks, one at a time")
def func_interrupt_parallel(kit: Kit) -> Plan:
    @task
    async def approve(text: str) -> Any:
        return interrupt(f"{text}?")

    @entrypoint()
    async def flow(given: Any) -> Any:
        return await asyncio.gather(approve("a"), approve("b"))

    return Plan(graph=flow, input={"x": 1}, answers={"a?": 1, "b?": 2}, resume="each")


@case("func_task_retry", area=AREA, feature="retry_policy of a task")
def func_task_retry(kit: Kit) -> Plan:
    model = kit.model("yes")

    @task(retry_policy=RetryPolicy(initial_interval=0.01, jitter=False, retry_on=ValueError))
    async def shaky(runtime: Runtime[Any]) -> Any:
        await model.ainvoke([HumanMessage("x")])
        info: Any = runtime.execution_info
        if info.node_attempt < 3:
            raise ValueError("not yet")
        return info.node_attempt

    @entrypoint()
    async def flow(given: Any, runtime: Runtime[Any]) -> Any:
        return await shaky()

    return Plan(graph=flow, input={"x": 1}, state=False)


@case("func_task_retry_exhausted", area=AREA, feature="retry_policy of a task: used up, the error")
def func_task_retry_exhausted(kit: Kit) -> Plan:
    model = kit.model("yes")

    @task(retry_policy=RetryPolicy(initial_interval=0.01, jitter=False, retry_on=ValueError))
    async def shaky() -> Any:
        await model.ainvoke([HumanMessage("x")])
        raise ValueError("never")

    @entrypoint()
    async def flow(given: Any) -> Any:
        return await shaky()

    return Plan(graph=flow, input={"x": 1}, state=False, activities={"model": 3})


@case("func_task_cache", area=AREA, feature="cache_policy of a task")
def func_task_cache(kit: Kit) -> Plan:
    model = kit.model("yes")

    @task(cache_policy=CachePolicy())
    async def talk(text: str) -> str:
        return str((await model.ainvoke([HumanMessage(text)])).text)

    @entrypoint(cache=InMemoryCache())
    async def flow(given: Any) -> Any:
        return [await talk("a"), await talk("a"), await talk("b")]

    return Plan(graph=flow, input={"x": 1}, activities={"model": 2})


class TaskBroke(Exception):
    pass


@case("func_task_error", area=AREA, feature="the exception of a task is what `except` sees")
def func_task_error(kit: Kit) -> Plan:
    @task
    async def broken() -> Any:
        raise TaskBroke("in a task")

    @entrypoint()
    async def flow(given: Any) -> Any:
        try:
            return await broken()
        except TaskBroke as error:
            return {"caught": str(error)}

    return Plan(graph=flow, input={"x": 1})


@case("func_entry_error", area=AREA, feature="an exception of the entrypoint")
def func_entry_error(kit: Kit) -> Plan:
    @entrypoint()
    def flow(given: Any) -> Any:
        raise TaskBroke("in the entrypoint")

    return Plan(graph=flow, input={"x": 1}, state=False)


@case("func_in_graph", area=AREA, feature="an entrypoint called in a node of a graph")
def func_in_graph(kit: Kit) -> Plan:
    from conformance.cases._states import line  # noqa: PLC0415

    @task
    async def double(n: int) -> int:
        return n * 2

    @entrypoint()
    async def flow(n: int) -> int:
        return await double(n) + 1

    async def node(state: Any) -> Any:
        return {"items": [await flow.ainvoke(4)]}

    return Plan(graph=line(node), input={"items": []})


@case("func_task_in_node", area=AREA, feature="a task called in a node of a graph")
def func_task_in_node(kit: Kit) -> Plan:
    from conformance.cases._states import line  # noqa: PLC0415

    model = kit.model("yes")

    @task
    async def talk(text: str) -> str:
        return str((await model.ainvoke([HumanMessage(text)])).text)

    async def node(state: Any) -> Any:
        return {"items": await asyncio.gather(talk("a"), talk("b"))}

    return Plan(graph=line(node), input={"items": []}, activities={"model": 2})
