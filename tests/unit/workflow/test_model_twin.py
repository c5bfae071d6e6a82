import subprocess
import sys
from datetime import timedelta

import pytest
from langchain.agents import create_agent
from langchain_anthropic import ChatAnthropic
from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.runnables import RunnableBinding
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

import perdure
from perdure.core.declared import DECLARED
from perdure.core.options import LLM_RETRY
from perdure.errors import BadOption, MissingExtra, NameTaken, UnknownModel
from perdure.workflow.model import twin_of

pytestmark = pytest.mark.usefixtures("fresh_declarations")

KEY = "sk-not-a-key"


class Answer(BaseModel):
    """The final answer."""

    text: str


def search(query: str) -> str:
    """Find an article."""
    return query


def fake(*texts: str) -> GenericFakeChatModel:
    return GenericFakeChatModel(messages=iter(texts or ("hello",)))


def claude(**settings: object) -> ChatAnthropic:
    return ChatAnthropic(model="claude-sonnet-4-6", api_key=KEY, **settings)


def gpt(**settings: object) -> ChatOpenAI:
    return ChatOpenAI(model="gpt-4o", api_key=KEY, **settings)


PROVIDERS = pytest.mark.parametrize("make", [claude, gpt], ids=["anthropic", "openai"])
NAMED = pytest.mark.parametrize("spec", ["anthropic:claude-sonnet-4-6", "openai:gpt-4o"])


def bound(runnable: object) -> dict[str, object]:
    assert isinstance(runnable, RunnableBinding)
    return runnable.kwargs


# The user's object and its twin


@PROVIDERS
def test_a_twin_is_one_of_its_providers_models(make):
    inner = make()

    assert isinstance(perdure.model(inner), type(inner))


@PROVIDERS
def test_the_object_that_was_given_is_unchanged(make):
    inner = make(temperature=0.5)
    before = (type(inner), dict(vars(inner)), set(inner.model_fields_set))
    perdure.model(inner, timeout=timedelta(seconds=9)).bind_tools([search])

    assert (type(inner), dict(vars(inner)), set(inner.model_fields_set)) == before


def test_a_twin_has_the_settings_of_the_object():
    assert perdure.model(gpt(temperature=0.5)).temperature == 0.5


def test_a_setting_changed_on_the_twin_does_not_reach_the_object():
    inner = gpt(temperature=0.5)
    perdure.model(inner).temperature = 0.9

    assert inner.temperature == 0.5


@PROVIDERS
def test_a_twin_has_the_name_of_its_class(make):
    assert type(perdure.model(make())).__name__ == make().__class__.__name__


@PROVIDERS
def test_tools_are_bound_in_the_providers_own_format(make):
    inner = make()

    assert bound(perdure.model(inner).bind_tools([search])) == bound(inner.bind_tools([search]))


@PROVIDERS
def test_structured_output_is_asked_for_in_the_providers_own_way(make):
    inner = make()
    own = inner.with_structured_output(Answer).first
    ours = perdure.model(inner).with_structured_output(Answer).first

    assert bound(ours) == bound(own)


@PROVIDERS
def test_the_profile_is_the_providers_own(make):
    inner = make()

    assert perdure.model(inner).profile == inner.profile


def test_what_is_bound_is_the_twin():
    model = perdure.model(gpt())

    assert model.bind_tools([search]).bound is model


# Calls outside of a run go straight through


def test_a_sync_call_goes_straight_through():
    assert perdure.model(fake("hello")).invoke("x").content == "hello"


async def test_an_async_call_goes_straight_through():
    assert (await perdure.model(fake("hello")).ainvoke("x")).content == "hello"


def test_a_stream_goes_straight_through():
    chunks = [chunk.content for chunk in perdure.model(fake("a b")).stream("x")]

    assert [text for text in chunks if text] == ["a", " ", "b"]


async def test_an_async_stream_goes_straight_through():
    chunks = [chunk.content async for chunk in perdure.model(fake("a b")).astream("x")]

    assert [text for text in chunks if text] == ["a", " ", "b"]


def test_a_sync_graph_runs_outside_of_temporal():
    agent = create_agent(perdure.model(fake("done")), [])

    assert agent.invoke({"messages": [HumanMessage("x")]})["messages"][-1].content == "done"


async def test_an_async_graph_runs_outside_of_temporal():
    agent = create_agent(perdure.model(fake("done")), [])
    output = await agent.ainvoke({"messages": [HumanMessage("x")]})

    assert output["messages"][-1].content == "done"


