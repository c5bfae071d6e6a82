from operator import add
from typing import Annotated, TypedDict

import pytest
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.constants import START
from langgraph.graph import StateGraph
from langgraph.types import Command, interrupt

from perdure.workflow.saver import Saver


def where(thread: str = "t", namespace: str = "", checkpoint: str | None = None):
    parts = {"thread_id": thread, "checkpoint_ns": namespace}
    return {"configurable": parts | ({"checkpoint_id": checkpoint} if checkpoint else {})}


def checkpoint(id: str, **values: object):
    return {**empty_checkpoint(), "id": id, "channel_values": values}


@pytest.fixture
def saver() -> Saver:
    return Saver()


def put(saver: Saver, id: str, config=None, **values: object):
    return saver.put(config or where(), checkpoint(id, **values), {"step": 1}, {})


def test_an_empty_saver_has_nothing(saver):
    assert saver.get_tuple(where()) is None


def test_what_was_put_is_there(saver):
    put(saver, "1", x=5)

    assert saver.get_tuple(where()).checkpoint["channel_values"] == {"x": 5}


def test_values_are_kept_as_the_objects_they_are(saver):
    value = object()
    put(saver, "1", x=value)

    assert saver.get_tuple(where()).checkpoint["channel_values"]["x"] is value


def test_the_newest_is_kept(saver):
    put(saver, "1")
    put(saver, "2")

    assert saver.get_tuple(where()).checkpoint["id"] == "2"


def test_an_older_one_is_found_by_its_id(saver):
    put(saver, "1")
    put(saver, "2")

    assert saver.get_tuple(where(checkpoint="1")).checkpoint["id"] == "1"


def test_only_the_newest_hundred_are_kept(saver):
    for number in range(1000, 1150):
        put(saver, str(number))

    kept = [held.checkpoint["id"] for held in saver.list(where())]
    assert kept == [str(number) for number in range(1149, 1049, -1)]


def test_the_newest_is_found_by_its_id(saver):
    put(saver, "1")

    assert saver.get_tuple(where(checkpoint="1")).checkpoint["id"] == "1"


def test_a_put_says_where_the_checkpoint_is(saver):
    assert put(saver, "1") == where(checkpoint="1")


def test_a_checkpoint_names_the_one_before(saver):
    second = put(saver, "2", put(saver, "1"))

    assert saver.get_tuple(second).parent_config == where(checkpoint="1")


def test_the_first_checkpoint_has_none_before(saver):
    put(saver, "1")

    assert saver.get_tuple(where()).parent_config is None


@pytest.mark.parametrize("other", [where("u"), where(namespace="sub:1")], ids=["thread", "space"])
def test_threads_and_namespaces_are_apart(saver, other):
    put(saver, "1")

    assert saver.get_tuple(other) is None


def test_a_change_of_what_was_put_does_not_reach_the_saver(saver):
    given = checkpoint("1", x=1)
    saver.put(where(), given, {}, {})
    given["channel_values"]["x"] = 2

    assert saver.get_tuple(where()).checkpoint["channel_values"] == {"x": 1}


def test_a_change_of_what_was_read_does_not_reach_the_saver(saver):
    put(saver, "1")
    saver.get_tuple(where()).checkpoint["versions_seen"]["node"] = {"a": 1}

    assert saver.get_tuple(where()).checkpoint["versions_seen"] == {}


def test_writes_come_with_their_checkpoint(saver):
    own = put(saver, "1")
    saver.put_writes(own, [("a", 1), ("b", 2)], "task")

    assert saver.get_tuple(where()).pending_writes == [("task", "a", 1), ("task", "b", 2)]


def test_writes_of_two_tasks_are_apart(saver):
    own = put(saver, "1")
    saver.put_writes(own, [("a", 1)], "one")
    saver.put_writes(own, [("a", 2)], "two")

    assert saver.get_tuple(where()).pending_writes == [("one", "a", 1), ("two", "a", 2)]


def test_what_a_task_wrote_is_final(saver):
    own = put(saver, "1")
    saver.put_writes(own, [("a", 1)], "task")
    saver.put_writes(own, [("a", 2)], "task")

    assert saver.get_tuple(where()).pending_writes == [("task", "a", 1)]


