"""The state of a run's graph can be read, changed, forked and gone back to."""

import operator
from dataclasses import dataclass
from typing import Annotated, Any

import pytest
from langchain_core.messages import AIMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import MessagesState
from langgraph.types import interrupt
from typing_extensions import TypedDict

import perdure
from integration.runtime.fakes import chain, model
from integration.runtime.harness import Lab, Runs, Started, eventually
from perdure.client import Client
from perdure.errors import BadInput, NothingWaiting, RunBusy, RunNotFound
from perdure.testing.replay import assert_run_replays

pytestmark = pytest.mark.timeout(90)


class Log(TypedDict):
    log: Annotated[list[Any], operator.add]


START: Log = {"log": []}


def one(state: Log) -> Log:
    return {"log": ["one"]}


def ask(state: Log) -> Log:
    return {"log": [interrupt("colour?")]}


def two(state: Log) -> Log:
    return {"log": ["two"]}


@dataclass
class Held:
    """A run that waits for a colour after its first node."""

    runs: Runs
    run: Started
    client: Client

    async def answer(self, run_id: str, colour: str) -> Any:
        async def asked() -> bool | None:
            return True if (await self.client.questions(run_id)).questions else None

        await eventually(asked, what="a question")
        await self.client.decide(run_id, {"type": "respond", "by": "ann", "value": colour})
        return await self.client.result(run_id)


async def hold(runs: Runs) -> Held:
    run = await runs.start("graph", START)
    await run.question()
    return Held(runs=runs, run=run, client=Client(runs.client))


def colours() -> perdure.Agents:
    return chain(one, ask, two, schema=Log)


async def test_the_state_of_a_waiting_run_tells_values_and_what_comes_next(real: Lab) -> None:
    async with real.worker(colours()) as runs:
        held = await hold(runs)
        state = await held.client.state(held.run.id)
        assert (state.values, state.next, state.step) == ({"log": ["one"]}, ("ask",), 1)
        assert [task["name"] for task in state.tasks] == ["ask"]
        await held.answer(held.run.id, "red")


async def test_a_run_that_ended_still_tells_its_state(real: Lab) -> None:
    async with real.worker(colours()) as runs:
        held = await hold(runs)
        await held.answer(held.run.id, "red")
        state = await held.client.state(held.run.id)
        assert (state.values, state.next) == ({"log": ["one", "red", "two"]}, ())


async def test_the_history_of_states_is_that_of_plain_langgraph(real: Lab) -> None:
    agents = chain(one, two, schema=Log)
    async with real.worker(agents) as runs:
        run = await runs.start("graph", START)
        await run.result()
        states = await Client(runs.client).state_history(run.id)
    plain = agents.graph("graph").copy({"checkpointer": InMemorySaver()})
    config: Any = {"configurable": {"thread_id": "t"}}
    await plain.ainvoke(START, config)
    expected = [state async for state in plain.aget_state_history(config)]
    told: list[Any] = [(e.values, e.next, e.metadata) for e in expected]
    assert [(s.values, s.next, s.step, s.source) for s in states] == [
        (values, following, metadata["step"], metadata["source"])
        for values, following, metadata in told
    ]


async def test_the_ids_of_checkpoints_strictly_increase(real: Lab) -> None:
    async with real.worker(colours()) as runs:
        held = await hold(runs)
        await held.answer(held.run.id, "red")
        ids = [s.checkpoint or "" for s in await held.client.state_history(held.run.id)]
        assert ids == sorted(set(ids), reverse=True)


async def test_the_state_of_one_step_can_be_read(real: Lab) -> None:
    async with real.worker(colours()) as runs:
        held = await hold(runs)
        await held.answer(held.run.id, "red")
        state = await held.client.state(held.run.id, step=2)
        assert (state.values, state.next) == ({"log": ["one", "red"]}, ("two",))


async def test_a_step_that_is_not_there_is_told_with_those_that_are(real: Lab) -> None:
    async with real.worker(colours()) as runs:
        held = await hold(runs)
        with pytest.raises(BadInput, match=r"no step 9; its steps are -1, 0, 1"):
            await held.client.state(held.run.id, step=9)


async def test_the_state_of_no_run_is_refused(real: Lab) -> None:
    with pytest.raises(RunNotFound):
        await Client(real.client).state("nobody")


