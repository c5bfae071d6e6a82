"""Finding the plain models and tools of an app."""

from functools import cache, partial

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware
from langchain_anthropic import ChatAnthropic
from langchain_core.tools import StructuredTool, tool
from langchain_openai import ChatOpenAI
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode

import perdure
from perdure.worker.discover import discover, reachable

pytestmark = pytest.mark.usefixtures("fresh_declarations")


def chat(**settings):
    return ChatOpenAI(**{"model": "gpt-4o", "api_key": "sk-secret", **settings})


@tool
def search(q: str) -> str:
    """Search."""
    return q


module_level = chat(model="in-a-module")


@cache
def cached():
    return module_level


def graph(*nodes):
    made = StateGraph(MessagesState)
    made.add_sequence([(f"n{number}", node) for number, node in enumerate(nodes)])
    return made.add_edge(START, "n0").compile()


def found(*graphs, intercept=True):
    agents = perdure.Agents(intercept=intercept)
    for number, one in enumerate(graphs):
        agents.add(f"g{number}", one)
    discover(agents)
    table = agents.declared
    return [*table.names("model"), *table.names("tool")]


def test_the_model_and_tools_of_an_agent_are_found():
    assert found(create_agent(chat(), [search])) == ["ChatOpenAI:gpt-4o", "search"]


def test_what_a_node_closes_over_is_found():
    model = chat()
    assert found(graph(lambda state: model.invoke("x"))) == ["ChatOpenAI:gpt-4o"]


def test_what_a_node_reads_from_its_module_is_found():
    def node(state):
        return module_level.invoke("x")

    assert found(graph(node)) == ["ChatOpenAI:in-a-module"]


def test_what_a_helper_of_a_node_reads_is_found():
    def node(state):
        return cached().invoke("x")

    assert found(graph(node)) == ["ChatOpenAI:in-a-module"]


@pytest.mark.parametrize(
    "wrap",
    [
        lambda m: m.bind(stop=["x"]),
        lambda m: m.with_retry(),
        lambda m: m.with_fallbacks([m]),
        lambda m: m.with_config(tags=["x"]),
        lambda m: (lambda x: x) | m,
        lambda m: partial(print, m),
        lambda m: {"held": [m]},
    ],
)
def test_a_wrapped_model_is_found(wrap):
    wrapped = wrap(chat())
    assert found(graph(lambda state: wrapped)) == ["ChatOpenAI:gpt-4o"]


def test_a_model_of_an_object_with_methods_is_found():
    class Desk:
        def __init__(self):
            self.model = chat()

        def node(self, state):
            return self.model.invoke("x")

    assert found(graph(Desk().node)) == ["ChatOpenAI:gpt-4o"]


def test_a_model_in_a_class_attribute_is_found():
    class Desk:
        model = chat()
        by_name = {"mini": chat(model="gpt-4o-mini")}  # noqa: RUF012

        @staticmethod
        def ask(state):
            return {"messages": [module_level.invoke("x")]}

        def answer(self, state):
            return self.ask(state)

    names = ["ChatOpenAI:gpt-4o", "ChatOpenAI:gpt-4o-mini", "ChatOpenAI:in-a-module"]
    assert sorted(found(graph(Desk().answer))) == names


def test_a_model_of_a_middleware_is_found():
    class Summing(AgentMiddleware):
        def __init__(self):
            self.model = chat(model="summing")

        def before_model(self, state, runtime):
            return self.model.invoke("x")

    names = found(create_agent(chat(), [], middleware=[Summing()]))
    assert sorted(names) == ["ChatOpenAI:gpt-4o", "ChatOpenAI:summing"]


def test_a_model_of_a_sub_graph_is_found():
    model = chat()
    inner = graph(lambda state: model.invoke("x"))
    assert found(graph(inner)) == ["ChatOpenAI:gpt-4o"]


