"""What can go wrong with one request to a model provider, as a table.

Nearly all faults are made by llmock, a third-party server that speaks the wire protocols of
Anthropic and OpenAI. What it cannot say comes from `RawServer`: a `Retry-After` without
llmock's own `retry-after-ms`, an HTTP date, `x-should-retry`, an error event in the middle of
a stream, a page of HTML, a connection that closes before or within a plain answer, and tool
arguments that are complete but not JSON.
"""

import json
import socket
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, Literal

from langchain_anthropic import ChatAnthropic
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, HumanMessage
from langchain_openai import ChatOpenAI
from llmock.completion import Completion, ToolCallOut
from llmock.pytest_plugin import LLMock
from llmock.scenarios import Reply, ToolCall
from llmock.streaming import anthropic_events, openai_chat_chunks

from integration.raw_server import RawServer
from perdure.activity.failure import classify
from perdure.activity.provider import tune
from perdure.activity.replies import check, collect
from perdure.core.replies import Fault, FaultKind, judge_faults
from perdure.core.verdicts import OVERLOAD_PAUSE, Act, Verdict

Provider = Literal["anthropic", "openai", "openai-responses"]
CHAT: tuple[Provider, ...] = ("anthropic", "openai")
PROVIDERS: tuple[Provider, ...] = (*CHAT, "openai-responses")
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
"""The clock of an attempt; HTTP dates of the table are written against it."""

REFUND = {
    "title": "refund",
    "description": "Refund a charge.",
    "type": "object",
    "properties": {"charge_id": {"type": "string"}, "amount": {"type": "integer"}},
    "required": ["charge_id", "amount"],
    "additionalProperties": False,
}
GOOD_ARGS = {"charge_id": "ch_1234567890", "amount": 42}
GOOD_JSON = json.dumps(GOOD_ARGS)
SPOKEN = '{"charge_id": "ch_1234567890" "amount": 42}'


@dataclass(frozen=True, kw_only=True)
class Peers:
    """The servers that a row may use, and what reached them."""

    llmock: LLMock
    raw: RawServer

    @property
    def requests(self) -> int:
        return len(self.llmock.requests) + self.raw.served


Arrange = Callable[[Peers, Provider], str | None]
"""Prepare the fault for one request; return the base URL, or None for llmock's own."""

Kwargs = dict[str, Any]
Bind = Callable[[BaseChatModel], Kwargs]


@dataclass(frozen=True, kw_only=True)
class Expected:
    """How one attempt must end."""

    act: Act | None
    """None is an answer without faults."""
    after: timedelta | None = None
    faults: tuple[FaultKind, ...] = ()
    requests: int = 1


