"""Values on the command line."""

import io
import sys

import pytest

from perdure.cli.inputs import edit_json, read_json, read_object, with_changes
from perdure.errors import BadInput, BadOption


def test_json_is_read_from_the_command_line():
    assert read_json('{"a": 1}', what="x") == {"a": 1}


def test_json_is_read_from_a_file(tmp_path):
    file = tmp_path / "in.json"
    file.write_text('{"a": "é"}', "utf-8")
    assert read_json(f"@{file}", what="x") == {"a": "é"}


def test_json_is_read_from_standard_input(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("[1]"))
    assert read_json("-", what="x") == [1]


def test_a_mistake_in_json_is_shown_with_its_place():
    with pytest.raises(BadInput, match=r"line 2 column 7.*near"):
        read_json('{"a": 1,\n "b": }', what="the input")


def test_a_mistake_in_a_file_names_the_file(tmp_path):
    file = tmp_path / "in.json"
    file.write_text("{", "utf-8")
    with pytest.raises(BadInput, match=r"in\.json"):
        read_json(f"@{file}", what="the input")


def test_nothing_is_no_json():
    with pytest.raises(BadInput, match="empty"):
        read_json("", what="the input")


def test_a_missing_file_is_named():
    with pytest.raises(BadInput, match=r"/no/such\.json"):
        read_json("@/no/such.json", what="the input")


@pytest.mark.parametrize("text", ["NaN", "Infinity", '{"a": -Infinity}'])
def test_numbers_that_are_no_json_are_refused(text):
    with pytest.raises(BadInput, match="not a JSON number"):
        read_json(text, what="the input")


def test_bottomless_json_is_refused():
    with pytest.raises(BadInput, match="no JSON"):
        read_json("[" * 200_000, what="the input")


def test_binary_files_are_refused(tmp_path):
    file = tmp_path / "in.json"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadInput, match="cannot be read"):
        read_json(f"@{file}", what="the input")


def test_an_object_is_asked_for_where_one_is_needed():
    with pytest.raises(BadInput, match="must be a JSON object"):
        read_object("[1]", what="--options")


def test_no_object_means_an_empty_one():
    assert read_object(None, what="--options") == {}


def test_a_change_replaces_one_argument():
    assert with_changes({"to": "ann", "n": 1}, ["to=bob"]) == {"to": "bob", "n": 1}


def test_a_change_leaves_the_arguments_it_was_made_from():
    args = {"to": "ann"}
    with_changes(args, ["to=bob"])
    assert args == {"to": "ann"}


@pytest.mark.parametrize(
    ("old", "text", "new"),
    [("x", "7", "7"), (1, "7", 7), (True, "false", False), ([1], "[2]", [2]), (None, "x", "x")],
    ids=["text stays text", "number", "truth", "list", "unknown"],
)
def test_a_changed_value_keeps_its_type(old, text, new):
    assert with_changes({"a": old}, [f"a={text}"]) == {"a": new}


def test_a_value_may_hold_an_equals_sign():
    assert with_changes({"a": ""}, ["a=b=c"]) == {"a": "b=c"}


def test_a_change_of_an_unknown_argument_lists_the_known_ones():
    with pytest.raises(BadInput, match="there are: to, body"):
        with_changes({"to": "", "body": ""}, ["tp=x"])


def test_a_change_without_a_value_is_refused():
    with pytest.raises(BadInput, match="name=value"):
        with_changes({"to": ""}, ["to"])


def test_a_change_of_the_wrong_type_is_refused():
    with pytest.raises(BadOption, match="must be JSON"):
        with_changes({"n": 1}, ["n=many"])


def test_an_editor_changes_arguments(monkeypatch, tmp_path):
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nsed -i s/ann/bob/ "$1"\n')
    editor.chmod(0o755)
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", str(editor))
    assert edit_json({"to": "ann"}) == {"to": "bob"}


def test_an_editor_that_changes_nothing_decides_nothing(monkeypatch):
    monkeypatch.setenv("VISUAL", "true")
    with pytest.raises(BadInput, match="nothing was changed"):
        edit_json({"to": "ann"})


@pytest.mark.parametrize("editor", ["false", "/no/such/editor"])
def test_an_editor_that_fails_is_named(monkeypatch, editor):
    monkeypatch.setenv("VISUAL", editor)
    with pytest.raises(BadOption, match=editor):
        edit_json({"to": "ann"})
