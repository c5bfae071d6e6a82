"""How the outside reaches a run: update, signal and queries. Workflow side."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from perdure.core.jsons import Json, JsonObject, Raw
from perdure.core.names import (
    CHECKPOINT_QUERY,
    DECIDE_SIGNAL,
    DECIDE_UPDATE,
    HISTORY_QUERY,
    QUESTIONS_QUERY,
    STATE_QUERY,
    STATUS_QUERY,
    UPDATE_STATE_UPDATE,
)
from perdure.errors import PerdureError
from perdure.workflow.current import Run, need_run
from perdure.workflow.state import change_state, check_change, cut_seed, list_states, show_state
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
        with _refusals():
            run.desk.validate(raw)

    def decide(raw: Raw) -> JsonObject:
        with _refusals():
            return run.desk.decide(raw)

    def status() -> JsonObject:
        return view.describe()

    def questions() -> list[Json]:
        return run.desk.questions()

    workflow.set_update_handler(DECIDE_UPDATE, decide, validator=validate)
    workflow.set_signal_handler(DECIDE_SIGNAL, run.desk.decide_later)
    workflow.set_query_handler(STATUS_QUERY, status)
    workflow.set_query_handler(QUESTIONS_QUERY, questions)
    _open_state(run)
    return view


def _open_state(run: Run) -> None:
    """Make the graph's state visible, and open to change while the run waits."""

    def validate_change(raw: Raw) -> None:
        with _refusals():
            check_change(run, raw)

    async def change(raw: Raw) -> JsonObject:
        with _refusals():
            return await change_state(run, raw)

    def state(raw: Raw = None) -> JsonObject:
        return _told(show_state, run, raw)

    def states(raw: Raw = None) -> JsonObject:
        return _told(list_states, run, raw)

    def seed(raw: Raw = None) -> JsonObject:
        return _told(cut_seed, run, raw)

    workflow.set_update_handler(UPDATE_STATE_UPDATE, change, validator=validate_change)
    workflow.set_query_handler(STATE_QUERY, state)
    workflow.set_query_handler(HISTORY_QUERY, states)
    workflow.set_query_handler(CHECKPOINT_QUERY, seed)


def _told(answer: Callable[[Run, Raw], JsonObject], run: Run, raw: Raw) -> JsonObject:
    """Answer a query; what is refused is told as a value, since a failed query has no type."""
    try:
        return answer(run, raw)
    except PerdureError as refusal:
        return {"refused": refusal.code, "text": str(refusal)}


@contextmanager
def _refusals() -> Generator[None]:
    """Tell the caller of an update why it was refused, with the stable code."""
    try:
        yield
    except PerdureError as refusal:
        raise ApplicationError(str(refusal), type=refusal.code, non_retryable=True) from None
