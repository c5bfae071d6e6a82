import pytest

from perdure.activity.schemas import Demand, Offer, Shape, demand, offer, problems, shape

SCHEMA = {
    "type": "object",
    "properties": {"amount": {"type": "integer"}},
    "required": ["amount"],
}


@pytest.mark.parametrize(
    "tool",
    [
        {"name": "refund", "input_schema": SCHEMA},
        {"type": "custom", "name": "refund", "input_schema": SCHEMA},
        {"type": "function", "function": {"name": "refund", "parameters": SCHEMA}},
        {"type": "function", "name": "refund", "parameters": SCHEMA},
        {"name": "refund", "parameters": SCHEMA},
        {"toolSpec": {"name": "refund", "inputSchema": {"json": SCHEMA}}},
    ],
    ids=["anthropic", "anthropic-custom", "openai", "openai-responses", "plain", "bedrock"],
)
def test_a_tool_is_read_in_every_wire_format(tool):
    assert offer({"tools": [tool]}) == Offer(schemas={"refund": SCHEMA}, complete=True)


@pytest.mark.parametrize(
    "tool",
    [
        {"type": "web_search_20250305", "name": "search"},
        {"type": "custom", "name": "search"},
        {"function_declarations": [{"name": "search", "parameters": {"type": "OBJECT"}}]},
    ],
    ids=["anthropic-server", "openai-custom", "gemini"],
)
def test_a_tool_whose_schema_only_the_provider_knows_has_none(tool):
    assert offer({"tools": [tool]}) == Offer(schemas={"search": None}, complete=True)


@pytest.mark.parametrize("tool", [{"type": "web_search_preview"}, "search", {}], ids=str)
def test_a_tool_without_a_name_leaves_the_offer_open(tool):
    assert offer({"tools": [tool, {"name": "refund"}]}) == Offer(
        schemas={"refund": None}, complete=False
    )


@pytest.mark.parametrize("kwargs", [{}, {"tools": []}, {"tools": None}], ids=str)
def test_a_call_without_tools_offers_none(kwargs):
    assert offer(kwargs) is None


@pytest.mark.parametrize(
    "choice",
    [
        "refund",
        {"type": "tool", "name": "refund"},
        {"type": "function", "name": "refund"},
        {"type": "function", "function": {"name": "refund"}},
    ],
    ids=str,
)
def test_one_tool_can_be_demanded(choice):
    assert demand({"tool_choice": choice}) == Demand(tool="refund")


@pytest.mark.parametrize(
    "choice",
    ["any", "required", True, {"type": "any"}, {"type": "allowed_tools", "mode": "required"}],
    ids=str,
)
def test_any_tool_can_be_demanded(choice):
    assert demand({"tool_choice": choice}) == Demand(tool=None)


@pytest.mark.parametrize(
    "choice", [None, "", "auto", "none", False, {"type": "auto"}, {"type": "none"}], ids=repr
)
def test_no_tool_is_demanded_where_the_model_may_choose(choice):
    assert demand({"tool_choice": choice}) is None


@pytest.mark.parametrize(
    "kwargs",
    [
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "x", "schema": SCHEMA},
            }
        },
        {"response_format": {"type": "json_schema", "name": "x", "schema": SCHEMA}},
        {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
        {"output_format": {"type": "json_schema", "schema": SCHEMA}},
    ],
    ids=["openai", "openai-responses", "anthropic", "anthropic-before"],
)
def test_a_demanded_shape_is_read_in_every_wire_format(kwargs):
    assert shape(kwargs) == Shape(schema=SCHEMA)


def test_any_json_can_be_demanded():
    assert shape({"response_format": {"type": "json_object"}}) == Shape(schema=None)


@pytest.mark.parametrize(
    "kwargs",
    [{}, {"response_format": {"type": "text"}}, {"response_format": int}, {"output_config": {}}],
    ids=str,
)
def test_no_shape_is_demanded_of_a_text(kwargs):
    assert shape(kwargs) is None


def test_what_fits_has_no_problems():
    assert problems({"amount": 1}, schema=SCHEMA) == ()


def test_a_problem_names_its_place():
    schema = {"properties": {"items": {"items": SCHEMA}}}

    assert problems({"items": [{"amount": "x"}]}, schema=schema) == (
        "items[0].amount: 'x' is not of type 'integer'",
    )


def test_a_problem_of_the_whole_has_no_place():
    assert problems({}, schema=SCHEMA) == ("'amount' is a required property",)


def test_only_three_problems_are_named():
    schema = {"required": ["a", "b", "c", "d", "e"]}

    assert len(problems({}, schema=schema)) == 3


def test_a_long_value_is_quoted_in_part():
    (problem,) = problems({"amount": "x" * 10_000}, schema=SCHEMA)

    assert len(problem) < 200


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "no such type"},
        {"properties": 5},
        {"$ref": "#/$defs/missing"},
        {"$ref": "http://127.0.0.1:9/schema.json"},
    ],
    ids=str,
)
def test_a_broken_schema_is_nothing_the_model_could_mend(schema):
    assert problems({"amount": "x"}, schema=schema) == ()


def test_a_schema_is_never_loaded_from_the_network(monkeypatch):
    asked = []
    monkeypatch.setattr("urllib.request.urlopen", lambda request, **_: asked.append(request))
    problems({}, schema={"$ref": "http://127.0.0.1:9/elsewhere.json"})

    assert asked == []


def test_a_reference_within_the_schema_is_followed():
    schema = {"$ref": "#/$defs/Refund", "$defs": {"Refund": SCHEMA}}

    assert problems({}, schema=schema) == ("'amount' is a required property",)