def test_an_answer_to_an_interrupt_may_be_replaced(saver):
    own = put(saver, "1")
    saver.put_writes(own, [("__resume__", 1)], "task")
    saver.put_writes(own, [("__resume__", 2)], "task")

    assert saver.get_tuple(where()).pending_writes == [("task", "__resume__", 2)]


def test_the_next_checkpoint_starts_without_writes(saver):
    saver.put_writes(put(saver, "1"), [("a", 1)], "task")
    put(saver, "2")

    assert saver.get_tuple(where()).pending_writes == []


def test_writes_that_come_before_their_checkpoint_are_kept(saver):
    saver.put_writes(where(checkpoint="1"), [("a", 1)], "task")
    put(saver, "1")

    assert saver.get_tuple(where()).pending_writes == [("task", "a", 1)]


def test_a_list_begins_with_the_newest(saver):
    put(saver, "1")
    put(saver, "2")

    assert [held.checkpoint["id"] for held in saver.list(where())] == ["2", "1"]


def test_a_list_without_a_place_has_all(saver):
    put(saver, "1")

    assert [held.checkpoint["id"] for held in saver.list(None)] == ["1"]


def test_a_list_of_an_unknown_thread_is_empty(saver):
    put(saver, "1")

    assert list(saver.list(where("u"))) == []


def test_what_is_unsaved_is_handed_out_once(saver):
    put(saver, "1")
    put(saver, "2")

    assert [entry.checkpoint["id"] for entry in saver.unsaved()] == ["2"]
    assert saver.unsaved() == []


def test_all_that_is_unsaved_is_handed_out_in_order(saver):
    put(saver, "1")
    put(saver, "2")

    assert [entry.checkpoint["id"] for entry in saver.unsaved("all")] == ["1", "2"]


def test_what_was_handed_out_can_be_brought_back(saver):
    saver.put_writes(put(saver, "1"), [("a", 1)], "task")
    other = Saver()
    other.restore(saver.unsaved())

    assert other.get_tuple(where()).pending_writes == [("task", "a", 1)]


def test_what_was_brought_back_counts_as_saved(saver):
    put(saver, "1")
    other = Saver()
    other.restore(saver.unsaved())

    assert other.unsaved("all") == []


def test_versions_of_two_runs_on_one_thread_differ():
    first, second = Saver(), Saver()
    first.salt, second.salt = "a", "b"

    assert first.get_next_version(None, None) != second.get_next_version(None, None)


def test_versions_strictly_increase():
    saver = Saver()
    saver.salt = "a"
    versions = [saver.get_next_version(None, None)]
    for _ in range(20):
        versions.append(saver.get_next_version(versions[-1], None))

    assert versions == sorted(set(versions))


async def test_the_async_half_does_the_same(saver):
    own = await saver.aput(where(), checkpoint("1"), {}, {})
    await saver.aput_writes(own, [("a", 1)], "task")

    assert [held async for held in saver.alist(where())] == [await saver.aget_tuple(where())]


class State(TypedDict):
    said: Annotated[list[str], add]


def asking():
    graph = StateGraph(State)
    graph.add_node("ask", lambda _: {"said": [interrupt("who?"), interrupt("why?")]})
    graph.add_node("end", lambda _: {"said": ["done"]})
    graph.add_edge(START, "ask").add_edge("ask", "end")
    return graph.compile(checkpointer=Saver())


def test_a_graph_resumes_through_two_interrupts_of_a_node():
    graph = asking()
    graph.invoke({"said": []}, where())
    graph.invoke(Command(resume="ann"), where())

    assert graph.invoke(Command(resume="fun"), where())["said"] == ["ann", "fun", "done"]


def test_looking_at_the_state_does_not_end_the_wait():
    graph = asking()
    graph.invoke({"said": []}, where())
    graph.get_state(where())

    assert [i.value for i in graph.get_state(where()).interrupts] == ["who?"]


def test_a_subgraph_interrupts_and_resumes():
    outer = StateGraph(State)
    inner = StateGraph(State)
    inner.add_node("ask", lambda _: {"said": [interrupt("who?")]})
    inner.add_edge(START, "ask")
    outer.add_node("sub", inner.compile())
    outer.add_edge(START, "sub")
    graph = outer.compile(checkpointer=Saver())
    graph.invoke({"said": []}, where())

    assert graph.invoke(Command(resume="ann"), where())["said"] == ["ann"]
