"""The support agent as plain LangGraph: a scripted model, recording tools, no Temporal."""

from dataclasses import asdict, dataclass, field
from datetime import timedelta

import pytest
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from support_agent.graph import build
from support_agent.kb import Article

CONFIG = {"configurable": {"thread_id": "t"}}
ASKED = {"message": "How long does a refund take?", "customer": "ann@example.com"}
ARTICLE = Article(id="refunds", title="Refunds", score=2.0, snippet="", text="Five working days.")


class Scripted(FakeListChatModel):
    """Say the lines one after the other and keep what was asked."""

    asked: list = []  # noqa: RUF012 (pydantic copies it)

    def _call(self, messages, *args, **kwargs):
        self.asked.append(messages)
        return super()._call(messages, *args, **kwargs)


@dataclass(kw_only=True)
class World:
    """What the agent did, and the agent itself."""

    lines: list
    found: list = field(default_factory=lambda: [ARTICLE])
    queries: list = field(default_factory=list)
    tickets: list = field(default_factory=list)
    mails: list = field(default_factory=list)

    def __post_init__(self):
        @tool
        async def search_kb(query: str) -> list:
            """Search."""
            self.queries.append(query)
            return [asdict(one) for one in self.found]

        @tool
        async def create_ticket(title: str, body: str, customer: str) -> dict:
            """Create."""
            self.tickets.append({"title": title, "body": body, "customer": customer})
            return {"id": "T1", "title": title, "url": None}

        @tool
        async def send_email(to: str, subject: str, body: str) -> dict:
            """Send."""
            self.mails.append({"to": to, "subject": subject, "body": body})
            return {"message_id": "<1@x>"}

        self.model = Scripted(responses=self.lines)
        graph = build(
            self.model, search_kb, create_ticket, send_email,
            within=timedelta(hours=24), label="scripted",
        )  # fmt: skip
        self.graph = graph.compile(checkpointer=InMemorySaver())

    async def ask(self, **changes):
        return await self.graph.ainvoke(ASKED | changes, CONFIG)

    async def decide(self, **decision):
        return await self.graph.ainvoke(Command(resume=decision), CONFIG)

    async def question(self):
        (waiting,) = (await self.graph.aget_state(CONFIG)).interrupts
        return waiting.value


@pytest.fixture
def drafted():
    return World(lines=["billing", "Five days, Ann."])


async def test_an_approved_draft_is_sent(drafted):
    await drafted.ask()
    report = await drafted.decide(type="approve", by="bea")
    assert report["outcome"] == "sent"
    assert [mail["body"] for mail in drafted.mails] == ["Five days, Ann."]


async def test_the_report_of_a_sent_reply_is_complete(drafted):
    await drafted.ask()
    assert await drafted.decide(type="approve", by="bea") == {
        "outcome": "sent",
        "category": "billing",
        "articles": [{"id": "refunds", "title": "Refunds"}],
        "draft": "Five days, Ann.",
        "reply": "Five days, Ann.",
        "reason": "",
        "ticket_id": None,
        "message_id": "<1@x>",
        "model": "scripted",
        "decided_by": "bea",
    }


async def test_nothing_is_sent_before_the_decision(drafted):
    await drafted.ask()
    assert drafted.mails == []


async def test_an_edited_text_is_sent_instead_of_the_draft(drafted):
    await drafted.ask()
    report = await drafted.decide(type="edit", args={"body": "Three days."}, by="bea")
    assert drafted.mails[0]["body"] == report["reply"] == "Three days."
    assert report["draft"] == "Five days, Ann."


async def test_an_edited_subject_is_sent(drafted):
    await drafted.ask()
    await drafted.decide(type="edit", args={"subject": "Your refund", "body": "x"}, by="bea")
    assert drafted.mails[0]["subject"] == "Your refund"


@pytest.mark.parametrize("args", [{"body": " "}, {"to": "eve@example.com", "body": "x"}], ids=str)
async def test_an_edit_that_cannot_be_sent_is_asked_again(drafted, args):
    await drafted.ask()
    await drafted.decide(type="edit", args=args, by="bea")
    assert "could not be carried out" in (await drafted.question())["text"]
    assert drafted.mails == []


async def test_a_second_decision_after_a_bad_edit_counts(drafted):
    await drafted.ask()
    await drafted.decide(type="edit", args={"body": ""}, by="bea")
    report = await drafted.decide(type="approve", by="bea")
    assert (report["outcome"], len(drafted.mails)) == ("sent", 1)


async def test_a_rejected_draft_sends_nothing_and_opens_no_ticket(drafted):
    await drafted.ask()
    report = await drafted.decide(type="reject", message="Too short.", by="bea")
    assert report["outcome"] == "rejected"
    assert (drafted.mails, drafted.tickets) == ([], [])


