"""Making an exception again: only what is loaded, without running the app's `__init__`."""

import sys
from collections.abc import Mapping
from typing import Any

import pytest
from langchain_core.exceptions import ContextOverflowError

from perdure.activity.throwing import write_exception
from perdure.errors import ModelFailed, ToolFailed
from perdure.storage.values import ValueCodec
from perdure.workflow.raising import original, told

CODEC = ValueCodec()


class Counted(Exception):
    made = 0

    def __init__(self, *args: Any) -> None:
        type(self).made += 1
        super().__init__(*args)


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no")


def again(thrown: Mapping[str, Any] | None) -> Exception:
    return original(CODEC, thrown, ToolFailed("told"))


def path(*names: str) -> dict[str, Any]:
    return {"classes": list(names), "args": ["x"]}


def test_no_init_of_the_app_runs() -> None:
    written = write_exception(Counted("x"), CODEC)
    before = Counted.made
    assert isinstance(again(written), Counted)
    assert Counted.made == before


def test_a_module_that_is_not_loaded_is_not_imported() -> None:
    name = "wave"
    sys.modules.pop(name, None)
    assert again(path("wave:Error")).args == ("told",)
    assert name not in sys.modules


@pytest.mark.parametrize(
    "name",
    ["os:system", "builtins:eval", "builtins:SystemExit", "builtins:KeyboardInterrupt",
     "subprocess:Popen", "builtins:dict", "", "nothing", "os:path.join", "sys:modules"],
)  # fmt: skip
def test_what_is_no_exception_is_not_made(name: str) -> None:
    made = again(path(name))
    assert type(made) is ToolFailed


@pytest.mark.parametrize("thrown", [None, [], {}, {"classes": "x"}, {"classes": []}], ids=str)
def test_what_the_other_side_did_not_write_stays_the_failure(thrown: Any) -> None:
    assert type(again(thrown)) is ToolFailed


def test_what_cannot_be_read_stays_the_failure() -> None:
    name = f"{__name__}:Unprintable"
    assert type(again(path(name))) is ToolFailed


def test_a_class_that_is_not_loaded_gives_its_neutral_base() -> None:
    thrown = path("sdk:Overflow", "sdk:Error", "langchain_core.exceptions:ContextOverflowError")
    made = original(CODEC, thrown, ModelFailed("told"))
    assert isinstance(made, ContextOverflowError)
    assert isinstance(made, ModelFailed)


def test_the_failure_is_told_in_place_of_what_stands_for_it() -> None:
    failed = ToolFailed("told")
    made = original(CODEC, write_exception(ValueError("x"), CODEC), failed)
    made.__cause__ = failed
    assert told(made) is failed
    assert told(failed) is failed


def test_what_the_app_raised_because_of_a_failure_is_its_own() -> None:
    own = RuntimeError("mine")
    own.__cause__ = ToolFailed("told")
    assert told(own) is own


def test_the_class_looks_as_it_was() -> None:
    made = again(write_exception(ValueError("x"), CODEC))
    assert repr(made) == "ValueError('x')"
    assert type(made).__module__ == "builtins"