@dataclass(frozen=True, kw_only=True)
class Row:
    """One fault, and how an attempt that meets it must end."""

    id: str
    arrange: Arrange
    expected: Expected
    streaming: bool = False
    bind: Bind = lambda _model: {}
    timeout: timedelta = timedelta(seconds=20)
    passes: bool = True
    """Whether the next request is answered properly."""
    providers: tuple[Provider, ...] = PROVIDERS

    def base_url(self, peers: Peers, provider: Provider) -> str:
        return self.arrange(peers, provider) or peers.llmock.base_url(_company(provider))


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How one attempt ended."""

    verdict: Verdict | None
    faults: tuple[Fault, ...] = ()
    message: AIMessage | None = None
    error: Exception | None = field(default=None, repr=False)


async def attempt(
    model: BaseChatModel, *, kwargs: Kwargs, timeout: timedelta, now: datetime = NOW
) -> Outcome:
    """Do what one attempt of the model activity does."""
    tuned = tune(model, timeout=timeout)
    bound = tuned.bind(**kwargs) if kwargs else tuned
    try:
        message = await collect(bound, [HumanMessage("Refund my order, please.")])
    except Exception as error:  # noqa: BLE001 - judging all of them is what is tested
        return Outcome(verdict=classify(error, now=now, kind="model"), error=error)
    faults = check(message, kwargs)
    return Outcome(verdict=judge_faults(faults), faults=faults, message=message)


def chat(provider: Provider, *, base_url: str, streaming: bool = False) -> BaseChatModel:
    """Build the client as a user would, with its default of two retries of its own."""
    if provider == "anthropic":
        return ChatAnthropic(
            model="claude-sonnet-4-6", base_url=base_url, api_key="test", streaming=streaming
        )
    return ChatOpenAI(
        model="gpt-4o",
        base_url=base_url,
        api_key="test",
        streaming=streaming,
        use_responses_api=provider == "openai-responses",
    )


def _company(provider: Provider) -> str:
    return provider.partition("-")[0]


def with_tool(model: BaseChatModel) -> Kwargs:
    return _bound(model.bind_tools([REFUND]))


def with_forced_tool(model: BaseChatModel) -> Kwargs:
    return _bound(model.with_structured_output(REFUND, method="function_calling").first)


def with_json_schema(model: BaseChatModel) -> Kwargs:
    return _bound(model.with_structured_output(REFUND, method="json_schema").first)


def _bound(binding: Any) -> Kwargs:
    kwargs = {key: v for key, v in binding.kwargs.items() if key != "ls_structured_output_format"}
    return json.loads(json.dumps(kwargs))


def _error(provider: Provider, kind: str = "server_error") -> bytes:
    error = {"type": kind, "message": "Scripted failure."}
    outer = {"type": "error"} if provider == "anthropic" else {}
    return json.dumps({**outer, "error": error}).encode()


def _raw(status: int, headers: Mapping[str, str], *, html: bool = False) -> Arrange:
    def arrange(peers: Peers, provider: Provider) -> str:
        body = b"<html>Bad gateway</html>" if html else _error(provider)
        kind = "text/html" if html else "application/json"
        peers.raw.answer(status, body, headers={"content-type": kind, **headers})
        return peers.raw.base_url(_company(provider))

    return arrange


def _events(provider: Provider, completion: Completion) -> Iterable[bytes]:
    if provider == "anthropic":
        return anthropic_events(completion, message_id="msg_1", model="claude-sonnet-4-6")
    return openai_chat_chunks(completion, completion_id="chatcmpl-1", model="gpt-4o")


def _stream(peers: Peers, provider: Provider, events: Iterable[bytes]) -> str:
    peers.raw.answer(200, b"".join(events), headers={"content-type": "text/event-stream"})
    return peers.raw.base_url(_company(provider))


def _error_in_stream(kind: str) -> Arrange:
    def arrange(peers: Peers, provider: Provider) -> str:
        prose = Completion("Half an", (), "stop", prompt_tokens=1, completion_tokens=1)
        name = b"event: error\n" if provider == "anthropic" else b""
        error = name + b"data: " + _error(provider, kind) + b"\n\n"
        return _stream(peers, provider, [*list(_events(provider, prose))[:3], error])

    return arrange


def _answers_bytes(answer: bytes) -> Arrange:
    def arrange(peers: Peers, provider: Provider) -> str:
        peers.raw.answer_bytes(answer)
        return peers.raw.base_url(_company(provider))

    return arrange


def _misspoken_call(peers: Peers, provider: Provider) -> str:
    calls = (ToolCallOut(id="call_1", name="refund", arguments=SPOKEN),)
    completion = Completion("", calls, "tool_calls", prompt_tokens=1, completion_tokens=1)
    return _stream(peers, provider, _events(provider, completion))


def _refuse(_peers: Peers, _provider: Provider) -> str:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{unused.getsockname()[1]}"


def _mock(script: Callable[[LLMock], object]) -> Arrange:
    def arrange(peers: Peers, _provider: Provider) -> None:
        script(peers.llmock)

    return arrange


def _fails(status: int, **how: Any) -> Arrange:
    return _mock(lambda mock: mock.fail(status, **how))


def _calls(arguments: dict[str, Any], *, finish: str | None = None) -> Arrange:
    reply = Reply(tool_calls=(ToolCall("refund", arguments),), finish_reason=finish)
    return _mock(lambda mock: mock.add(reply))


def _cut_call(mock: LLMock) -> None:
    mock.call_tool("refund", GOOD_ARGS).break_tool_call("malformed_arguments")


def _prose_then_json(mock: LLMock) -> None:
    mock.reply("Sure!").reply(GOOD_JSON)


def _seconds(value: float) -> timedelta:
    return timedelta(seconds=value)


_JSON_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
HALF_ANSWER = _JSON_HEAD + b'content-length: 500\r\n\r\n{"id": "x", "con'
HALF_JSON = _JSON_HEAD + b'content-length: 16\r\n\r\n{"id": "x", "con'
GOOD = Expected(act=None)
RETRY = Expected(act="retry")
GIVE_UP = Expected(act="give_up")
CUT_OFF = Expected(act="retry", faults=("no_stop_reason",))
BAD_ARGUMENTS = Expected(act="back_to_model", faults=("bad_arguments",))
CUT_ARGUMENTS = Expected(act="back_to_model", faults=("cut_arguments",))
NO_TOOL_CALL = Expected(act="back_to_model", faults=("no_tool_call",))
UNPARSABLE = Expected(act="back_to_model", faults=("unparsable",))
IN_10_S = format_datetime(NOW + _seconds(10), usegmt=True)


def _retry(after: float) -> Expected:
    return Expected(act="retry", after=_seconds(after))


def _row(id: str, arrange: Arrange, expected: Expected, **how: Any) -> Row:
    return Row(id=id, arrange=arrange, expected=expected, **how)


def _streamed(id: str, arrange: Arrange, expected: Expected, **how: Any) -> Row:
    return Row(id=id, arrange=arrange, expected=expected, streaming=True, **how)


ANSWERS = (
    _row("a text", _mock(lambda m: m.reply("Done.")), GOOD),
    _streamed("a streamed text", _mock(lambda m: m.reply("Done.")), GOOD),
    _row("a tool call", _calls(GOOD_ARGS), GOOD, bind=with_tool),
    _streamed("a streamed tool call", _calls(GOOD_ARGS), GOOD, bind=with_tool),
    _row("a forced tool call", _calls(GOOD_ARGS), GOOD, bind=with_forced_tool),
    _row("JSON", _mock(lambda m: m.reply(GOOD_JSON, times=2)), GOOD, bind=with_json_schema),
    _streamed(
        "streamed JSON",
        _mock(lambda m: m.reply(GOOD_JSON, times=2)),
        GOOD,
        bind=with_json_schema,
    ),
)
STATUSES = (
    _row("429 with Retry-After in seconds", _raw(429, {"retry-after": "7"}), _retry(7)),
    _row("429 with Retry-After as a date", _raw(429, {"retry-after": IN_10_S}), _retry(10)),
    _row("429 with retry-after-ms", _fails(429, retry_after=0.25), _retry(0.25)),
    _row("429 without a wait", _raw(429, {}), RETRY),
    _row("429 with Retry-After beyond reason", _raw(429, {"retry-after": "1e9"}), _retry(3600)),
    _row("429 with a spent quota", _fails(429, code="insufficient_quota"), GIVE_UP),
    _row("429 with x-should-retry: false", _raw(429, {"x-should-retry": "false"}), GIVE_UP),
    _row("400 with x-should-retry: true", _raw(400, {"x-should-retry": "true"}), RETRY),
    _row("529", _fails(529), _retry(OVERLOAD_PAUSE.total_seconds())),
    _row("529 with a long Retry-After", _fails(529, retry_after=20), _retry(20)),
    _row("500", _fails(500), RETRY),
    _row("502", _fails(502), RETRY),
    _row("502 of a proxy, in HTML", _raw(502, {}, html=True), RETRY),
    _row("503", _fails(503), _retry(1)),
    _row("504", _fails(504), _retry(1)),
    _row("408", _fails(408), RETRY),
    _row("409", _fails(409), RETRY),
    _streamed("429 to a stream", _fails(429, retry_after=3), _retry(3)),
    _row("400", _fails(400), GIVE_UP),
    _row("400 for too long a prompt", _mock(lambda m: m.context_overflow()), GIVE_UP),
    _row("401", _fails(401), GIVE_UP),
    _row("403", _fails(403), GIVE_UP),
    _row("404", _fails(404), GIVE_UP),
    _row("413", _fails(413), GIVE_UP),
    _row("422", _fails(422), GIVE_UP),
    _streamed("401 to a stream", _fails(401), GIVE_UP),
)
TRANSPORT = (
    _row("connection refused", _refuse, Expected(act="retry", requests=0), passes=False),
    _row("closed without an answer", _answers_bytes(b""), RETRY),
    _row("closed within the answer", _answers_bytes(HALF_ANSWER), RETRY),
    _row("an answer of half its JSON", _answers_bytes(HALF_JSON), RETRY),
    _row("read timeout", _mock(lambda m: m.delay(1.8)), RETRY, timeout=_seconds(1)),
    _streamed("stream dropped", _mock(lambda m: m.disconnect(after_chunks=3)), RETRY),
    _streamed("stream dropped at once", _mock(lambda m: m.disconnect(after_chunks=0)), RETRY),
    _streamed("stream stalled", _mock(lambda m: m.stall(seconds=30)), RETRY, timeout=_seconds(1)),
    _streamed("stream corrupt", _mock(lambda m: m.corrupt(after_chunks=3)), RETRY),
    _streamed("stream ended early", _mock(lambda m: m.truncate(after_chunks=4)), CUT_OFF),
    _streamed("stream ended at once", _mock(lambda m: m.truncate(after_chunks=0)), RETRY),
    _streamed(
        "stream ended in a tool call",
        _mock(lambda m: m.call_tool("refund", GOOD_ARGS).truncate(after_chunks=4)),
        CUT_OFF,
        bind=with_tool,
    ),
    _streamed(
        "overloaded in the stream", _error_in_stream("overloaded_error"), _retry(5), providers=CHAT
    ),
    _streamed(
        "server error in the stream", _error_in_stream("server_error"), RETRY, providers=CHAT
    ),
    _streamed(
        "bad request in the stream",
        _error_in_stream("invalid_request_error"),
        GIVE_UP,
        providers=CHAT,
    ),
)
MISTAKES = (
    _row("tool JSON cut", _mock(_cut_call), BAD_ARGUMENTS, bind=with_tool),
    _streamed("streamed tool JSON cut", _mock(_cut_call), BAD_ARGUMENTS, bind=with_tool),
    _streamed(
        "streamed tool JSON malformed",
        _misspoken_call,
        BAD_ARGUMENTS,
        bind=with_tool,
        providers=CHAT,
    ),
    _row("a tool argument missing", _calls({"amount": 1}), BAD_ARGUMENTS, bind=with_tool),
    _row(
        "a tool argument of the wrong type",
        _calls({"charge_id": "ch_1", "amount": "all of it"}),
        BAD_ARGUMENTS,
        bind=with_tool,
    ),
    _row(
        "a tool call at the token limit",
        _calls(GOOD_ARGS, finish="length"),
        CUT_ARGUMENTS,
        bind=with_tool,
    ),
    _row(
        "an unknown tool",
        _mock(lambda m: m.break_tool_call("unknown_tool")),
        Expected(act="back_to_model", faults=("unknown_tool",)),
        bind=with_tool,
    ),
    _row(
        "prose for a forced tool",
        _mock(lambda m: m.reply("Sure!")),
        NO_TOOL_CALL,
        bind=with_forced_tool,
    ),
    _row("prose for JSON", _mock(_prose_then_json), UNPARSABLE, bind=with_json_schema),
    _streamed(
        "streamed prose for JSON",
        _mock(_prose_then_json),
        UNPARSABLE,
        bind=with_json_schema,
    ),
    _row(
        "JSON of the wrong shape",
        _mock(lambda m: m.reply('{"charge_id": "ch_1"}').reply(GOOD_JSON)),
        UNPARSABLE,
        bind=with_json_schema,
    ),
)
ROWS: tuple[Row, ...] = (*ANSWERS, *STATUSES, *TRANSPORT, *MISTAKES)
CASES = tuple((row, provider) for row in ROWS for provider in row.providers)