async def test_the_reason_of_a_rejection_is_kept(drafted):
    await drafted.ask()
    report = await drafted.decide(type="reject", message="Too short.", by="bea")
    assert (report["reason"], report["decided_by"]) == ("Too short.", "bea")


async def test_a_passed_deadline_opens_a_ticket_and_ends_expired(drafted):
    await drafted.ask()
    report = await drafted.decide(type="expire")
    assert (report["outcome"], report["ticket_id"]) == ("expired", "T1")
    assert drafted.mails == []


async def test_the_ticket_of_a_passed_deadline_holds_the_draft(drafted):
    await drafted.ask()
    await drafted.decide(type="expire")
    assert "Five days, Ann." in drafted.tickets[0]["body"]


async def test_a_passed_deadline_says_how_long_nobody_decided(drafted):
    await drafted.ask()
    assert "within 24 hours" in (await drafted.decide(type="expire"))["reason"]


async def test_a_message_for_a_person_opens_a_ticket_without_a_draft():
    world = World(lines=["escalate"])
    report = await world.ask()
    assert (report["outcome"], report["ticket_id"], report["draft"]) == ("escalated", "T1", "")
    assert len(world.model.asked) == 1


async def test_the_question_shows_what_would_be_sent(drafted):
    await drafted.ask()
    question = await drafted.question()
    assert question["action"] == "send_email"
    assert question["args"]["to"] == "ann@example.com"
    assert question["args"]["body"] == "Five days, Ann."


async def test_an_answer_outside_the_set_is_repaired():
    world = World(lines=["refunds", "billing", "Draft."])
    await world.ask()
    assert (await world.decide(type="approve", by="bea"))["category"] == "billing"


async def test_the_repair_tells_the_model_what_was_wrong():
    world = World(lines=["refunds", "billing", "Draft."])
    await world.ask()
    assert "You answered 'refunds'" in world.model.asked[1][-1].text


async def test_two_repairs_are_tried():
    world = World(lines=["refunds", "money", "billing", "Draft."])
    await world.ask()
    assert (await world.question())["args"]["body"] == "Draft."


async def test_a_third_answer_outside_the_set_escalates():
    world = World(lines=["refunds", "money", "cash", "never asked"])
    report = await world.ask()
    assert (report["outcome"], len(world.model.asked)) == ("escalated", 3)
    assert "'refunds', 'money', 'cash'" in report["reason"]


async def test_an_empty_draft_escalates():
    world = World(lines=["faq", "  "])
    assert (await world.ask())["outcome"] == "escalated"


async def test_the_draft_is_asked_for_with_the_articles_found(drafted):
    await drafted.ask()
    assert "Five working days." in drafted.model.asked[1][-1].text


async def test_the_model_is_called_once_for_each_task_although_the_run_waited(drafted):
    await drafted.ask()
    await drafted.decide(type="approve", by="bea")
    assert len(drafted.model.asked) == 2


@pytest.mark.parametrize("message", ["", " \n", "\0"], ids=repr)
async def test_an_empty_message_fails_with_what_to_do(message):
    with pytest.raises(ValueError, match="Pass what the customer wrote"):
        await World(lines=["x"]).ask(message=message)


async def test_a_missing_customer_fails_with_what_to_do():
    with pytest.raises(ValueError, match="got None"):
        await World(lines=["x"]).graph.ainvoke({"message": "hello"}, CONFIG)


async def test_what_is_not_an_address_fails_before_anything_is_asked():
    world = World(lines=["x"])
    with pytest.raises(ValueError, match="got 'ann'"):
        await world.ask(customer="ann")
    assert (world.queries, world.model.asked) == ([], [])


@pytest.mark.parametrize("message", ["Hi\0 there", "\U0001f600 \u202eabc", "שלום", "x" * 100_000])
async def test_a_strange_message_goes_through_everything(message):
    world = World(lines=["faq", f"You wrote: {message[:50]}"])
    await world.ask(message=message)
    report = await world.decide(type="approve", by="bea")
    assert report["outcome"] == "sent"
    assert "\0" not in world.queries[0] + world.mails[0]["body"]


async def test_without_a_label_the_report_names_the_model_of_the_reply():
    world = World(lines=["escalate"])
    graph = build(world.model, *_tools(world), within=timedelta(hours=1)).compile()
    assert (await graph.ainvoke(ASKED))["model"] == "unknown"


def _tools(world):
    @tool
    async def search_kb(query: str) -> list:
        """Search."""
        return []

    @tool
    async def anything(**kwargs: str) -> dict:
        """Do."""
        return {"id": "T1", "message_id": "<1@x>"}

    return search_kb, anything, anything
