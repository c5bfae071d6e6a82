"""How an exception is written for the graph, without anything secret."""

from typing import Any

import pytest

from perdure.activity.throwing import write_exception
from perdure.storage.values import ValueCodec

CODEC = ValueCodec()


class Refused(Exception):
    def __init__(self, text: str, **attributes: Any) -> None:
        super().__init__(text)
        self.__dict__.update(attributes)


def write(error: Exception) -> dict[str, Any]:
    written = write_exception(error, CODEC)
    assert written is not None
    return written


def test_the_class_and_its_bases_are_named_nearest_first() -> None:
    names = write(KeyError("x"))["classes"]
    assert names == ["builtins:KeyError", "builtins:LookupError"]


def test_a_bare_exception_is_named_too() -> None:
    assert write(Exception("x"))["classes"] == ["builtins:Exception"]


def test_an_argument_without_a_json_form_becomes_its_text() -> None:
    assert write(ValueError(CODEC))["args"][0].startswith("<perdure.storage.values.ValueCodec")


def test_an_attribute_without_a_json_form_stays_behind() -> None:
    error = Refused("no", response=object(), status_code=400)
    assert write(error)["attributes"] == {"status_code": 400}


@pytest.mark.parametrize("name", ["api_key", "headers", "access_token", "password"])
def test_an_attribute_that_is_a_secret_by_name_stays_behind(name: str) -> None:
    assert "attributes" not in write(Refused("no", **{name: "abc"}))


def test_a_key_in_a_text_is_masked() -> None:
    error = Refused("bad key sk-ant-REDACTED", note={"k": "Bearer abcdef0123456789abcdef"})
    assert "abcdefghijklmnop" not in str(write(error))
    assert "abcdef0123456789" not in str(write(error))


def test_what_is_too_large_is_cut_to_its_text() -> None:
    written = write(Refused("no", body=["x" * 1000] * 50))
    assert written["args"] == ["no"]
    assert "attributes" not in written


def test_a_class_whose_own_code_fails_is_not_written() -> None:
    class Bad(Exception):
        @property
        def args(self) -> Any:
            raise RuntimeError("no")

    assert write_exception(Bad("x"), CODEC) is None


def test_the_notes_of_a_graph_inside_the_tool_stay_behind() -> None:
    error = ValueError("x")
    error.add_note("mine")
    error.add_note("During task with name 'inner' and id '1'")
    assert write(error)["notes"] == ["mine"]
