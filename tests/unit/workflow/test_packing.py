import json
from dataclasses import replace
from datetime import timedelta

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from pydantic import BaseModel

from perdure.core.options import MODEL_OPTIONS
from perdure.core.wire import PAYLOAD_LIMIT, ModelReply
from perdure.errors import PayloadTooLarge, Unserializable, UsageError
from perdure.storage.values import ValueCodec
from perdure.workflow.packing import fit, pack_model_call, pack_tool_call, unpack_model_reply

CODEC = ValueCodec()


class Answer(BaseModel):
    """The final answer."""

    text: str


def model_call(messages: object = (), **options: object):
    return pack_model_call(CODEC, model="m", messages=messages, options=options, call=MODEL_OPTIONS)


def tool_call(args: object):
    return pack_tool_call(CODEC, tool="t", args=args, call_id="c1", key="k1")


def test_a_model_call_is_json():
    packed = model_call([HumanMessage("x")], tools=[{"name": "t"}], stop=("a",))

    assert json.loads(json.dumps(packed)) == packed


def test_a_model_call_names_the_model():
    assert model_call()["model"] == "m"


def test_a_model_call_carries_its_messages():
    packed = model_call([HumanMessage("x"), AIMessage("y")])

    assert CODEC.decode(packed["messages"]) == [HumanMessage("x"), AIMessage("y")]


def test_an_attempt_is_limited_in_seconds():
    call = replace(MODEL_OPTIONS, timeout=timedelta(minutes=1.5))
    packed = pack_model_call(CODEC, model="m", messages=[], options={}, call=call)

    assert packed["attempt_timeout"] == 90.0


def test_an_option_that_is_none_stays_behind():
    assert CODEC.decode(model_call(stop=None, top_k=0)["options"]) == {"top_k": 0}


def test_a_bound_class_crosses_as_its_schema():
    bound = CODEC.decode(model_call(response_format=Answer)["options"])["response_format"]

    assert (bound["type"], bound["json_schema"]["name"]) == ("json_schema", "Answer")


def test_the_schema_of_a_bound_class_has_its_fields():
    bound = CODEC.decode(model_call(response_format=Answer)["options"])["response_format"]

    assert bound["json_schema"]["schema"]["required"] == ["text"]


def test_another_bound_class_is_refused():
    with pytest.raises(UsageError, match="bind a JSON schema instead"):
        model_call(response_format=int)


def test_an_option_without_a_json_form_is_refused_by_name():
    with pytest.raises(Unserializable, match=r"options of the call of model 'm'\.client"):
        model_call(client=object())


def test_a_tool_call_is_json():
    packed = tool_call({"when": ("a", b"x")})

    assert json.loads(json.dumps(packed)) == packed


def test_a_tool_call_carries_its_arguments():
    assert CODEC.decode(tool_call({"a": (1,)})["args"]) == {"a": (1,)}


def test_a_tool_call_names_the_call_and_its_key():
    packed = tool_call({})

    assert (packed["call_id"], packed["key"]) == ("c1", "k1")


def test_an_argument_without_a_json_form_is_refused_by_name():
    with pytest.raises(Unserializable, match=r"arguments of tool 't'\.store"):
        tool_call({"store": object()})


def test_a_reply_is_a_real_message_again():
    raw = ModelReply(message=CODEC.encode(AIMessage("hi"), what="")).to_json()

    assert unpack_model_reply(CODEC, raw)[0] == AIMessage("hi")


def test_the_facts_about_a_reply_come_along():
    raw = ModelReply(message={"$": "ai", "content": ""}, usage={"input_tokens": 3}).to_json()

    assert unpack_model_reply(CODEC, raw)[1].usage == {"input_tokens": 3}


def test_what_just_fits_is_carried():
    fit(CODEC, "x" * (PAYLOAD_LIMIT - 2), what="it")  # and two quotes


@pytest.mark.parametrize("text", ["x" * (PAYLOAD_LIMIT - 1), "ß" * 1_000_000], ids=["one", "utf-8"])
def test_what_does_not_fit_is_refused_with_its_size(text):
    with pytest.raises(
        PayloadTooLarge, match=r"it takes [12],\d{3},\d{3} bytes; at most 1,900,000"
    ):
        fit(CODEC, text, what="it")
