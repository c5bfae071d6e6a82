from typing import TypedDict

import pytest
from langchain.agents import create_agent
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langgraph.func import entrypoint
from langgraph.graph import StateGraph
from langgraph.pregel import Pregel

import perdure
from perdure.core.declared import DECLARED
from perdure.errors import BadOption, NameTaken, NotAGraph, UnknownAgent, Unserializable


class State(TypedDict):
    said: str


class Point:
    x: int


def echo() -> StateGraph:
    graph = StateGraph(State)
    graph.add_node("echo", lambda state: state)
    return graph.set_entry_point("echo")


@entrypoint()
def function(payload: str) -> str:
    return payload


@pytest.fixture
def agents() -> perdure.Agents:
    return perdure.Agents()


def test_an_agent_is_known_by_its_name(agents):
    agents.register("echo")(echo)

    assert agents.names == ["echo"]


def test_agents_are_listed_in_the_order_of_registration(agents):
    for name in ("b", "a", "c"):
        agents.register(name)(echo)

    assert agents.names == ["b", "a", "c"]


def test_registering_returns_the_function_as_it_was(agents):
    assert agents.register("echo")(echo) is echo


def test_registering_does_not_build(agents):
    @agents.register("broken")
    def broken() -> None:
        raise AssertionError

    assert agents.names == ["broken"]


@pytest.mark.parametrize(
    "build",
    [
        echo,
        lambda: echo().compile(),
        lambda: function,
        lambda: create_agent(GenericFakeChatModel(messages=iter(())), []),
    ],
    ids=["uncompiled", "compiled", "entrypoint", "create_agent"],
)
def test_every_kind_of_graph_is_taken(agents, build):
    agents.register("one")(build)

    assert isinstance(agents.graph("one"), Pregel)


def test_a_compiled_graph_is_the_one_that_was_returned(agents):
    graph = echo().compile()
    agents.add("echo", graph)

    assert agents.graph("echo") is graph


def test_a_graph_is_built_once(agents):
    agents.register("echo")(echo)

    assert agents.graph("echo") is agents.graph("echo")


def test_building_builds_all(agents):
    built = []
    for name in "ab":
        agents.register(name)(lambda name=name: built.append(name) or echo())
    agents.build()

    assert built == ["a", "b"]


def test_an_unknown_agent_is_answered_with_the_known_ones(agents):
    agents.register("echo")(echo)
    agents.register("chat")(echo)

    with pytest.raises(UnknownAgent, match="no agent 'support' on this worker; known: echo, chat"):
        agents.graph("support")


def test_without_agents_none_is_known(agents):
    with pytest.raises(UnknownAgent, match="known: none"):
        agents.graph("support")


@pytest.mark.parametrize("again", ["register", "add"])
def test_a_name_is_given_once(agents, again):
    agents.register("echo")(echo)

    with pytest.raises(NameTaken, match="two agents are named 'echo'"):
        agents.register("echo")(echo) if again == "register" else agents.add("echo", echo())


@pytest.mark.parametrize(
    "name", [echo, "", None, 5, ["echo"]], ids=["function", "empty", "none", "number", "list"]
)
def test_an_agent_needs_a_name(agents, name):
    with pytest.raises(BadOption, match=r'write: @agents\.register\("name"\)'):
        agents.register(name)


@pytest.mark.parametrize(
    "made", [None, "graph", 5, echo, StateGraph, {"nodes": []}], ids=lambda v: str(v)[:20]
)
def test_what_is_no_graph_is_refused(agents, made):
    agents.register("odd")(lambda: made)

    with pytest.raises(NotAGraph, match=r"agent 'odd' is a .*, not a graph; return a StateGraph"):
        agents.graph("odd")


def test_of_a_group_that_a_builder_raises_the_innermost_error_is_told(agents):
    @agents.register("broken")
    def broken() -> None:
        raise ExceptionGroup("in tasks", [ExceptionGroup("more", [OSError("server away")])])

    with pytest.raises(NotAGraph, match="'broken' could not be built: OSError: server away"):
        agents.graph("broken")


def test_a_builder_that_raises_is_told_with_its_words(agents):
    @agents.register("broken")
    def broken() -> None:
        raise KeyError("kb")

    with pytest.raises(NotAGraph, match="agent 'broken' could not be built: KeyError: 'kb'"):
        agents.build()


def test_a_builder_that_raises_is_the_cause(agents):
    error = KeyError("kb")

    @agents.register("broken")
    def broken() -> None:
        raise error

    with pytest.raises(NotAGraph) as caught:
        agents.build()
    assert caught.value.__cause__ is error


def test_an_error_of_perdure_is_left_as_it_is(agents):
    agents.register("taken")(lambda: (_ for _ in ()).throw(NameTaken("twice")))

    with pytest.raises(NameTaken, match="twice"):
        agents.build()


def test_a_graph_that_does_not_compile_is_told(agents):
    agents.register("empty")(lambda: StateGraph(State))

    with pytest.raises(NotAGraph, match="agent 'empty' does not compile"):
        agents.graph("empty")


def test_a_builder_that_failed_is_tried_again(agents):
    made = iter([None, echo()])
    agents.register("late")(lambda: next(made))
    with pytest.raises(NotAGraph):
        agents.graph("late")

    assert isinstance(agents.graph("late"), Pregel)


def test_the_models_and_tools_are_those_of_the_process(agents):
    assert agents.declared.parent is DECLARED


def test_the_apps_own_types_can_be_read():
    data = {"$": "enum", "type": f"{__name__}:Point", "v": 1}

    with pytest.raises(Unserializable, match="cannot be read"):
        perdure.Agents(types=[Point]).codec.decode(data)  # Point() takes no arguments


def test_other_types_cannot(agents):
    with pytest.raises(Unserializable, match="not registered"):
        agents.codec.decode({"$": "enum", "type": f"{__name__}:Point", "v": 1})
