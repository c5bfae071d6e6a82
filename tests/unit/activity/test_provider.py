import asyncio
import logging
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from langchain_anthropic import ChatAnthropic
from langchain_core.language_models import BaseChatModel, FakeListChatModel
from langchain_core.rate_limiters import InMemoryRateLimiter
from langchain_openai import AzureChatOpenAI, ChatOpenAI
from pydantic import Field

from perdure.activity.provider import tune

TEN_MINUTES = timedelta(minutes=10)


def anthropic(**fields: Any) -> ChatAnthropic:
    return ChatAnthropic(model="claude-sonnet-4-6", api_key="test", **fields)


def openai(**fields: Any) -> ChatOpenAI:
    return ChatOpenAI(model="gpt-4o", api_key="test", **fields)


def limit(model: BaseChatModel) -> Any:
    field = "request_timeout" if isinstance(model, ChatOpenAI) else "default_request_timeout"
    return getattr(model, field)


def client(model: BaseChatModel) -> Any:
    return model._async_client if isinstance(model, ChatAnthropic) else model.root_async_client


both = pytest.mark.parametrize("build", [anthropic, openai], ids=lambda build: build.__name__)


@both
def test_the_copys_client_never_retries(build):
    assert client(tune(build(max_retries=5), timeout=TEN_MINUTES)).max_retries == 0


@both
def test_the_copys_client_has_a_timeout(build):
    assert client(tune(build(), timeout=TEN_MINUTES)).timeout == 590


@both
def test_the_users_object_is_not_changed(build):
    model = build(max_retries=5)
    before = (model.model_dump(), client(model).max_retries)
    tune(model, timeout=TEN_MINUTES)

    assert (model.model_dump(), client(model).max_retries) == before


@both
def test_the_copy_has_clients_of_its_own(build):
    model = build()

    assert client(tune(model, timeout=TEN_MINUTES)) is not client(model)


@pytest.mark.parametrize(
    ("activity", "request_s"), [(600, 590), (100, 90), (60, 54), (1, 0.9)], ids=str
)
@both
def test_the_request_gives_up_a_little_before_the_activity(build, activity, request_s):
    tuned = tune(build(), timeout=timedelta(seconds=activity))

    assert limit(tuned) == pytest.approx(request_s)


@pytest.mark.parametrize(("own", "kept"), [(5, 5), (0.5, 0.5), (9999, 590), (0, 590), (-1, 590)])
@both
def test_only_a_shorter_timeout_of_the_user_stays(build, own, kept):
    assert limit(tune(build(timeout=own), timeout=TEN_MINUTES)) == kept


@pytest.mark.parametrize(
    ("own", "kept"),
    [
        ((5, 9999), (5, 590)),
        (httpx2.Timeout(60), httpx2.Timeout(60)),
        (httpx2.Timeout(None), 590),
        (httpx2.Timeout(9999), 590),
    ],
    ids=str,
)
def test_a_timeout_in_parts_is_understood(own, kept):
    assert limit(tune(openai(timeout=own), timeout=TEN_MINUTES)) == kept


@both
def test_what_the_user_set_is_in_the_copy(build):
    given = {"temperature": 0.25, "streaming": True, "tags": ["mine"], "metadata": {"team": "a"}}
    tuned = tune(build(**given), timeout=TEN_MINUTES)
    kept = {name: getattr(tuned, name) for name in given}
    kept["metadata"] = {"team": tuned.metadata["team"]}

    assert kept == given


@both
def test_a_field_set_after_construction_is_in_the_copy(build):
    model = build()
    model.temperature = 0.75

    assert tune(model, timeout=TEN_MINUTES).temperature == 0.75


@both
def test_the_rate_limiter_is_shared_with_the_copy(build):
    limiter = InMemoryRateLimiter(requests_per_second=1)

    assert tune(build(rate_limiter=limiter), timeout=TEN_MINUTES).rate_limiter is limiter


@both
def test_the_key_is_in_the_copy(build):
    assert client(tune(build(), timeout=TEN_MINUTES)).api_key == "test"


@both
def test_unknown_request_parameters_are_in_the_copy(build):
    tuned = tune(build(model_kwargs={"user": "u1"}), timeout=TEN_MINUTES)

    assert tuned.model_kwargs == {"user": "u1"}


@both
def test_a_tuned_model_can_be_tuned_again(build):
    tuned = tune(tune(build(), timeout=TEN_MINUTES), timeout=timedelta(seconds=60))

    assert limit(tuned) == 54


def test_an_http_client_of_the_user_is_used():
    async def check() -> bool:
        async with httpx2.AsyncClient() as own:
            tuned = tune(openai(http_async_client=own), timeout=TEN_MINUTES)
            return client(tuned)._client is own

    assert asyncio.run(check())


def test_an_api_client_of_the_user_is_used():
    own = object()

    assert tune(openai(async_client=own), timeout=TEN_MINUTES).async_client is own


def test_a_proxied_model_can_be_rebuilt():
    tuned = tune(openai(openai_proxy="http://127.0.0.1:9"), timeout=TEN_MINUTES)

    assert tuned.max_retries == 0


def test_a_subclass_with_other_fields_can_be_rebuilt():
    model = AzureChatOpenAI(
        azure_endpoint="https://a.example", azure_deployment="d", api_version="v", api_key="test"
    )

    assert client(tune(model, timeout=TEN_MINUTES)).max_retries == 0


def test_a_model_without_retries_comes_back_as_it_is():
    model = FakeListChatModel(responses=["hello"])

    assert tune(model, timeout=TEN_MINUTES) is model


class Aliased(FakeListChatModel):
    """A model whose class takes only the alias."""

    max_retries: int = Field(default=3, alias="retries")


def test_a_field_that_is_only_taken_by_its_alias_is_passed_so():
    model = Aliased(responses=["hello"], retries=7)

    assert tune(model, timeout=TEN_MINUTES).max_retries == 0


class Stubborn(FakeListChatModel):
    """A model that can be built only once."""

    max_retries: int = 3

    def __init__(self, responses: list[str], **fields: Any) -> None:
        if fields:
            raise RuntimeError("only in its own way")
        super().__init__(responses=responses)


def test_a_model_that_cannot_be_rebuilt_comes_back_as_it_is():
    model = Stubborn(["hello"])

    assert tune(model, timeout=TEN_MINUTES) is model


def test_a_model_that_cannot_be_rebuilt_is_told_of_in_the_log(caplog):
    with caplog.at_level(logging.WARNING):
        tune(Stubborn(["hello"]), timeout=TEN_MINUTES)

    assert "set max_retries=0 and a timeout on it" in caplog.text