async def test_a_waiting_run_goes_on_from_a_changed_state(real: Lab) -> None:
    async with real.worker(colours()) as runs:
        held = await hold(runs)
        await held.client.update_state(held.run.id, {"log": ["blue"]}, as_node="ask")
        assert await held.client.result(held.run.id) == {"log": ["one", "blue", "two"]}


async def test_a_change_that_keeps_the_place_asks_again(real: Lab) -> None:
    async with real.worker(colours()) as runs:
        held = await hold(runs)
        await held.client.update_state(held.run.id, {"log": ["more"]}, as_node="one")
        await held.run.question()
        assert await held.answer(held.run.id, "red") == {"log": ["one", "more", "red", "two"]}


async def test_a_change_as_an_unknown_node_is_refused(real: Lab) -> None:
    async with real.worker(colours()) as runs:
        held = await hold(runs)
        with pytest.raises(Exception, match="as_node='three': the graph has one, ask, two"):
            await held.client.update_state(held.run.id, {"log": []}, as_node="three")


async def test_the_state_of_an_ended_run_cannot_be_changed(real: Lab) -> None:
    async with real.worker(colours()) as runs:
        held = await hold(runs)
        await held.answer(held.run.id, "red")
        with pytest.raises((NothingWaiting, RunBusy)):
            await held.client.update_state(held.run.id, {"log": []})


async def test_a_fork_of_a_waiting_run_asks_for_itself(real: Lab) -> None:
    async with real.worker(colours()) as runs:
        held = await hold(runs)
        fork = await held.client.fork(held.run.id)
        assert await held.answer(fork.run_id, "blue") == {"log": ["one", "blue", "two"]}
        assert await held.answer(held.run.id, "red") == {"log": ["one", "red", "two"]}
        await assert_run_replays(runs.agents, runs.client, fork.run_id)


async def test_a_fork_may_change_the_state_first(real: Lab) -> None:
    async with real.worker(colours()) as runs:
        held = await hold(runs)
        fork = await held.client.fork(held.run.id, values={"log": ["grey"]}, as_node="ask")
        assert await fork.result() == {"log": ["one", "grey", "two"]}


async def test_a_rewound_run_keeps_its_id(real: Lab) -> None:
    async with real.worker(colours()) as runs:
        held = await hold(runs)
        await held.answer(held.run.id, "red")
        await held.client.rewind(held.run.id, to_step=1)
        assert await held.answer(held.run.id, "blue") == {"log": ["one", "blue", "two"]}
        await assert_run_replays(runs.agents, runs.client, held.run.id)


@perdure.tool
def greet(name: str) -> str:
    """Greet somebody."""
    return f"hello {name}"


def spending(done: list[int]) -> perdure.Agents:
    talker = model("first", "never", "second")

    def charge(amount: int) -> str:
        """Charge a card."""
        done.append(amount)
        return f"charged {amount}"

    card = perdure.tool(charge, effect=True)

    async def think(state: MessagesState) -> Any:
        return {"messages": [await talker.ainvoke(state["messages"])]}

    async def spend(state: MessagesState) -> Any:
        return {"messages": [AIMessage(await card.ainvoke({"amount": 5}))]}

    async def conclude(state: MessagesState) -> Any:
        return {"messages": [await talker.ainvoke(state["messages"])]}

    return chain(think, spend, conclude)


async def test_a_fork_pays_no_model_call_before_its_step_again(real: Lab) -> None:
    async with real.worker(spending([])) as runs:
        run = await runs.start("graph")
        await run.result()
        fork = await Client(runs.client).fork(run.id, from_step=1)
        await fork.result()
        forked = Started(handle=runs.client.get_workflow_handle(fork.run_id), agents=runs.agents)
        assert [c.kind for c in await forked.calls()] == ["perdure.model"]
        await assert_run_replays(runs.agents, runs.client, fork.run_id)


async def test_an_effect_that_the_parent_did_is_not_done_again_by_a_fork(real: Lab) -> None:
    done: list[int] = []
    async with real.worker(spending(done)) as runs:
        run = await runs.start("graph")
        await run.result()
        fork = await Client(runs.client).fork(run.id, from_step=1)
        await fork.result()
    assert done == [5]


async def test_a_fork_repeats_effects_when_it_is_told_to(real: Lab) -> None:
    done: list[int] = []
    async with real.worker(spending(done)) as runs:
        run = await runs.start("graph")
        await run.result()
        fork = await Client(runs.client).fork(run.id, from_step=1, repeat_effects=True)
        await fork.result()
    assert done == [5, 5]