class Plain(BaseChatModel):
    """A model of one's own with the sync half only, which cannot stream."""

    @property
    def _llm_type(self):
        return "plain"

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        from langchain_core.outputs import ChatGeneration, ChatResult  # noqa: PLC0415

        return ChatResult(generations=[ChatGeneration(message=AIMessage(f"stop={stop}"))])


async def test_a_model_with_a_sync_half_only_can_be_awaited():
    assert (await perdure.model(Plain()).ainvoke("x", stop=["a"])).content == "stop=['a']"


def test_a_model_that_cannot_stream_is_not_made_to():
    assert next(chunk.content for chunk in perdure.model(Plain()).stream("x")) == "stop=None"


# Names and options


def test_a_model_is_known_by_class_and_model():
    perdure.model(gpt())

    assert DECLARED.names("model") == ["ChatOpenAI:gpt-4o"]


def test_a_model_may_be_given_a_name():
    perdure.model(gpt(), name="fast")

    assert DECLARED.names("model") == ["fast"]


def test_the_worker_finds_the_very_object():
    inner = gpt()
    perdure.model(inner, name="fast")

    assert DECLARED.find("model", "fast").build() is inner


def test_options_are_kept_with_the_name():
    perdure.model(gpt(), name="fast", timeout=timedelta(seconds=9), retry=LLM_RETRY, repairs=0)
    override = DECLARED.find("model", "fast").override

    assert (override.timeout, override.retry, override.repairs) == (
        timedelta(seconds=9),
        LLM_RETRY,
        0,
    )


@pytest.mark.parametrize(
    "options",
    [
        {"timeout": 60},
        {"timeout": timedelta(0)},
        {"heartbeat": timedelta(milliseconds=1)},
        {"retry": 3},
        {"repairs": -1},
    ],
    ids=str,
)
def test_an_impossible_option_is_refused_where_it_is_written(options):
    with pytest.raises(BadOption):
        perdure.model("openai:gpt-4o", **options)


def test_the_same_model_may_be_declared_again():
    perdure.model(gpt())
    perdure.model(gpt())

    assert DECLARED.names("model") == ["ChatOpenAI:gpt-4o"]


@pytest.mark.parametrize(
    "other",
    [
        lambda: perdure.model(gpt(temperature=0.9), name="m"),
        lambda: perdure.model(claude(), name="m"),
        lambda: perdure.model("openai:gpt-4o", name="m"),
        lambda: perdure.model(gpt(), name="m", timeout=timedelta(seconds=9)),
    ],
    ids=["setting", "provider", "named", "option"],
)
def test_another_model_of_the_name_is_refused(other):
    perdure.model(gpt(), name="m")

    with pytest.raises(NameTaken, match=r"two different models are named 'm'"):
        other()


@pytest.mark.parametrize(
    "spec",
    [5, None, "", ChatOpenAI, {"model": "gpt-4o"}, lambda: None],
    ids=["int", "none", "empty", "class", "dict", "function"],
)
def test_what_is_no_model_is_refused(spec):
    with pytest.raises(BadOption, match="a model is a name like 'anthropic:claude-sonnet-4-6'"):
        perdure.model(spec)


def test_a_model_with_tools_bound_already_is_refused():
    with pytest.raises(BadOption, match=r"bind tools and settings to what perdure\.model"):
        perdure.model(gpt().bind_tools([search]))


@pytest.mark.parametrize("again", [gpt, lambda: "openai:gpt-4o"], ids=["twin", "named"])
def test_a_declared_model_is_not_declared_again(again):
    declared = perdure.model(again())

    with pytest.raises(BadOption, match=r"is a perdure\.model already"):
        perdure.model(declared, name="other")


def test_settings_go_with_a_name_only():
    with pytest.raises(BadOption, match="temperature: settings go with a model's name"):
        perdure.model(gpt(), temperature=0.5)


# Named models


def test_a_named_model_is_built_when_it_is_first_needed(monkeypatch):
    built: list[str] = []
    make = lambda spec, **_: built.append(spec) or fake()  # noqa: E731
    monkeypatch.setattr("langchain.chat_models.init_chat_model", make)
    model = perdure.model("openai:gpt-4o")
    assert not built
    model.invoke("x")

    assert built == ["openai:gpt-4o"]


def test_a_named_model_gets_its_settings():
    perdure.model("openai:gpt-4o", temperature=0.5, api_key=KEY)

    assert twin_of("openai:gpt-4o").temperature == 0.5


def test_the_provider_is_built_once():
    perdure.model("openai:gpt-4o", api_key=KEY)
    build = DECLARED.find("model", "openai:gpt-4o").build

    assert build() is build()


