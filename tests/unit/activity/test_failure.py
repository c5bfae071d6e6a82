import asyncio
import json
import smtplib
import socket
import sqlite3
import ssl
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import aiosmtplib
import httpx
import httpx2
import pydantic
import pytest
from langchain_core.exceptions import ModelRateLimitError, OutputParserException
from langchain_core.tools import ToolException
from temporalio.exceptions import ApplicationError

from perdure.activity.failure import classify
from perdure.core.verdicts import Verdict
from perdure.errors import BadInput, EffectUnknown, ServerUnavailable

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
KINDS = ("model", "tool")
every_kind = pytest.mark.parametrize("kind", KINDS)


def act(error: BaseException, *, kind: str = "tool") -> str:
    return classify(error, now=NOW, kind=kind).act


def foreign(path: str, *, base: type[Exception] = Exception, **attributes: object) -> Exception:
    """Make an exception as another package would raise it: `path` is package.Class."""
    module, _, name = path.rpartition(".")
    error = type(name, (base,), {"__module__": module})("it failed")
    for attribute, value in attributes.items():
        setattr(error, attribute, value)
    return error


def caused(error: Exception, by: BaseException) -> Exception:
    error.__cause__ = by
    return error


def answered(status: int, headers: dict[str, str] | None = None) -> httpx.HTTPStatusError:
    request = httpx.Request("POST", "https://api.example/refunds?api_key=s3cret")
    response = httpx.Response(status, headers=headers, request=request)
    return httpx.HTTPStatusError("no", request=request, response=response)


def unreadable() -> pydantic.ValidationError:
    try:
        pydantic.TypeAdapter(int).validate_python("x")
    except pydantic.ValidationError as error:
        return error
    raise AssertionError


class Declaring(Exception):
    def __init__(self, **attributes: object) -> None:
        super().__init__("declared")
        self.__dict__.update(attributes)


