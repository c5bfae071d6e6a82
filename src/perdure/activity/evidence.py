"""Read what an exception tells about itself, whoever raised it. Activity side.

No provider package is imported: everything goes by attribute and class name, so that a worker
needs only the clients that its agents use, in whatever version.
"""

import re
from collections.abc import Iterator, Mapping
from typing import cast

from perdure.core.jsons import shorten
from perdure.core.verdicts import status_of_type

_DEEPEST = 16
_ERROR_STATUSES = range(400, 600)
_TEXT_LIMIT = 300
_SHOULD_RETRY = ("x-should-retry", "stripe-should-retry")
_SECRETS = (
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=*-]+"), r"\1 ***"),
    (re.compile(r"(?<![\w-])(?:sk|pk|rk|lsv2|xox[a-z]|gh[a-z]|AKIA|AIza)[-_]?[\w*.-]{8,}"), "***"),
    (
        re.compile(
            r"(?i)\b((?:api[-_]?|access[-_]?)?(?:key|token|secret|password|authorization))"
            r"(['\"]?\s*[=:]\s*['\"]?)[^\s&'\",}]+"
        ),
        r"\1\2***",
    ),
    (re.compile(r"(?<=://)[^\s/@]+@"), "***@"),
)


def chain(error: BaseException) -> Iterator[Exception]:
    """Walk an error, its explicit causes and the members of groups, outermost first."""
    waiting: list[BaseException] = [error]
    seen: set[int] = set()
    while waiting and len(seen) < _DEEPEST:
        current = waiting.pop(0)
        if id(current) in seen:
            continue
        seen.add(id(current))
        if isinstance(current, Exception):
            yield current
        if isinstance(current, BaseExceptionGroup):
            waiting.extend(cast("BaseExceptionGroup[BaseException]", current).exceptions)
        if current.__cause__ is not None:
            waiting.append(current.__cause__)


def names(error: BaseException) -> Iterator[tuple[str, str]]:
    """Walk the bases of an error as (top-level package, class name)."""
    for base in type(error).__mro__:
        yield base.__module__.partition(".")[0], base.__name__


def find_status(error: BaseException) -> int | None:
    """Return the HTTP status of the first error in the chain that has one."""
    return next((status for link in chain(error) if (status := status_of(link))), None)


def status_of(error: Exception) -> int | None:
    """Return the HTTP error status of one error, also where the provider only names a type.

    A failure in the middle of a stream comes with the 200 that the response began with.
    """
    response = _get(error, "response")
    for holder, attribute in (
        (error, "status_code"),
        (error, "http_status"),
        (error, "status"),
        (response, "status_code"),
        (response, "status"),
        (error, "code"),
    ):
        status = _get(holder, attribute)
        if isinstance(status, int) and status in _ERROR_STATUSES:
            return int(status)
    if (nested := _boto(response).get("HTTPStatusCode")) and isinstance(nested, int):
        return nested
    code, kind = code_and_type(error)
    return status_of_type(kind, code)


def headers_of(error: Exception) -> dict[str, str]:
    """Return the response headers of one error, by lower-case name; empty if it has none."""
    response = _get(error, "response")
    for holder in (response, error):
        raw = _boto(holder).get("HTTPHeaders") or _get(holder, "headers")
        if callable(_get(raw, "items")):
            pairs = cast("Mapping[object, object]", raw).items()
            return {str(name).lower(): str(value) for name, value in pairs}
    return {}


def should_retry(error: Exception) -> bool | None:
    """Return what the server says about trying again; None if it does not say."""
    headers = headers_of(error)
    said = next((headers[name].lower() for name in _SHOULD_RETRY if name in headers), "")
    return {"true": True, "false": False}.get(said)


def is_retryable(error: Exception) -> bool | None:
    """Return what the client library says about trying again; None if it does not say."""
    declared = _get(error, "is_retryable")
    return declared if isinstance(declared, bool) else None


def code_and_type(error: Exception) -> tuple[str | None, str | None]:
    """Return the provider's error code and error type, as far as they are texts."""
    body = _error_body(error)
    code = _first_text(_get(error, "code"), body.get("code"))
    kind = _first_text(_get(error, "type"), body.get("type"))
    return code, kind


def text_of(error: BaseException) -> str:
    """Return the provider's own words, on one line, shortened, without anything secret."""
    body = _error_body(error)
    text = _first_text(body.get("message")) or str(error) or type(error).__name__
    return shorten(scrub(text), _TEXT_LIMIT)


def scrub(text: str) -> str:
    """Mask what looks like a key, a token or a password."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


def _error_body(error: BaseException) -> Mapping[str, object]:
    """Return the innermost `error` object of a JSON body (Anthropic nests it, OpenAI not)."""
    body = _get(error, "body")
    if not isinstance(body, Mapping):
        return {}
    outer = cast("Mapping[str, object]", body)
    inner = outer.get("error")
    return cast("Mapping[str, object]", inner) if isinstance(inner, Mapping) else outer


def _boto(response: object) -> Mapping[str, object]:
    """Return botocore's response metadata; its `response` is a plain dict."""
    if not isinstance(response, Mapping):
        return {}
    metadata = cast("Mapping[str, object]", response).get("ResponseMetadata")
    return cast("Mapping[str, object]", metadata) if isinstance(metadata, Mapping) else {}


def _first_text(*values: object) -> str | None:
    return next((value for value in values if isinstance(value, str) and value), None)


def _get(holder: object, attribute: str) -> object:
    """Read an attribute of a foreign object; a property that raises counts as missing."""
    try:
        return cast("object", getattr(holder, attribute, None))
    except Exception:  # noqa: BLE001 - some clients raise from properties of half-built errors
        return None
