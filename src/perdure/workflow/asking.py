"""Ask a person from inside a run: in a node, in a tool, or in a hand-written workflow."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import cast

from langgraph.types import interrupt
from temporalio import workflow

from perdure.core.approvals import (
    Approve,
    Choice,
    Decision,
    OnDeadline,
    Question,
    check_terms,
    parse_decision,
)
from perdure.core.jsons import Json, JsonObject, as_object, plain
from perdure.errors import BadDecision
from perdure.workflow.current import Run, need_run
from perdure.workflow.dialects import question_value


def ask(
    title: str,
    *,
    action: str | None = None,
    args: Mapping[str, Json] | None = None,
    text: str = "",
    allowed: tuple[Choice, ...] = ("approve", "edit", "reject"),
    within: timedelta = timedelta(hours=24),
    on_deadline: OnDeadline = "expire",
    reminders: tuple[timedelta, ...] = (),
    approvers: tuple[str, ...] = (),
) -> Decision:
    """Ask a person, in a node of a graph, and return the decision.

    Built on LangGraph's `interrupt()`: the node starts again from its top when the answer is
    there, so put the question in a node of its own, or before any call. In a run the wait is
    durable and ends at the deadline with a decision of type "expire" (or "reject", or the run
    fails, as `on_deadline` says). As plain LangGraph, resume with
    `Command(resume={"type": "approve", "by": "ann"})`.

    What is no decision is refused: the node interrupts again, with the reason as `refused`.

    Raises:
        BadOption: The terms cannot be met.
    """
    check_terms(
        within=within,
        allowed=allowed,
        on_deadline=on_deadline,
        reminders=reminders,
        approvers=approvers,
    )
    return interrupt_for(
        question_value(
            title=title,
            action=action,
            args=args,
            text=text,
            allowed=allowed,
            within=within,
            on_deadline=on_deadline,
            reminders=reminders,
            approvers=approvers,
        )
    )


def interrupt_for(question: JsonObject) -> Decision:
    """Interrupt as plain LangGraph does, until the answer is a decision.

    LangGraph keeps every answer of a node, so a wrong one that raised would fail the thread
    each time it is resumed.
    """
    while True:
        try:
            return parse_decision(interrupt(question))
        except BadDecision as refusal:
            question = {**question, "refused": str(refusal)}


async def ask_person(
    title: str,
    *,
    action: str | None = None,
    args: Mapping[str, Json] | None = None,
    text: str = "",
    terms: Approve | None = None,
) -> Decision:
    """Ask a person from a hand-written workflow, and wait in place.

    Workflow side only; exported as `perdure.workflow.ask`.

    Raises:
        ApprovalExpired: The deadline passed and the terms say `on_deadline="fail"`.
        NotInRun: Called outside a workflow.
    """
    run = need_run("perdure.workflow.ask()")
    return await ask_here(
        run, title, action=action, args=args, text=text, terms=terms or Approve(), call_id=None
    )


async def ask_here(
    run: Run | None,
    title: str,
    *,
    action: str | None,
    args: Mapping[str, Json] | None,
    terms: Approve,
    call_id: str | None,
    text: str = "",
    schema: JsonObject | None = None,
) -> Decision:
    """Ask and wait in place, without starting the node again; outside a run, interrupt."""
    if run is None:
        value = terms_value(title, action=action, args=args, terms=terms, text=text)
        return interrupt_for(value)
    told: JsonObject = {
        "title": title,
        "action": action,
        "args": None if args is None else as_object(plain(args), what="args"),
        "call": call_id,
    }
    with waited_for(run):
        known = run.journal.take("ask", lambda: told)
        held = None if known is None else run.desk.question(str(known["result"]))
        if held is None:
            held = run.desk.open(_question(told, terms=terms, text=text), schema=schema)
        run.journal.note("ask", lambda: told, held.id)
        return await run.desk.rejoin(held)


@contextmanager
def waited_for(run: Run) -> Generator[None]:
    """Let the run know that a node waits for a person."""
    leaving = run.leaving
    if leaving is None:
        yield
        return
    leaving.asking += 1
    try:
        yield
    finally:
        leaving.asking -= 1


def _question(told: JsonObject, *, terms: Approve, text: str) -> Question:
    now = workflow.now()
    call_id, args = told["call"], told["args"]
    action = told["action"]
    return Question(
        id=str(call_id) if call_id else f"ask-{workflow.uuid4().hex[:12]}",
        title=str(told["title"]),
        action=None if action is None else str(action),
        args=cast("JsonObject | None", args),
        text=text,
        allowed=terms.allowed,
        asked_at=now,
        deadline=now + terms.within,
        on_deadline=terms.on_deadline,
        reminders=terms.reminders,
        approvers=terms.approvers,
    )


def terms_value(
    title: str,
    *,
    action: str | None,
    args: Mapping[str, Json] | None,
    terms: Approve,
    text: str = "",
) -> JsonObject:
    """Write a question with a tool's terms as the value of an interrupt."""
    return question_value(
        title=title,
        action=action,
        args=args,
        text=text,
        allowed=terms.allowed,
        within=terms.within,
        on_deadline=terms.on_deadline,
        reminders=terms.reminders,
        approvers=terms.approvers,
    )
