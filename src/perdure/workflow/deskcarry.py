"""The approvals of a run, as the next execution takes them over. Workflow side."""

from collections.abc import Mapping
from dataclasses import replace
from typing import cast

from perdure.core.approvals import Docket, Question, parse_decision, question_from
from perdure.core.continuing import items, part
from perdure.core.jsons import Json, JsonObject
from perdure.workflow.desk import Desk

DECIDED = 100
"""Decisions that go along, for `status`; all are in the history of their execution."""
PAST = 2_000
"""Ids of older questions that go along, so that no new one gets the same."""
REFUSED = 20


def dump_desk(desk: Desk) -> JsonObject:
    """Write the questions, open and decided."""
    docket = desk.docket.shortened(DECIDED, ids=PAST)
    known = {question.id for question in docket.open}
    return {
        "open": [_written(question) for question in docket.open],
        "decided": [
            {"question": _written(question), "decision": decision.to_json()}
            for question, decision in docket.decided
        ],
        "past": list(docket.past),
        "reminded": {name: count for name, count in desk.reminded.items() if name in known},
        "schemas": {name: schema for name, schema in desk.schemas.items() if name in known},
        "refused": [*desk.refused[-REFUSED:]],
    }


def restore_desk(desk: Desk, told: Mapping[str, Json]) -> None:
    """Take over the questions; who asked them joins again (`Desk.rejoin`)."""
    decided = [
        (question_from(one["question"]), parse_decision(one["decision"]))
        for one in items(told, "decided")
    ]
    desk.docket = Docket(
        open=tuple(question_from(one) for one in items(told, "open")),
        decided=tuple((asked, replace(by, question=asked.id)) for asked, by in decided),
        past=tuple(str(one) for one in items(told, "past")),
    )
    desk.reminded = cast("dict[str, int]", part(told, "reminded"))
    desk.schemas = cast("dict[str, JsonObject]", part(told, "schemas"))
    desk.refused = [str(one) for one in items(told, "refused")]


def _written(question: Question) -> JsonObject:
    return {
        **question.to_json(),
        "reminders": [moment.total_seconds() for moment in question.reminders],
    }
