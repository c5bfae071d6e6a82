"""Turn any exception of a model or tool call into a verdict. Activity side.

The order: what the error or its client declares, what the server says, the HTTP status,
transport errors, and last the type of the exception. Outer errors speak before their causes.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Literal, TypeAlias, cast

from temporalio.exceptions import ApplicationError

from perdure.activity import evidence
from perdure.core.jsons import JsonObject
from perdure.core.verdicts import ACTS, LONGEST_PAUSE, Act, Verdict, judge_status, retry_after
from perdure.errors import EffectUnknown, PerdureError, Unavailable

CallKind: TypeAlias = Literal["model", "tool"]

_HTTP_CLIENTS = frozenset(
    {"httpx", "httpx2", "httpcore", "httpcore2", "aiohttp", "requests", "urllib3", "botocore"}
)
_TRANSPORT = frozenset(
    {
        "TransportError",
        "NetworkError",
        "TimeoutException",
        "ProtocolError",
        "ConnectionError",
        "HTTPClientError",
        "ClientConnectionError",
        "ClientPayloadError",
        "ServerTimeoutError",
        "ConnectTimeoutError",
        "ReadTimeoutError",
        "NewConnectionError",
        "IncompleteRead",
        "ChunkedEncodingError",
        "Timeout",
        "TimeoutError",
    }
)
_MISUSE = frozenset({"UnsupportedProtocol", "LocalProtocolError", "ProxySchemeUnknown"})
_CLIENT_TRANSPORT = frozenset({"APIConnectionError", "APITimeoutError"})
_STRIPE_PASSING = frozenset({"RateLimitError", "APIConnectionError", "APIError"})
_UNREADABLE = frozenset({"ValidationError", "OutputParserException", "LengthFinishReasonError"})
_REFUSALS = frozenset({"ContentFilterFinishReasonError", "OpenAIRefusalError"})
_SMTP_PASSING = range(400, 500)
_SMTP_GONE = frozenset(
    {"SMTPServerDisconnected", "SMTPConnectError", "SMTPTimeoutError", "SMTPReadTimeoutError"}
)
_MISTAKES: tuple[type[Exception], ...] = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    NameError,
    NotImplementedError,
    RecursionError,
    SyntaxError,
    TypeError,
    ValueError,
)


def classify(
    error: BaseException,
    *,
    now: datetime,
    kind: CallKind,
    cap: timedelta = LONGEST_PAUSE,
) -> Verdict:
    """Judge a failed call.

    An exception can declare itself: `perdure_verdict` (a Verdict, or one of its acts as text)
    or `is_retryable` (a bool). What nobody can tell is tried again, for it may pass.

    Raises:
        BaseException: `error` itself if it is a cancellation or an exit; neither is a failure.
    """
    if isinstance(error, asyncio.CancelledError) or not isinstance(error, Exception):
        raise error
    links = tuple(evidence.chain(error))
    for link in links:
        if verdict := _definite(link, now=now, cap=cap):
            return verdict
    for link in links:
        if verdict := _by_type(link, kind=kind):
            return verdict
    return Verdict(act="retry", reason=f"{_name(error)}, which may pass")


def as_application_error(
    error: BaseException,
    verdict: Verdict,
    *,
    code: str,
    subject: str,
    thrown: JsonObject | None = None,
    call: JsonObject | None = None,
) -> ApplicationError:
    """Write a failure for Temporal: its type is a stable code, its details one JSON object.

    A second one is `thrown`, the exception itself, for the graph to see. `call` says what was
    called, where the history does not.

    `subject` is what failed, as in "model 'anthropic:claude-sonnet-4-6'". The text holds the
    provider's own words and the verdict's reason; headers and anything like a key stay behind.
    """
    status = evidence.find_status(error)
    details: JsonObject = {
        "verdict": verdict.act,
        "reason": verdict.reason,
        "status": status,
        "error": type(error).__name__,
        "after_s": None if verdict.after is None else verdict.after.total_seconds(),
        **({} if call is None else {"call": call}),
    }
    return ApplicationError(
        f"{subject} failed: {evidence.text_of(error)} [{verdict.reason}]",
        *((details,) if thrown is None else (details, thrown)),
        type=code,
        non_retryable=verdict.act != "retry",
        next_retry_delay=verdict.after if verdict.act == "retry" else None,
    )


def _definite(error: Exception, *, now: datetime, cap: timedelta) -> Verdict | None:
    """Judge by what does not depend on the kind of call; None if that says nothing."""
    readers: tuple[Callable[[Exception], Verdict | None], ...] = (
        _by_declaration,
        _by_own_type,
        _by_mail,
        _by_stripe,
    )
    for read in readers:
        if verdict := read(error):
            return verdict
    return _by_server(error, now=now, cap=cap) or _by_transport(error) or _by_sqlite(error)


def _by_declaration(error: Exception) -> Verdict | None:
    declared = cast("object", getattr(error, "perdure_verdict", None))
    if isinstance(declared, Verdict):
        return declared
    if isinstance(declared, str) and declared in ACTS:
        return Verdict(act=cast("Act", declared), reason=f"{_name(error)} declares {declared!r}")
    return None


def _by_own_type(error: Exception) -> Verdict | None:
    if isinstance(error, ApplicationError):
        if error.non_retryable:
            return Verdict(act="give_up", reason=f"{error.type or _name(error)} is final")
        return Verdict(
            act="retry",
            reason=f"{error.type or _name(error)} may pass",
            after=error.next_retry_delay,
        )
    if isinstance(error, EffectUnknown):
        return Verdict(act="unknown", reason="nobody can tell whether it happened")
    if isinstance(error, Unavailable):
        return Verdict(act="retry", reason="something that is needed does not run")
    if isinstance(error, PerdureError):
        return Verdict(act="give_up", reason=f"{_name(error)} ({error.code})")
    return None


def _by_mail(error: Exception) -> Verdict | None:
    """Judge SMTP replies: 4xx passes and 5xx is final, the reverse of HTTP."""
    if not any(package in {"smtplib", "aiosmtplib"} for package, _ in evidence.names(error)):
        return None
    codes = _mail_codes(error)
    if codes:
        act: Act = "retry" if all(code in _SMTP_PASSING for code in codes) else "give_up"
        return Verdict(act=act, reason=f"the mail server said {', '.join(map(str, codes))}")
    if any(name in _SMTP_GONE for _, name in evidence.names(error)):
        return Verdict(act="retry", reason=f"the mail server is not reached ({_name(error)})")
    return Verdict(act="give_up", reason=f"mail cannot be sent so ({_name(error)})")


def _mail_codes(error: Exception) -> tuple[int, ...]:
    for attribute in ("code", "smtp_code"):
        code = cast("object", getattr(error, attribute, None))
        if isinstance(code, int):
            return (code,) if code > 0 else ()
    recipients = cast("object", getattr(error, "recipients", None))
    if isinstance(recipients, dict):
        replies = cast("dict[str, tuple[int, bytes]]", recipients).values()
        return tuple(reply[0] for reply in replies)
    if isinstance(recipients, list):
        return tuple(c for one in cast("list[Exception]", recipients) for c in _mail_codes(one))
    return ()


def _by_stripe(error: Exception) -> Verdict | None:
    bases = tuple(evidence.names(error))
    if bases[0][0] != "stripe" or ("stripe", "StripeError") not in bases:
        return None
    declared = evidence.should_retry(error)
    passing = bases[0][1] in _STRIPE_PASSING if declared is None else declared
    if passing:
        return Verdict(act="retry", reason=f"the payment service may answer later ({_name(error)})")
    return Verdict(act="give_up", reason=f"the payment service refused ({_name(error)})")


def _by_server(error: Exception, *, now: datetime, cap: timedelta) -> Verdict | None:
    status = evidence.status_of(error)
    retryable = evidence.is_retryable(error)
    if status is not None:
        said = evidence.should_retry(error)
        code, kind = evidence.code_and_type(error)
        return judge_status(
            status,
            should_retry=retryable if said is None else said,
            after=retry_after(evidence.headers_of(error), now=now, cap=cap),
            error_code=code,
            error_type=kind,
        )
    if retryable is None:
        return None
    act: Act = "retry" if retryable else "give_up"
    words = "which may pass" if retryable else "which is final"
    return Verdict(act=act, reason=f"{_name(error)}, {words}")


def _by_transport(error: Exception) -> Verdict | None:
    bases = tuple(evidence.names(error))
    if any(package in _HTTP_CLIENTS and name in _MISUSE for package, name in bases):
        return Verdict(act="give_up", reason=f"the request cannot be sent so ({_name(error)})")
    if ("ssl", "SSLCertVerificationError") in bases:
        return Verdict(act="give_up", reason="the server's certificate is not trusted")
    if (
        isinstance(error, ConnectionError | TimeoutError | EOFError)
        or any(
            pair in {("socket", "gaierror"), ("socket", "herror"), ("ssl", "SSLError")}
            for pair in bases
        )
        or any(package in _HTTP_CLIENTS and name in _TRANSPORT for package, name in bases)
        or any(name in _CLIENT_TRANSPORT for _, name in bases)
    ):
        return Verdict(act="retry", reason=f"the connection failed ({_name(error)})")
    return None


def _by_sqlite(error: Exception) -> Verdict | None:
    bases = tuple(evidence.names(error))
    if ("sqlite3", "Error") not in bases:
        return None
    text = str(error).lower()
    if ("sqlite3", "OperationalError") in bases and ("locked" in text or "busy" in text):
        return Verdict(act="retry", reason="the database is locked by another writer")
    return Verdict(act="give_up", reason=f"the database refused ({_name(error)})")


def _by_type(error: Exception, *, kind: CallKind) -> Verdict | None:
    """Judge by the bare type, which means less than anything that was said on purpose."""
    bases = {name for _, name in evidence.names(error)}
    if kind == "model":
        if "JSONDecodeError" in bases:
            return Verdict(act="retry", reason="the provider sent broken JSON")
        if bases & _UNREADABLE:
            return Verdict(
                act="back_to_model",
                reason=f"the answer cannot be read ({_name(error)})",
            )
    if bases & _REFUSALS:
        return Verdict(act="give_up", reason=f"the model refused ({_name(error)})")
    if "ToolException" in bases:
        return Verdict(act="back_to_model", reason="the tool says what is wrong")
    if isinstance(error, _MISTAKES):
        return Verdict(act="give_up", reason=f"{_name(error)}, which trying again cannot mend")
    return None


def _name(error: BaseException) -> str:
    return type(error).__name__