@every_kind
@pytest.mark.parametrize(
    "error",
    [
        ConnectionResetError(),
        BrokenPipeError(),
        TimeoutError(),
        asyncio.IncompleteReadError(b"", 5),
        socket.gaierror(-3, "try again"),
        ssl.SSLError("handshake"),
        httpx.ConnectError("no"),
        httpx.ReadTimeout("no"),
        httpx2.RemoteProtocolError("no"),
        httpx2.ReadTimeout("no"),
        foreign("aiohttp.client_exceptions.ClientConnectionError"),
        foreign("requests.exceptions.ConnectionError", base=OSError),
        foreign("urllib3.exceptions.ProtocolError"),
        foreign("botocore.exceptions.HTTPClientError"),
        foreign("openai.APIConnectionError"),
        sqlite3.OperationalError("database is locked"),
        ServerUnavailable("no server"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_failed_connection_is_tried_again(error, kind):
    assert act(error, kind=kind) == "retry"


@every_kind
@pytest.mark.parametrize(
    "error",
    [
        TypeError("x"),
        AttributeError("x"),
        NameError("x"),
        AssertionError("x"),
        NotImplementedError("x"),
        ImportError("x"),
        SyntaxError("x"),
        KeyError("x"),
        IndexError("x"),
        ValueError("x"),
        ZeroDivisionError("x"),
        RecursionError("x"),
        UnicodeDecodeError("utf-8", b"", 0, 1, "x"),
        httpx.UnsupportedProtocol("x"),
        ssl.SSLCertVerificationError("x"),
        sqlite3.OperationalError("no such table: t"),
        sqlite3.IntegrityError("UNIQUE constraint failed"),
        BadInput("x"),
        foreign("openai.ContentFilterFinishReasonError"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_mistake_in_the_code_or_the_request_is_final(error, kind):
    assert act(error, kind=kind) == "give_up"


@every_kind
@pytest.mark.parametrize("error", [RuntimeError("x"), Exception("x"), OSError("x")], ids=repr)
def test_what_nobody_can_tell_is_tried_again(error, kind):
    assert act(error, kind=kind) == "retry"


@pytest.mark.parametrize(
    ("error", "model", "tool"),
    [
        (json.JSONDecodeError("x", "{", 1), "retry", "give_up"),
        (unreadable(), "back_to_model", "give_up"),
        (OutputParserException("x"), "back_to_model", "give_up"),
        (foreign("openai.LengthFinishReasonError"), "back_to_model", "retry"),
        (ToolException("x"), "back_to_model", "back_to_model"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else value,
)
def test_some_errors_mean_different_things_in_models_and_tools(error, model, tool):
    assert [act(error, kind=kind) for kind in KINDS] == [model, tool]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (smtplib.SMTPDataError(451, b"later"), "retry"),
        (smtplib.SMTPDataError(552, b"too big"), "give_up"),
        (smtplib.SMTPServerDisconnected("gone"), "retry"),
        (smtplib.SMTPConnectError(421, b"busy"), "retry"),
        (smtplib.SMTPAuthenticationError(535, b"no"), "give_up"),
        (smtplib.SMTPRecipientsRefused({"a@b": (450, b"later")}), "retry"),
        (smtplib.SMTPRecipientsRefused({"a@b": (450, b""), "c@d": (550, b"")}), "give_up"),
        (smtplib.SMTPNotSupportedError("x"), "give_up"),
        (aiosmtplib.SMTPDataError(451, "later"), "retry"),
        (aiosmtplib.SMTPDataError(552, "too big"), "give_up"),
        (aiosmtplib.SMTPServerDisconnected("gone"), "retry"),
        (aiosmtplib.SMTPConnectError("refused"), "retry"),
        (aiosmtplib.SMTPConnectTimeoutError("late"), "retry"),
        (aiosmtplib.SMTPReadTimeoutError("late"), "retry"),
        (
            aiosmtplib.SMTPRecipientsRefused([aiosmtplib.SMTPRecipientRefused(550, "no", "a@b")]),
            "give_up",
        ),
    ],
    ids=repr,
)
def test_mail_replies_are_read_the_way_of_smtp(error, expected):
    assert act(error) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("RateLimitError", "retry"),
        ("APIConnectionError", "retry"),
        ("APIError", "retry"),
        ("CardError", "give_up"),
        ("IdempotencyError", "give_up"),
        ("InvalidRequestError", "give_up"),
        ("AuthenticationError", "give_up"),
    ],
)
def test_payment_errors_are_judged_by_their_class(name, expected):
    base = type("StripeError", (Exception,), {"__module__": "stripe._error"})

    assert act(foreign(f"stripe._error.{name}", base=base)) == expected


def test_the_payment_service_can_say_itself_whether_to_try_again():
    base = type("StripeError", (Exception,), {"__module__": "stripe._error"})
    error = foreign("stripe.CardError", base=base, headers={"Stripe-Should-Retry": "true"})

    assert act(error) == "retry"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (answered(503), "retry"),
        (answered(404), "give_up"),
        (foreign("aiohttp.ClientResponseError", status=502), "retry"),
        (foreign("google.api_core.exceptions.TooManyRequests", code=429), "retry"),
        (foreign("google.api_core.exceptions.BadRequest", code=400), "give_up"),
        (
            foreign(
                "botocore.exceptions.ClientError",
                response={"ResponseMetadata": {"HTTPStatusCode": 503, "HTTPHeaders": {}}},
            ),
            "retry",
        ),
        (foreign("openai.APIError", type="server_error"), "retry"),
        (foreign("openai.APIError", code="context_length_exceeded"), "give_up"),
        (foreign("anthropic.APIStatusError", status_code=200, type="overloaded_error"), "retry"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else value,
)
def test_a_status_is_found_wherever_clients_keep_it(error, expected):
    assert act(error) == expected


def test_a_tool_that_is_told_to_wait_waits():
    verdict = classify(answered(429, {"Retry-After": "12"}), now=NOW, kind="tool")

    assert verdict.after == timedelta(seconds=12)


def test_the_headers_of_botocore_are_read():
    metadata = {"HTTPStatusCode": 429, "HTTPHeaders": {"retry-after": "12"}}
    error = foreign("botocore.ClientError", response={"ResponseMetadata": metadata})

    assert classify(error, now=NOW, kind="model").after == timedelta(seconds=12)


def test_a_spent_quota_is_final_although_the_client_calls_it_retryable():
    class Limited(ModelRateLimitError):
        status_code = 429
        body = {"error": {"code": "insufficient_quota", "message": "Pay first."}}  # noqa: RUF012

    assert act(Limited("x"), kind="model") == "give_up"


def test_a_client_that_calls_an_error_retryable_is_believed_without_a_status():
    assert act(ModelRateLimitError("x"), kind="model") == "retry"


@every_kind
@pytest.mark.parametrize("declared", ["retry", "give_up", "back_to_model", "unknown"])
def test_an_error_can_declare_its_verdict_as_text(declared, kind):
    assert act(Declaring(perdure_verdict=declared), kind=kind) == declared


def test_an_error_can_declare_its_verdict_whole():
    verdict = Verdict(act="retry", reason="the shop opens at nine", after=timedelta(hours=2))

    assert classify(Declaring(perdure_verdict=verdict), now=NOW, kind="tool") is verdict


@pytest.mark.parametrize(("declared", "expected"), [(True, "retry"), (False, "give_up")])
def test_an_error_can_declare_whether_it_is_retryable(declared, expected):
    assert act(Declaring(is_retryable=declared)) == expected


@pytest.mark.parametrize(
    "attributes", [{"perdure_verdict": "perhaps"}, {"is_retryable": "no"}], ids=str
)
def test_a_declaration_that_makes_no_sense_is_ignored(attributes):
    assert act(Declaring(**attributes)) == "retry"


@pytest.mark.parametrize(("final", "expected"), [(True, "give_up"), (False, "retry")])
def test_a_temporal_error_of_a_tool_is_taken_at_its_word(final, expected):
    assert act(ApplicationError("x", non_retryable=final)) == expected


def test_the_wait_of_a_temporal_error_is_kept():
    error = ApplicationError("x", next_retry_delay=timedelta(seconds=9))

    assert classify(error, now=NOW, kind="tool").after == timedelta(seconds=9)


def test_an_effect_that_nobody_can_tell_of_is_unknown():
    assert act(EffectUnknown("x")) == "unknown"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (caused(RuntimeError("tool failed"), httpx.ConnectError("no")), "retry"),
        (caused(ValueError("tool failed"), answered(503)), "retry"),
        (caused(RuntimeError("tool failed"), answered(404)), "give_up"),
        (caused(RuntimeError("tool failed"), TypeError("x")), "give_up"),
        (caused(answered(503), TypeError("x")), "retry"),
        (caused(TimeoutError(), asyncio.CancelledError()), "retry"),
        (ExceptionGroup("tasks", [RuntimeError("x"), answered(404)]), "give_up"),
    ],
    ids=repr,
)
def test_the_cause_speaks_where_the_error_says_nothing(error, expected):
    assert act(error) == expected


def test_causes_in_a_circle_come_to_an_end():
    first, second = RuntimeError("a"), RuntimeError("b")
    first.__cause__, second.__cause__ = second, first

    assert act(first) == "retry"


def test_a_property_that_raises_counts_as_missing():
    class Half(Exception):
        @property
        def response(self):
            raise RuntimeError("the response has not been read")

    assert act(Half("x")) == "retry"


@every_kind
@pytest.mark.parametrize("error", [asyncio.CancelledError(), KeyboardInterrupt()], ids=repr)
def test_a_cancellation_is_no_failure(error, kind):
    with pytest.raises(type(error)):
        classify(error, now=NOW, kind=kind)


def test_classifying_loads_no_client_of_a_provider():
    code = (
        "import sys, perdure.activity.failure\n"
        "print({m.partition('.')[0] for m in sys.modules}"
        " & {'anthropic', 'openai', 'httpx', 'httpx2', 'stripe', 'smtplib', 'sqlite3'})"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert run.stdout.strip() == "set()"
