"""Names that say how to make a model."""

import pytest
from langchain.chat_models import base

from perdure.core.recipes import PROVIDERS, Recipe, provider_of, read_recipe

TOLD = Recipe(provider="openai", model="gpt-4o", settings={"top_p": 1, "temperature": 0.5})


def test_a_name_tells_provider_model_and_settings():
    assert TOLD.name == 'openai:gpt-4o {"temperature":0.5,"top_p":1}'


def test_a_recipe_is_read_back_from_its_name():
    assert read_recipe(TOLD.name) == TOLD


def test_a_model_may_have_a_colon():
    assert read_recipe("ollama:llama3:8b") == Recipe(provider="ollama", model="llama3:8b")


@pytest.mark.parametrize(
    "name",
    [
        "gpt-4o",
        "openai:",
        "os:system",
        "openai:gpt-4o {",
        "openai:gpt-4o []",
        'openai:gpt-4o {"base_url":"http://elsewhere"}',
        'openai:gpt-4o {"openai_proxy":"http://elsewhere"}',
        'openai:gpt-4o {"api_key":"x"}',
        'openai:gpt-4o {"default_headers":{}}',
        'openai:gpt-4o {"model_kwargs":{}}',
    ],
)
def test_a_name_that_asks_for_more_is_no_recipe(name):
    assert read_recipe(name) is None


def test_a_provider_is_known_by_its_class():
    assert provider_of("langchain_openai.chat_models.base", "ChatOpenAI") == "openai"


def test_a_class_of_the_app_has_no_provider():
    assert provider_of("shop.models", "ChatOpenAI") is None


def test_the_table_is_that_of_langchain():
    theirs = {name: place[:2] for name, place in vars(base)["_BUILTIN_PROVIDERS"].items()}
    assert {name: theirs.get(name) for name in PROVIDERS} == dict(PROVIDERS)
