"""What an operator sees of a run: details in Markdown, search attributes, memo."""

from textwrap import indent
from typing import cast

from temporalio import workflow
from temporalio.common import SearchAttributeKey

from perdure.core.approvals import Question
from perdure.core.jsons import Json, JsonObject
from perdure.core.names import (
    AGENT_ATTRIBUTE,
    QUESTIONS_MEMO,
    STATUS_ATTRIBUTE,
    TENANT_ATTRIBUTE,
    WAITING_ATTRIBUTE,
)
from perdure.core.wire import Status
from perdure.workflow.current import Run
from perdure.workflow.totals import totals_of

_AGENT = SearchAttributeKey.for_keyword(AGENT_ATTRIBUTE)
_STATUS = SearchAttributeKey.for_keyword(STATUS_ATTRIBUTE)
_TENANT = SearchAttributeKey.for_keyword(TENANT_ATTRIBUTE)
_WAITING = SearchAttributeKey.for_int(WAITING_ATTRIBUTE)
DETAILS = 18_000
"""Characters of all details; Temporal takes 20 kB."""
LONGEST = 4000
"""Characters of one text in the details."""
MEMO_LIMIT = 16_384
"""Bytes of open questions that the memo repeats; larger ones are read by query."""


class View:
    """Keep the outside picture of one run up to date."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._shown: tuple[Status, int] | None = None
        self.status: Status = "running"

    def begin(self) -> None:
        """Show the run as running, or as waiting if an earlier execution asked."""
        if self._run.desk.docket.open:
            self.status = "waiting"
        self._publish()

    def changed(self) -> None:
        """Show that questions were asked or decided."""
        self.status = "waiting" if self._run.desk.docket.open else "running"
        self._publish()

    def end(self, status: Status) -> None:
        """Show how the run ended."""
        self.status = status
        self._publish()

    def describe(self) -> JsonObject:
        """Describe the run for the status query."""
        run = self._run
        return {
            "agent": run.start.agent,
            "status": self.status,
            "questions": run.desk.questions(),
            "decisions": run.desk.decisions(),
            "refused": list[Json](run.desk.refused),
            **totals_of(run),
            **_children(run),
            **({} if run.executions == 1 else {"executions": run.executions}),
        }

    def _publish(self) -> None:
        workflow.set_current_details(self._markdown())
        shown = (self.status, len(self._run.desk.docket.open))
        if not self._run.start.index or shown == self._shown:
            return
        first = self._shown is None
        asked = max(shown[1], self._shown[1] if self._shown else 0)
        self._shown = shown
        updates = [_STATUS.value_set(self.status), _WAITING.value_set(shown[1])]
        if first:
            updates.append(_AGENT.value_set(self._run.start.agent))
            if self._run.start.tenant is not None:
                updates.append(_TENANT.value_set(self._run.start.tenant))
        workflow.upsert_search_attributes(updates)
        if asked and self.status in ("running", "waiting"):
            workflow.upsert_memo({QUESTIONS_MEMO: self._memo()})

    def _memo(self) -> list[Json]:
        questions = self._run.desk.questions()
        if self._run.host.codec.size(questions) <= MEMO_LIMIT:
            return questions
        keep = ("id", "title", "action", "asked_at", "deadline", "allowed", "digest")
        return [{k: q[k] for k in keep} for q in questions if isinstance(q, dict)]

    def _markdown(self) -> str:
        run = self._run
        totals = totals_of(run)
        lines = [
            f"**{run.start.agent or 'workflow'}** is **{self.status}**",
            "",
            f"- model calls: {totals['model_calls']}",
            f"- tool calls: {totals['tool_calls']}",
        ]
        lines += [f"- agent {c.agent}: `{c.id}`, {c.status}" for c in run.family.children.values()]
        if tokens := cast("dict[str, int]", totals["tokens"]):
            inward, out = tokens.get("input_tokens", 0), tokens.get("output_tokens", 0)
            lines.append(f"- tokens: {inward} in, {out} out")
        for question in run.desk.docket.open:
            lines += [
                "",
                f"### Waiting for a person: {question.title}",
                "",
                f"- until {question.deadline:%Y-%m-%d %H:%M %Z}, then: {question.on_deadline}",
                f"- answers: {', '.join(question.allowed)}",
                f"- id: `{question.id}`",
            ]
            if reminded := run.desk.reminded.get(question.id):
                lines.append(f"- reminders so far: {reminded}")
            lines += _arguments(question)
            if question.text:
                lines += ["", question.text[:LONGEST]]
        for question, decision in run.desk.docket.decided:
            when = decision.at.isoformat(timespec="seconds") if decision.at else ""
            lines.append(f"- {question.title}: **{decision.type}** by {decision.by} {when}")
        return "\n".join(lines)[:DETAILS]


def _children(run: Run) -> JsonObject:
    """List the sub-agents, if the run has any."""
    children = run.family.children.values()
    return {"children": [child.to_json() for child in children]} if children else {}


def _arguments(question: Question) -> list[str]:
    """Show what is being approved, as code: nothing in it can pass for our own Markdown."""
    lines: list[str] = []
    for name, value in (question.args or {}).items():
        text = value if isinstance(value, str) else repr(value)
        lines += ["", f"`{name}`:", "", indent(text[:LONGEST], "    ", lambda _: True)]
    return lines
