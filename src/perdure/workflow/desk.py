"""The approvals of one run: ask, wait, remind, give up at the deadline. Workflow side."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta

import jsonschema
from temporalio import workflow

from perdure.core.approvals import Decision, Docket, Question, parse_decision
from perdure.core.jsons import Json, JsonObject, Raw
from perdure.core.summaries import deadline_summary, reminder_summary
from perdure.errors import ApprovalExpired, BadDecision, Refused


@dataclass
class Desk:
    """Open and decided questions of one run, and what changed about them."""

    docket: Docket = field(default_factory=Docket)
    reminded: dict[str, int] = field(default_factory=dict[str, int])
    schemas: dict[str, JsonObject] = field(default_factory=dict[str, JsonObject])
    refused: list[str] = field(default_factory=list[str])
    """Decisions that came as a signal and were refused; an update is told at once."""
    relayed: dict[str, Callable[[JsonObject], None]] = field(
        default_factory=dict[str, Callable[[JsonObject], None]]
    )
    """Who waits for the decision of a question that another run asks."""
    on_change: list[Callable[[], None]] = field(default_factory=list[Callable[[], None]])

    async def ask(self, question: Question, *, schema: JsonObject | None = None) -> Decision:
        """Wait until a person decides, or the deadline does.

        `schema` is the JSON Schema that edited arguments must fit.

        Raises:
            ApprovalExpired: The deadline passed and the question says `on_deadline="fail"`.
        """
        question = self.open(question, schema=schema)
        return await self.rejoin(question)

    def open(self, question: Question, *, schema: JsonObject | None = None) -> Question:
        """Ask without waiting; returns the question as it is asked, under an id of its own."""
        question = self.docket.distinct(question)
        self.docket = self.docket.ask(question)
        if schema is not None:
            self.schemas[question.id] = schema
        self._changed()
        return question

    async def rejoin(self, question: Question) -> Decision:
        """Wait for the decision of a question that is open, or was decided before.

        Raises:
            ApprovalExpired: As `ask`.
        """
        if self._find(question) is not None:
            return self._outcome(question)
        try:
            await self._wait(question)
        except asyncio.CancelledError:
            if self._find(question) is None:
                self.docket = self.docket.withdraw(question)
            raise
        return self._outcome(question)

    async def _wait(self, question: Question) -> None:
        for number, moment in enumerate(sorted(question.reminders), 1):
            if await self._decided(question, moment, reminder_summary(number, question.title)):
                break
            self.reminded[question.id] = number
            self._changed()
        within = question.deadline - question.asked_at
        if not await self._decided(question, within, deadline_summary(question.title)):
            self._expire(question)

    async def _decided(self, question: Question, moment: timedelta, summary: str) -> bool:
        left = question.asked_at + moment - workflow.now()
        if left <= timedelta(0):
            return self._find(question) is not None
        with suppress(TimeoutError):  # a decision may have come in the same moment
            await workflow.wait_condition(
                lambda: self._find(question) is not None, timeout=left, timeout_summary=summary
            )
        return self._find(question) is not None

    def question(self, id: str) -> Question | None:
        """Return a question that is open or decided."""
        known = (*self.docket.open, *(question for question, _ in self.docket.decided))
        return next((question for question in known if question.id == id), None)

    def _find(self, question: Question) -> Decision | None:
        for asked, decision in self.docket.decided:
            if asked.id == question.id:
                return decision
        return None

    def _expire(self, question: Question) -> None:
        verb = "reject" if question.on_deadline == "reject" else "expire"
        decision = Decision(
            type=verb,
            by="deadline",
            at=workflow.now(),
            message=f"nobody decided before {question.deadline.isoformat(timespec='seconds')}",
            question=question.id,
        )
        self.docket = self.docket.settle(question, decision)
        self._changed()

    def _outcome(self, question: Question) -> Decision:
        decision = self._find(question)
        if decision is None:
            raise AssertionError(question.id)
        if decision.type == "expire" and question.on_deadline == "fail":
            raise ApprovalExpired(f"{question.title!r}: {decision.message}")
        return decision

    def relay(
        self,
        question: Question,
        tell: Callable[[JsonObject], None],
        *,
        schema: JsonObject | None = None,
    ) -> None:
        """Show a question of a sub-agent; `tell` takes the decision to it.

        The sub-agent itself minds the deadline and the reminders.
        """
        self.docket = self.docket.ask(question)
        self.relayed[question.id] = tell
        if schema is not None:
            self.schemas[question.id] = schema
        self._changed()

    def withdraw(self, id: str) -> None:
        """Take back a relayed question that is asked no more."""
        self.relayed.pop(id, None)
        for question in self.docket.open:
            if question.id == id:
                self.docket = self.docket.withdraw(question)
                self._changed()

    def validate(self, raw: Raw) -> tuple[Question, Decision]:
        """Check a decision without taking it.

        Raises:
            Refused: One of its kinds, with the reason in words.
        """
        decision = parse_decision(raw)
        question = self.docket.check(decision, now=workflow.now())
        schema = self.schemas.get(question.id)
        if decision.type == "edit" and schema is not None:
            errors = list(
                jsonschema.Draft202012Validator(schema).iter_errors(dict(decision.args or {}))
            )
            if errors:
                raise BadDecision(f"the edited arguments do not fit the tool: {errors[0].message}")
        return question, decision

    def decide(self, raw: Raw) -> JsonObject:
        """Take a decision; returns what was recorded.

        Raises:
            Refused: As `validate`.
        """
        question, decision = self.validate(raw)
        decision = replace(decision, at=workflow.now(), question=question.id)
        self.docket = self.docket.settle(question, decision)
        tell = self.relayed.pop(question.id, None)
        if tell is not None:
            tell(decision.to_json())
        self._changed()
        return {
            "question": question.id,
            "title": question.title,
            "action": question.action,
            "digest": question.digest,
            "asked_at": question.asked_at.isoformat(),
            "decision": decision.to_json(),
        }

    def decide_later(self, raw: Raw) -> None:
        """Take a decision that came as a signal; a refusal is kept for the status."""
        try:
            self.decide(raw)
        except Refused as refusal:
            self.refused.append(str(refusal))
            workflow.logger.warning("a signalled decision was refused: %s", refusal)
            self._changed()

    def questions(self) -> list[Json]:
        """Describe the open questions."""
        return [
            {**question.to_json(), "reminded": self.reminded.get(question.id, 0)}
            for question in self.docket.open
        ]

    def decisions(self) -> list[Json]:
        """Describe the decided questions, each with its decision."""
        return [
            {**question.to_json(), "decision": decision.to_json()}
            for question, decision in self.docket.decided
        ]

    def _changed(self) -> None:
        for call in self.on_change:
            call()