@NAMED
def test_a_named_model_binds_tools_in_the_providers_own_format(spec):
    make = claude if spec.startswith("anthropic") else gpt
    model = perdure.model(spec, api_key=KEY)

    assert bound(model.bind_tools([search])) == bound(make().bind_tools([search]))


@NAMED
def test_a_named_model_asks_for_structured_output_in_the_providers_own_way(spec):
    make = claude if spec.startswith("anthropic") else gpt
    model = perdure.model(spec, api_key=KEY)

    assert bound(model.with_structured_output(Answer).first) == bound(
        make().with_structured_output(Answer).first
    )


@NAMED
def test_a_named_model_has_the_profile_of_its_provider(spec):
    make = claude if spec.startswith("anthropic") else gpt

    assert perdure.model(spec, api_key=KEY).profile == make().profile


def test_a_named_model_counts_tokens_as_its_provider_does():
    model = perdure.model("openai:gpt-4o", api_key=KEY, custom_get_token_ids=lambda _: [1, 2])

    assert model.get_num_tokens("x") == 2


class TestNamedCalls:
    @pytest.fixture(autouse=True)
    def provider(self, monkeypatch):
        monkeypatch.setattr("langchain.chat_models.init_chat_model", lambda *_, **__: fake("hi"))

    def test_a_sync_call_goes_straight_through(self):
        assert perdure.model("openai:gpt-4o").invoke("x").content == "hi"

    async def test_an_async_call_goes_straight_through(self):
        assert (await perdure.model("openai:gpt-4o").ainvoke("x")).content == "hi"

    def test_a_graph_runs_outside_of_temporal(self):
        agent = create_agent(perdure.model("openai:gpt-4o"), [])

        assert agent.invoke({"messages": [HumanMessage("x")]})["messages"][-1].content == "hi"


def test_a_missing_key_is_told_by_the_call_and_not_by_the_import(monkeypatch):
    for name in ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY"):
        monkeypatch.delenv(name, raising=False)
    model = perdure.model("openai:gpt-4o")

    with pytest.raises(Exception, match="OPENAI_API_KEY"):
        model.invoke("x")


@pytest.fixture
def uninstalled(monkeypatch):
    for name in ("langchain_openai", "langchain_mistralai"):
        monkeypatch.setitem(sys.modules, name, None)
    from langchain.chat_models import base  # noqa: PLC0415

    for name in ("_import_module", "_get_chat_model_creator"):
        cached = getattr(base, name, None)
        getattr(cached, "cache_clear", lambda: None)()
    yield
    for name in ("_import_module", "_get_chat_model_creator"):
        getattr(getattr(base, name, None), "cache_clear", lambda: None)()


@pytest.mark.usefixtures("uninstalled")
def test_a_missing_package_is_told_with_the_extra():
    with pytest.raises(MissingExtra, match=r"pip install 'perdure\[openai\]'"):
        perdure.model("openai:gpt-4o").invoke("x")


@pytest.mark.usefixtures("uninstalled")
def test_a_package_without_an_extra_of_ours_is_named_itself():
    with pytest.raises(MissingExtra, match="langchain-mistralai") as caught:
        perdure.model("mistralai:large").invoke("x")

    assert "perdure[" not in str(caught.value)


@pytest.mark.usefixtures("uninstalled")
def test_a_missing_package_is_an_import_error_too():
    with pytest.raises(ImportError):
        perdure.model("openai:gpt-4o").bind_tools([search])


def test_a_model_that_was_never_declared_is_unknown():
    perdure.model("openai:gpt-4o")

    with pytest.raises(UnknownModel, match=r"no model 'fast' is declared .*; known: openai:gpt-4o"):
        twin_of("fast")


def test_a_model_declared_by_name_passes_for_the_class_of_its_provider():
    assert isinstance(perdure.model("openai:gpt-4o", name="mine"), ChatOpenAI)


def test_a_model_declared_by_name_passes_for_no_other_class():
    assert not isinstance(perdure.model("anthropic:claude-sonnet-4-6"), ChatOpenAI)


def test_a_model_declared_by_name_shows_the_settings_of_its_provider(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "test")
    assert perdure.model("openai:gpt-4o").model_name == "gpt-4o"


def test_a_model_declared_by_name_alone_passes_for_the_usual_class():
    assert isinstance(perdure.model("gpt-4o"), ChatOpenAI)


def test_to_declare_and_use_a_model_by_name_loads_no_provider():
    code = (
        "import sys, perdure\n"
        "from langchain.agents import create_agent\n"
        "model = perdure.model('anthropic:claude-sonnet-4-6')\n"
        "create_agent(model, [])\n"
        "assert not isinstance(model, str)\n"
        "sys.exit('langchain_anthropic' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
