import json
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from temporalio.exceptions import ApplicationError

from perdure.activity.failure import as_application_error, classify
from perdure.errors import ModelFailed

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Refusal(Exception):
    """An error as a provider's client raises it."""

    status_code = 404
    body = {"error": {"type": "not_found_error", "message": "model: claude-9"}}  # noqa: RUF012


def answered(status: int, headers: dict[str, str] | None = None) -> httpx.HTTPStatusError:
    request = httpx.Request("POST", "https://api.example", headers={"x-api-key": "SECRET"})
    response = httpx.Response(status, headers=headers, request=request)
    return httpx.HTTPStatusError("no", request=request, response=response)


def failure(error: Exception) -> ApplicationError:
    verdict = classify(error, now=NOW, kind="model")
    return as_application_error(error, verdict, code=ModelFailed.code, subject="model 'm'")


def test_the_failure_carries_the_stable_code():
    assert failure(answered(500)).type == "model_failed"


@pytest.mark.parametrize(("status", "final"), [(500, False), (404, True)])
def test_only_a_verdict_of_retry_lets_temporal_try_again(status, final):
    assert failure(answered(status)).non_retryable is final


def test_the_named_wait_is_handed_to_temporal():
    error = failure(answered(429, {"retry-after": "12"}))

    assert error.next_retry_delay == timedelta(seconds=12)


def test_the_details_are_one_json_object():
    details = failure(answered(429, {"retry-after": "12"})).details

    assert json.loads(json.dumps(details)) == [
        {
            "verdict": "retry",
            "reason": "the server said 429, again after 12 s",
            "status": 429,
            "error": "HTTPStatusError",
            "after_s": 12.0,
        }
    ]


def test_the_text_holds_subject_provider_text_and_reason():
    assert failure(Refusal("Error code: 404")).message == (
        "model 'm' failed: model: claude-9 "
        "[the server refused the request with 404 (not_found_error)]"
    )


def test_a_long_provider_text_is_shortened():
    assert len(failure(RuntimeError("x" * 100_000)).message) < 500


def test_an_error_without_a_text_is_named():
    assert "ReadTimeout" in failure(httpx.ReadTimeout("")).message


@pytest.mark.parametrize(
    "text",
    [
        "Incorrect API key provided: sk-proj-abcdefSECRET.",
        "header Authorization: Bearer abcSECRET was refused",
        "GET https://api.example/v1?api_key=SECRET&x=1",
        "GET https://user:SECRET@api.example/v1",
        "{'api_key': 'SECRET'}",
        "password=SECRET",
    ],
)
def test_the_text_holds_no_key(text):
    assert "SECRET" not in failure(RuntimeError(text)).message


def test_the_headers_of_request_and_response_stay_behind():
    error = failure(answered(500, {"set-cookie": "SECRET"}))

    assert "SECRET" not in f"{error.message} {error.details}"
