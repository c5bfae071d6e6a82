from collections import OrderedDict
from datetime import date
from types import MappingProxyType

import pytest

from perdure.core.jsons import as_object, plain, shorten
from perdure.errors import BadInput


@pytest.mark.parametrize("value", [{}, {"a": 1}], ids=str)
def test_an_object_is_taken(value):
    assert as_object(value, what="x") == value


def test_any_mapping_becomes_a_dict_of_its_own():
    value = MappingProxyType({"a": 1})

    assert type(as_object(value, what="x")) is dict


def test_the_object_is_a_copy():
    value = {"a": 1}
    as_object(value, what="x")["b"] = 2

    assert value == {"a": 1}


@pytest.mark.parametrize("value", [None, 1, "{}", [], [("a", 1)], True], ids=repr)
def test_anything_else_is_refused_by_name(value):
    with pytest.raises(BadInput, match="the thing must be a JSON object, got "):
        as_object(value, what="the thing")


def test_the_refusal_quotes_a_large_value_in_part():
    with pytest.raises(BadInput) as caught:
        as_object("x" * 10_000, what="it")

    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("text", ["", "a", "a" * 10])
def test_a_short_text_stays(text):
    assert shorten(text, 10) == text


def test_a_long_text_ends_with_an_ellipsis_at_the_limit():
    assert shorten("a" * 11, 10) == "a" * 9 + "…"


def test_white_space_is_folded_before_it_is_counted():
    assert shorten(" a \n\t b  ", 3) == "a b"


@pytest.mark.parametrize("value", [None, True, 3, 1.5, "x", [1, [2]], {"a": {"b": None}}], ids=repr)
def test_json_is_shown_as_it_is(value):
    assert plain(value) == value


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ((1, (2,)), [1, [2]]),
        ({1: "a"}, {"1": "a"}),
        (OrderedDict(a=date(2026, 1, 31)), {"a": "2026-01-31"}),
        ([b"x"], ["b'x'"]),
    ],
    ids=repr,
)
def test_what_is_no_json_is_shown_as_text(value, shown):
    assert plain(value) == shown
