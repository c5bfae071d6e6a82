"""How errors of Temporal become ours, and how lists are asked for."""

from datetime import timedelta

import pytest
from temporalio.service import RPCError, RPCStatusCode

from perdure import errors
from perdure.client.exit import run_main
from perdure.client.failures import refusal
from perdure.client.faults import as_perdure
from perdure.client.listing import list_query, quote
from perdure.client.poll import until
from perdure.client.records import waiting_of, waitings_of


def translated(status, message="words", run_id=None):
    return as_perdure(RPCError(message, status, b""), target="db:1", run_id=run_id)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (RPCStatusCode.UNAVAILABLE, errors.ServerUnavailable),
        (RPCStatusCode.DEADLINE_EXCEEDED, errors.ServerUnavailable),
        (RPCStatusCode.PERMISSION_DENIED, errors.ServerUnavailable),
        (RPCStatusCode.UNAUTHENTICATED, errors.ServerUnavailable),
        (RPCStatusCode.NOT_FOUND, errors.RunNotFound),
        (RPCStatusCode.INVALID_ARGUMENT, errors.BadOption),
        (RPCStatusCode.INTERNAL, errors.Unavailable),
    ],
)
def test_a_status_of_the_server_becomes_an_error(status, kind):
    assert type(translated(status, run_id="r")) is kind


def test_a_missing_namespace_is_not_a_missing_run():
    error = translated(RPCStatusCode.NOT_FOUND, "Namespace shop is not found.", run_id="r")
    assert isinstance(error, errors.ServerUnavailable)


def test_an_error_names_the_server():
    assert "db:1" in str(translated(RPCStatusCode.UNAVAILABLE))


@pytest.mark.parametrize(
    "kind",
    [errors.BadDecision, errors.AlreadyDecided, errors.NothingWaiting, errors.NotAllowed],
)
def test_a_refusal_keeps_its_class(kind):
    assert type(refusal(kind.code, "no")) is kind


def test_an_unknown_refusal_is_still_one():
    assert type(refusal("new_kind", "no")) is errors.Refused


def test_without_search_attributes_only_the_type_is_asked_for():
    query = list_query(agent="a", status="waiting", indexed=False)
    assert query == "WorkflowType = 'perdure.agent' AND ExecutionStatus = 'Running'"


def test_with_search_attributes_agent_and_status_are_asked_for():
    query = list_query(agent="a", status="waiting", indexed=True)
    assert "PerdureAgent = 'a' AND PerdureStatus = 'waiting'" in query


def test_a_list_without_a_status_leaves_out_continued_executions():
    assert "!= 'ContinuedAsNew'" in list_query(agent=None, status=None, indexed=True)


def test_a_quote_in_a_filter_is_escaped():
    assert quote("o'neil\\") == r"'o\'neil\\'"


def test_a_question_is_read_with_its_arguments():
    raw = {"id": "q", "title": "Send?", "args": {"to": "ann"}, "allowed": ["approve"], "text": ""}
    question = waiting_of(raw, run_id="r", agent="a")
    assert (question.args, question.allowed, question.complete) == (
        {"to": "ann"},
        ("approve",),
        True,
    )


def test_a_shortened_question_says_so():
    assert not waiting_of({"id": "q", "title": "Send?"}, run_id="r", agent="a").complete


@pytest.mark.parametrize("raw", [None, "x", [1, {"no": "id"}], {}])
def test_what_is_no_question_is_left_out(raw):
    assert waitings_of(raw, run_id="r", agent="a") == ()


async def test_polling_returns_the_first_thing_found():
    found = iter([None, None, "here"])

    async def look():
        return next(found)

    assert await until(look, within=timedelta(seconds=5), every=timedelta(0)) == "here"


async def test_polling_ends_with_its_time():
    async def look():
        return None

    assert await until(look, within=timedelta(0)) is None


def test_a_program_gets_the_value_of_its_main():
    async def main():
        return 7

    assert run_main(main()) == 7
