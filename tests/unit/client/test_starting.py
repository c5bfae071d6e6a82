"""What may start a run, checked before anything is sent."""

import json

import pytest

from perdure.client.starting import (
    check_nodes,
    check_run_id,
    make_input,
    make_run_id,
    read_config,
)
from perdure.errors import BadInput, BadOption, PayloadTooLarge, Unserializable


def made(value=None, agent="support", *, recursion_limit=None, **more):
    parts = {} if recursion_limit is None else {"recursion_limit": recursion_limit}
    return make_input(agent, value, **{"tenant": None, "options": {}, "parts": parts, **more})


def config(**given):
    return read_config(given, recursion_limit=None)


def test_a_new_run_id_begins_with_its_agent():
    assert make_run_id("support").startswith("support-")


def test_a_new_run_id_ends_in_twelve_hex_digits():
    assert int(make_run_id("support").rpartition("-")[2], 16) >= 0
    assert len(make_run_id("support")) == len("support-") + 12


def test_two_new_run_ids_differ():
    assert make_run_id("support") != make_run_id("support")


@pytest.mark.parametrize("agent", ["a/b", "two words", "///", "ä€/𝄞", "x" * 500])
def test_a_new_run_id_can_be_used_whatever_the_agent_is_named(agent):
    run_id = make_run_id(agent)
    assert check_run_id(run_id) == run_id


@pytest.mark.parametrize(
    "run_id",
    ["", " ", "a/b", "a\0b", "a\nb", " a", "x" * 201, "a\u202eb"],
    ids=["empty", "space", "slash", "nul", "line break", "leading space", "long", "hidden"],
)
def test_a_run_id_that_cannot_be_carried_is_refused(run_id):
    with pytest.raises(BadInput, match="run id"):
        check_run_id(run_id)


@pytest.mark.parametrize("run_id", ["a", "order:42", "Ünïcode-7", "a b"])
def test_a_readable_run_id_is_taken(run_id):
    assert check_run_id(run_id) == run_id


@pytest.mark.parametrize("agent", ["", "a\nb", "a\0"])
def test_an_agent_without_a_readable_name_is_refused(agent):
    with pytest.raises(BadInput, match="agent="):
        made(agent=agent)


def test_an_input_of_five_megabytes_is_refused_with_numbers():
    with pytest.raises(PayloadTooLarge, match=r"5,000,0\d\d bytes.*1,900,000"):
        made({"text": "x" * 5_000_000})


def test_the_size_is_counted_in_bytes_of_the_wire():
    with pytest.raises(PayloadTooLarge):
        made({"text": "ü" * 400_000})


@pytest.mark.parametrize(
    "value",
    [None, {}, [], "", {"text": "a\0b"}, {"text": "🦜"}, {"text": "שלום"}, {"text": "\ud800"}],
    ids=["none", "object", "list", "empty", "nul", "emoji", "right to left", "half a pair"],
)
def test_any_json_is_taken_as_it_is(value):
    assert json.loads(json.dumps(made(value).to_json()))["input"] == value


@pytest.mark.parametrize("value", [float("nan"), object(), {1, 2}])
def test_what_is_no_json_is_refused(value):
    with pytest.raises(Unserializable, match="must be JSON"):
        made({"value": value})


def test_an_unknown_option_is_refused_before_the_run_starts():
    with pytest.raises(BadOption, match="speed"):
        made(options={"models": {"*": {"speed": 1}}})


def test_an_impossible_recursion_limit_is_refused():
    with pytest.raises(BadInput, match="recursion_limit"):
        made(recursion_limit=0)


def test_a_config_gives_its_parts_to_the_run():
    given = {"configurable": {"user": "ann"}, "metadata": {"n": 1}, "recursion_limit": 9}
    data = made(parts=config(tags=["a"], **given))
    assert (data.configurable, data.tags) == ({"user": "ann"}, ("a",))
    assert (data.metadata, data.recursion_limit) == ({"n": 1}, 9)


def test_a_recursion_limit_of_its_own_goes_before_that_of_the_config():
    assert read_config({"recursion_limit": 9}, recursion_limit=5)["recursion_limit"] == 5


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"callbacks": []}, "'callbacks' does not go with a run: known are configurable"),
        ({"configurable": []}, r"config\['configurable'\]=\[\]: must be an object"),
        ({"tags": "a"}, r"config\['tags'\]='a': must be a list of texts"),
        ({"tags": [1]}, r"config\['tags'\]: 1 is no text"),
        ({"recursion_limit": True}, "=True: must be a whole number"),
        ({"configurable": {"thread_id": "t"}}, "write thread="),
    ],
)
def test_a_config_that_a_run_cannot_take_is_refused(given, words):
    with pytest.raises(BadOption, match=words):
        config(**given)


def test_one_name_alone_is_that_node():
    assert check_nodes("*", "interrupt_before") == ("*",)


def test_a_context_travels_with_the_run():
    assert made(context={"user": "ben"}).context == {"user": "ben"}
