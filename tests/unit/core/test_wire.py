import json
from datetime import timedelta

import pytest

from perdure.core.options import KEEP, Override
from perdure.core.wire import ModelCall, ModelReply, RunInput, ToolCall, run_input
from perdure.errors import BadInput, BadOption

LONG = Override(timeout=timedelta(seconds=90))
SHORT = Override(timeout=timedelta(seconds=5))


def test_a_run_needs_its_agent_only():
    assert run_input({"agent": "support"}) == RunInput(agent="support")


def test_every_part_of_a_run_is_read():
    raw = {
        "agent": "support",
        "input": {"messages": []},
        "index": True,
        "tenant": "acme",
        "options": {"models": {"*": {"timeout": 90}}, "tools": {"search": {"timeout": 5}}},
        "recursion_limit": 50,
        "configurable": {"lang": "de"},
    }

    assert run_input(raw) == RunInput(
        agent="support",
        input={"messages": []},
        index=True,
        tenant="acme",
        models={"*": LONG},
        tools={"search": SHORT},
        raw_options=raw["options"],
        recursion_limit=50,
        configurable={"lang": "de"},
    )


@pytest.mark.parametrize(
    "start",
    [
        RunInput(agent="a"),
        RunInput(agent="a", input=[1], index=True, tenant="t", recursion_limit=9),
        RunInput(agent="a", configurable={"x": 1}),
        RunInput(
            agent="a",
            models={"m": LONG},
            raw_options={"models": {"m": {"timeout": 90}}},
        ),
    ],
    ids=lambda start: str(start.to_json()),
)
def test_a_run_survives_json(start):
    assert run_input(json.loads(json.dumps(start.to_json()))) == start


def test_what_equals_its_default_is_not_written():
    assert RunInput(agent="a").to_json() == {"agent": "a", "input": None}


def test_parts_of_a_later_version_are_ignored():
    assert run_input({"agent": "a", "colour": "red"}) == RunInput(agent="a")


@pytest.mark.parametrize(
    "name", ["input", "index", "tenant", "options", "recursion_limit", "configurable"]
)
def test_null_is_as_good_as_nothing(name):
    assert run_input({"agent": "a", name: None}) == RunInput(agent="a")


@pytest.mark.parametrize("raw", [None, 5, "support", [], [{"agent": "a"}], True], ids=repr)
def test_a_run_that_is_no_object_is_refused(raw):
    with pytest.raises(BadInput, match="the argument of a run must be a JSON object"):
        run_input(raw)


@pytest.mark.parametrize("agent", [None, "", 5, True, ["support"], {}], ids=repr)
def test_a_run_without_an_agent_is_refused_with_an_example(agent):
    with pytest.raises(BadInput, match=r'name the agent, as in \{"agent": "support"\}'):
        run_input({"agent": agent})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("recursion_limit", v) for v in (0, -1, 1.5, "25", True, [25])],
        *[("tenant", v) for v in (5, False, ["acme"], {"name": "acme"})],
        *[("index", v) for v in (1, 0, "yes", [], {})],
        *[("options", v) for v in (0, "", [], False, "x", [1])],
        *[("configurable", v) for v in (0, "", [], False, "x")],
    ],
    ids=repr,
)
def test_a_part_of_the_wrong_type_is_refused_by_name(name, value):
    with pytest.raises(BadInput, match=name):
        run_input({"agent": "a", name: value})


@pytest.mark.parametrize("kind", ["models", "tools"])
@pytest.mark.parametrize("value", [0, "", [], "all", [{}]], ids=repr)
def test_options_by_name_must_be_an_object(kind, value):
    with pytest.raises(BadInput, match=f"options.{kind} must be a JSON object"):
        run_input({"agent": "a", "options": {kind: value}})


@pytest.mark.parametrize("value", [None, 5, "fast", []], ids=repr)
def test_the_options_of_one_model_must_be_an_object(value):
    with pytest.raises(BadInput, match="options of a call"):
        run_input({"agent": "a", "options": {"models": {"m": value}}})


def test_an_unknown_option_of_one_tool_is_refused():
    with pytest.raises(BadOption, match="unknown option 'time_out'"):
        run_input({"agent": "a", "options": {"tools": {"t": {"time_out": 1}}}})


@pytest.mark.parametrize(
    ("name", "override"), [("m", SHORT), ("other", LONG)], ids=["by name", "by star"]
)
@pytest.mark.parametrize("kind", ["model", "tool"])
def test_a_call_gets_its_own_options_or_those_of_all(kind, name, override):
    start = RunInput(agent="a", **{f"{kind}s": {"m": SHORT, "*": LONG}})

    assert getattr(start, f"{kind}_override")(name) == override


@pytest.mark.parametrize("kind", ["model", "tool"])
def test_without_options_a_call_keeps_its_own(kind):
    assert getattr(RunInput(agent="a"), f"{kind}_override")("m") is KEEP


VALUES = (
    ModelCall(model="m", messages=[], options={}, attempt_timeout=2.5),
    ModelReply(message={"$": "ai"}),
    ModelReply(message={"$": "ai"}, faults=({"kind": "x"},), usage={"input_tokens": 1}),
    ToolCall(tool="t", args={"a": 1}),
    ToolCall(tool="t", args=None, call_id="c", key="k"),
)


@pytest.mark.parametrize("value", VALUES, ids=lambda v: f"{type(v).__name__} {len(v.to_json())}")
def test_a_call_and_its_reply_survive_json(value):
    assert type(value).from_json(json.loads(json.dumps(value.to_json()))) == value


@pytest.mark.parametrize("kind", [ModelCall, ModelReply, ToolCall])
@pytest.mark.parametrize("raw", [None, 5, "x", [], {}], ids=repr)
def test_what_is_no_call_is_refused(kind, raw):
    with pytest.raises(BadInput):
        kind.from_json(raw)


@pytest.mark.parametrize("limit", ["60", None, True, [60]], ids=repr)
def test_the_time_limit_of_a_model_call_is_a_number(limit):
    with pytest.raises(BadInput, match="attempt_timeout"):
        ModelCall.from_json({"model": "m", "messages": [], "attempt_timeout": limit})


@pytest.mark.parametrize("faults", [5, "x", {"kind": "x"}, ["x"], [None]], ids=repr)
def test_the_faults_of_a_reply_are_a_list_of_objects(faults):
    with pytest.raises(BadInput):
        ModelReply.from_json({"message": {}, "faults": faults})


def test_the_missing_part_is_named():
    with pytest.raises(BadInput, match="a tool call lacks 'tool'"):
        ToolCall.from_json({"args": {}})
