from collections.abc import AsyncIterator
from typing import Any

import pytest
from langchain_core.language_models import FakeListChatModel, GenericFakeChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage
from langchain_core.messages.tool import invalid_tool_call, tool_call, tool_call_chunk
from langchain_core.outputs import ChatGenerationChunk

from perdure.activity.replies import check, collect

SCHEMA = {"type": "object", "properties": {"amount": {"type": "integer"}}, "required": ["amount"]}
REFUND = {"name": "refund", "input_schema": SCHEMA}
TOOLS = {"tools": [REFUND]}
JSON = {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}}
ASKED = [HumanMessage("Refund it.")]


def answer(content: Any = "", *, stop: str | None = "end_turn", **fields: Any) -> AIMessage:
    metadata = {"model_provider": "anthropic"} | ({"stop_reason": stop} if stop else {})
    return AIMessage(content, response_metadata=metadata, **fields)


def calling(*args: dict[str, Any], name: str = "refund", stop: str = "tool_use") -> AIMessage:
    calls = [tool_call(name=name, args=one, id=f"c{n}") for n, one in enumerate(args)]
    return answer(tool_calls=calls, stop=stop)


def kinds(message: AIMessage, kwargs: dict[str, Any]) -> list[str]:
    return [fault.kind for fault in check(message, kwargs)]


def test_a_text_has_no_faults():
    assert check(answer("Hello."), {}) == ()


def test_a_tool_call_that_fits_has_no_faults():
    assert check(calling({"amount": 1}), TOOLS) == ()


@pytest.mark.parametrize(
    "metadata",
    [
        {"model_provider": "anthropic"},
        {"model_provider": "openai"},
        {"model_provider": "anthropic", "stop_reason": None},
        {"finish_reason": None},
        {"stop_reason": ""},
    ],
    ids=str,
)
def test_an_answer_that_owes_a_stop_reason_broke_off(metadata):
    assert kinds(AIMessage("Hal", response_metadata=metadata), {}) == ["no_stop_reason"]


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"model_provider": "homemade"},
        {"finish_reason": "STOP"},
        {"model_provider": "openai", "finish_reason": "stop"},
        {"model_provider": "openai", "status": "completed"},
    ],
    ids=str,
)
def test_an_answer_that_owes_none_or_has_one_is_whole(metadata):
    assert check(AIMessage("Whole.", response_metadata=metadata), {}) == ()


def test_breaking_off_is_the_only_fault_of_an_answer_that_broke_off():
    message = calling({"amount": "x"}, name="unknown")
    message.response_metadata = {"model_provider": "openai"}

    assert kinds(message, TOOLS) == ["no_stop_reason"]


def test_each_tool_call_is_checked():
    faults = check(calling({"amount": 1}, {}, {"amount": "x"}), TOOLS)

    assert [(fault.kind, fault.tool_call_id) for fault in faults] == [
        ("bad_arguments", "c1"),
        ("bad_arguments", "c2"),
    ]


def test_a_tool_that_is_not_offered_is_unknown():
    assert kinds(calling({"amount": 1}, name="delete"), TOOLS) == ["unknown_tool"]


def test_a_tool_may_be_one_of_the_provider():
    kwargs = {"tools": [REFUND, {"type": "web_search_20250305", "name": "web_search"}]}

    assert check(calling({"query": 1}, name="web_search"), kwargs) == ()


def test_a_name_is_not_judged_where_not_all_names_are_known():
    kwargs = {"tools": [REFUND, {"type": "computer_use_preview"}]}

    assert check(calling({}, name="computer"), kwargs) == ()


def test_a_name_is_not_judged_where_the_call_binds_no_tools():
    assert check(calling({}, name="anything"), {}) == ()


