"""How the outside reaches a run: update, signal and queries. Workflow side."""

from dataclasses import replace

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from perdure.core.jsons import Json, JsonObject, Raw
from perdure.core.names import DECIDE_SIGNAL, DECIDE_UPDATE, QUESTIONS_QUERY, STATUS_QUERY
from perdure.errors import Refused
from perdure.workflow.current import need_run
from perdure.workflow.view import View


def open_doors(agent: str = "", *, index: bool = False) -> View:
    """Make a run answer decisions and questions from outside; returns its view.

    Call it in the `__init__` of a workflow of your own, with the name that people should see.
    `index=True` keeps search attributes and memo up to date, so that `perdure ls` and
    `perdure approvals` find it; they must be registered (`perdure doctor --fix`). Call the
    view's `end("done")` when your workflow returns.
    The update's validator refuses a bad decision before anything is written to history, so a
    wrong click costs nothing. The signal is for Temporal's stock UI and CLI.
    """
    run = need_run("perdure.workflow.open_doors()")
    if agent:
        run.start = replace(run.start, agent=agent, index=index)
    view = View(run)
    run.desk.on_change.append(view.changed)

    def validate(raw: Raw) -> None:
        try:
            run.desk.validate(raw)
        except Refused as refusal:
            raise ApplicationError(str(refusal), type=refusal.code, non_retryable=True) from None

    def decide(raw: Raw) -> JsonObject:
        try:
            return run.desk.decide(raw)
        except Refused as refusal:
            raise ApplicationError(str(refusal), type=refusal.code, non_retryable=True) from None

    def status() -> JsonObject:
        return view.describe()

    def questions() -> list[Json]:
        return run.desk.questions()

    workflow.set_update_handler(DECIDE_UPDATE, decide, validator=validate)
    workflow.set_signal_handler(DECIDE_SIGNAL, run.desk.decide_later)
    workflow.set_query_handler(STATUS_QUERY, status)
    workflow.set_query_handler(QUESTIONS_QUERY, questions)
    return view