def test_a_model_of_a_router_is_found():
    model = chat()
    made = StateGraph(MessagesState).add_node("n", lambda state: {}).add_edge(START, "n")
    made.add_conditional_edges("n", lambda state: model.invoke("x"), ["n"])
    assert found(made) == ["ChatOpenAI:gpt-4o"]


def test_a_plain_function_in_a_tool_node_is_found():
    def count(text: str) -> int:
        """Count."""
        return len(text)

    assert found(graph(ToolNode([count]))) == ["count"]


def test_a_model_that_a_tool_uses_is_found():
    model = chat()

    @tool
    def ask(q: str) -> str:
        """Ask."""
        return model.invoke(q).text

    assert found(graph(ToolNode([ask]))) == ["ChatOpenAI:gpt-4o", "ask"]


def test_two_settings_of_one_model_get_two_names_without_a_secret():
    cold, warm = chat(temperature=0), chat(temperature=1)
    names = found(graph(lambda state: (cold, warm)))
    assert len(set(names)) == 2
    assert all(name.startswith("ChatOpenAI:gpt-4o#") for name in names)


def test_the_names_do_not_depend_on_the_key():
    def names(key):
        cold, warm = chat(temperature=0, api_key=key), chat(temperature=1, api_key=key)
        return found(graph(lambda state: (cold, warm)))

    assert names("sk-one") == names("sk-two")


def test_the_names_do_not_depend_on_where_the_model_is():
    def names(url):
        plain, warm = chat(base_url=url), chat(temperature=1, base_url=url)
        return found(graph(lambda state: plain.invoke("x") and warm.invoke("x")))

    here = names("http://127.0.0.1:1/v1")
    assert here == names("https://example.com/v1")
    assert len(set(here)) == 2


def test_two_keys_of_one_model_get_two_names():
    one, two = chat(), chat(api_key="sk-other")
    names = found(graph(lambda state: (one, two)))
    assert [name.partition("#")[0] for name in names] == ["ChatOpenAI:gpt-4o"] * 2
    assert names[1] == f"{names[0]}.2"


def test_equal_models_are_one():
    one, two = chat(), chat()
    assert found(graph(lambda state: (one, two))) == ["ChatOpenAI:gpt-4o"]


def test_two_tools_of_one_name_are_named_by_their_place():
    def search(q: str) -> str:
        """Search elsewhere."""
        return q

    other = StructuredTool.from_function(search)
    names = found(graph(ToolNode([other]), ToolNode([globals()["search"]])))
    here = f"{__name__}."
    assert names == [
        f"search ({here}test_two_tools_of_one_name_are_named_by_their_place.<locals>.search)",
        f"search ({here}search)",
    ]


def test_what_is_declared_by_hand_is_left_alone():
    model = perdure.model(chat(), name="mine")
    assert found(create_agent(model, [perdure.tool(search)])) == ["mine", "search"]


def test_a_model_declared_by_name_is_left_alone():
    model = perdure.model("anthropic:claude-sonnet-4-6")
    assert isinstance(ChatAnthropic, type)
    assert found(graph(lambda state: model)) == ["anthropic:claude-sonnet-4-6"]


def test_nothing_is_looked_for_if_the_app_says_so():
    assert found(create_agent(chat(), [search]), intercept=False) == []


def test_the_order_is_that_of_the_code():
    first, second = chat(model="a"), chat(model="b")
    agents = perdure.Agents()
    agents.add("g", graph(lambda state: (first, second)))
    assert reachable(agents) == reachable(agents) == [first, second]


class Lazy:
    """Wakes up, and fails, when somebody asks what it is."""

    @property
    def __class__(self):
        raise RuntimeError("not yet")

    def __getattr__(self, name):
        raise RuntimeError("not yet")


def test_a_lazy_object_is_not_woken():
    lazy, model = Lazy(), chat()
    assert found(graph(lambda state: (lazy, model))) == ["ChatOpenAI:gpt-4o"]