@pytest.mark.parametrize("stop", ["max_tokens", "length", "model_context_window_exceeded"])
def test_the_last_tool_call_before_the_token_limit_may_be_cut(stop):
    faults = check(calling({"amount": 1}, {"amount": 2}, stop=stop), TOOLS)

    assert [(fault.kind, fault.tool_call_id) for fault in faults] == [("cut_arguments", "c1")]


def test_the_token_limit_of_the_responses_api_is_seen():
    message = calling({"amount": 1})
    message.response_metadata = {
        "model_provider": "openai",
        "status": "incomplete",
        "incomplete_details": {"reason": "max_output_tokens"},
    }

    assert kinds(message, TOOLS) == ["cut_arguments"]


def test_a_text_at_the_token_limit_is_no_fault():
    assert check(answer("A long", stop="max_tokens"), TOOLS) == ()


def test_arguments_that_could_not_be_read_are_bad():
    broken = invalid_tool_call(name="refund", args='{"amount": ', id="c1", error=None)
    (fault,) = check(answer(invalid_tool_calls=[broken], stop="tool_use"), TOOLS)

    assert (fault.kind, fault.tool, fault.tool_call_id) == ("bad_arguments", "refund", "c1")


@pytest.mark.parametrize(
    "choice", ["any", "required", {"type": "tool", "name": "refund"}, {"type": "any"}], ids=str
)
def test_a_text_where_a_tool_call_was_demanded_is_a_fault(choice):
    assert kinds(answer("Sure!"), {**TOOLS, "tool_choice": choice}) == ["no_tool_call"]


def test_a_broken_tool_call_is_not_also_a_missing_one():
    broken = invalid_tool_call(name="refund", args="{", id="c1", error=None)
    message = answer(invalid_tool_calls=[broken], stop="tool_use")

    assert kinds(message, {**TOOLS, "tool_choice": "any"}) == ["bad_arguments"]


@pytest.mark.parametrize(
    "message",
    [
        answer("", stop="refusal"),
        AIMessage("", response_metadata={"finish_reason": "content_filter"}),
        answer("", additional_kwargs={"refusal": "I cannot."}),
        answer([{"type": "refusal", "refusal": "I cannot."}], stop="completed"),
    ],
    ids=["anthropic", "openai-filter", "openai", "openai-responses"],
)
@pytest.mark.parametrize("kwargs", [JSON, {**TOOLS, "tool_choice": "any"}], ids=["json", "tool"])
def test_a_refusal_is_an_answer(message, kwargs):
    assert check(message, kwargs) == ()


@pytest.mark.parametrize("content", ["Sure!", "", "{", '{"amount": "x"}', '["amount"]', "```json"])
def test_a_text_that_is_not_the_demanded_json_is_unparsable(content):
    assert kinds(answer(content), JSON) == ["unparsable"]


@pytest.mark.parametrize(
    "content",
    [
        '{"amount": 1}',
        [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": '{"amount": 1}'}],
    ],
    ids=["text", "blocks"],
)
def test_the_demanded_json_has_no_faults(content):
    assert check(answer(content), JSON) == ()


def test_a_tool_call_on_the_way_to_the_demanded_json_has_no_faults():
    assert check(calling({"amount": 1}), {**TOOLS, **JSON}) == ()


class Streaming(FakeListChatModel):
    """A model that streams given chunks."""

    chunks: list[AIMessageChunk]
    streaming: bool = True
    responses: list[str] = ["not streamed"]  # noqa: RUF012 - a pydantic field

    async def _astream(self, *_args: Any, **_kwargs: Any) -> AsyncIterator[ChatGenerationChunk]:
        for chunk in self.chunks:
            yield ChatGenerationChunk(message=chunk.model_copy(deep=True))


def spoken(*pieces: str | None) -> list[AIMessageChunk]:
    """Stream a tool call whose raw arguments come in pieces."""
    return [
        AIMessageChunk(
            "",
            tool_call_chunks=[
                tool_call_chunk(
                    name=None if number else "refund",
                    args=piece,
                    id=None if number else "c1",
                    index=0,
                )
            ],
        )
        for number, piece in enumerate(pieces)
    ]


async def test_a_model_that_does_not_stream_is_asked_at_once():
    model = GenericFakeChatModel(messages=iter([AIMessage("Hello.")]))

    assert (await collect(model, ASKED)).content == "Hello."


async def test_a_streaming_model_is_streamed():
    model = Streaming(chunks=[AIMessageChunk("Hel"), AIMessageChunk("lo.")])

    assert (await collect(model, ASKED)).content == "Hello."


async def test_a_streamed_answer_is_a_whole_message():
    model = Streaming(chunks=[AIMessageChunk("Hello.")])

    assert type(await collect(model, ASKED)) is AIMessage


async def test_a_binding_over_a_streaming_model_is_streamed():
    model = Streaming(chunks=[AIMessageChunk("Hello.")]).bind(stop=["x"]).with_config(tags=["t"])

    assert (await collect(model, ASKED)).content == "Hello."


async def test_a_model_whose_streaming_is_disabled_is_asked_at_once():
    model = Streaming(chunks=[AIMessageChunk("Hello.")], disable_streaming=True)

    assert (await collect(model, ASKED)).content == "not streamed"


@pytest.mark.parametrize(
    ("pieces", "args"),
    [
        (['{"amo', 'unt": 1', "}"], {"amount": 1}),
        (["", "{}"], {}),
        ([""], {}),
        ([None], {}),
        (['{"text": "two\nlines"}'], {"text": "two\nlines"}),
    ],
    ids=str,
)
async def test_streamed_arguments_that_are_whole_are_read(pieces, args):
    message = await collect(Streaming(chunks=spoken(*pieces)), ASKED)

    assert [call["args"] for call in message.tool_calls] == [args]


@pytest.mark.parametrize(
    "pieces",
    [['{"amount": 1', "0"], ['{"charge": "ch_1'], ["{"], ["[1]"], ['"x"'], ['{"a": 1 "b": 2}']],
    ids=str,
)
async def test_streamed_arguments_that_were_cut_are_not_mended(pieces):
    message = await collect(Streaming(chunks=spoken(*pieces)), ASKED)

    assert (message.tool_calls, message.invalid_tool_calls[0]["args"]) == ([], "".join(pieces))


async def test_a_broken_streamed_call_keeps_name_and_id():
    message = await collect(Streaming(chunks=spoken('{"amount": 1')), ASKED)
    (call,) = message.invalid_tool_calls

    assert (call["name"], call["id"]) == ("refund", "c1")


async def test_one_broken_streamed_call_leaves_the_others():
    other = tool_call_chunk(name="search", args='{"q": "x"}', id="c2", index=1)
    chunks = [*spoken('{"amount": 1'), AIMessageChunk("", tool_call_chunks=[other])]
    message = await collect(Streaming(chunks=chunks), ASKED)

    assert [call["name"] for call in message.tool_calls] == ["search"]


async def test_what_a_provider_says_at_the_end_of_a_stream_is_kept():
    last = AIMessageChunk("", response_metadata={"stop_reason": "end_turn"})
    message = await collect(Streaming(chunks=[AIMessageChunk("Hello."), last]), ASKED)

    assert message.response_metadata["stop_reason"] == "end_turn"


async def test_a_stream_without_a_chunk_is_a_lost_connection():
    with pytest.raises(ConnectionError, match="before its first chunk"):
        await collect(Streaming(chunks=[]), ASKED)


async def test_any_other_error_of_a_stream_passes_through():
    class Failing(Streaming):
        async def _astream(self, *args: Any, **kwargs: Any) -> AsyncIterator[ChatGenerationChunk]:
            raise ValueError("the request is wrong")
            yield

    with pytest.raises(ValueError, match="the request is wrong"):
        await collect(Failing(chunks=[]), ASKED)
