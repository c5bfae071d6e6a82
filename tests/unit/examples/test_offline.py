"""The offline model, and the choice of a model."""

import json

import pytest
from langchain_core.messages import HumanMessage

from support_agent import prompts
from support_agent.model import choose_model
from support_agent.offline import ADMISSION, OfflineModel, classify, draft

FOUND = [
    {
        "id": "kettles",
        "title": "Kettles & pots",
        "score": 1.0,
        "snippet": "",
        "text": "A kettle boils in three minutes. The lid costs £4 and is sold apart. "
        "Whistles are available in green.",
    }
]
MODEL = OfflineModel()


@pytest.mark.parametrize(
    ("question", "category"),
    [
        ("How do I reset my password?", "account"),
        ("Please unlock my account", "account"),
        ("When do I get my refund?", "billing"),
        ("I need an invoice", "billing"),
        ("How do I descale the machine?", "faq"),
        ("Do you deliver to Norway?", "faq"),
        ("Let me speak to a human", "escalate"),
        ("My lawyer will write to you", "escalate"),
        ("There is fraud on my card", "escalate"),
        ("This is unacceptable, I am furious", "escalate"),
        ("The kettle burned my hand", "escalate"),
        ("WHY DOES NOBODY EVER ANSWER MY LETTERS TO YOU", "escalate"),
    ],
)
def test_a_question_is_sorted_by_its_words(question, category):
    assert classify(question, ["Some article"]) == category


def test_a_question_without_articles_goes_to_a_person():
    assert classify("How do I reset my password?", []) == "escalate"


def test_the_classification_is_one_of_the_set():
    reply = MODEL.invoke(prompts.classify_chat("How hot is the kettle?", FOUND))
    assert prompts.parse_category(reply.text) == "faq"


def test_a_repaired_classification_is_answered_too():
    chat = prompts.repair_chat(prompts.classify_chat("I want my refund", FOUND), "dunno")
    assert MODEL.invoke(chat).text == "billing"


def test_a_draft_copies_the_sentence_that_fits():
    reply = MODEL.invoke(prompts.draft_chat("What does the lid cost?", "faq", FOUND))
    assert "The lid costs £4 and is sold apart." in reply.text


def test_a_draft_leaves_out_what_does_not_fit():
    reply = MODEL.invoke(prompts.draft_chat("What does the lid cost?", "faq", FOUND))
    assert "Whistles" not in reply.text


def test_a_draft_names_its_article():
    reply = MODEL.invoke(prompts.draft_chat("What does the lid cost?", "faq", FOUND))
    assert '"Kettles & pots"' in reply.text


def test_a_draft_ends_with_the_admission_that_it_is_not_from_an_llm():
    reply = MODEL.invoke(prompts.draft_chat("What does the lid cost?", "faq", FOUND))
    assert reply.text.splitlines()[-1] == ADMISSION
    assert "not an LLM" in ADMISSION


def test_a_draft_without_a_fitting_sentence_does_not_guess():
    assert "I do not guess" in draft("Is it raining?", [("Kettles", "A kettle boils water fast.")])


def test_the_same_prompt_has_the_same_answer():
    chat = prompts.draft_chat("What does the lid cost?", "faq", FOUND)
    assert MODEL.invoke(chat).content == MODEL.invoke(chat).content


def test_a_prompt_of_another_kind_is_answered():
    assert ADMISSION in MODEL.invoke([HumanMessage("hello")]).text


async def test_the_asynchronous_call_answers_alike():
    chat = prompts.draft_chat("What does the lid cost?", "faq", FOUND)
    assert (await MODEL.ainvoke(chat)).content == MODEL.invoke(chat).content


def test_a_reply_says_why_it_stopped():
    reply = MODEL.invoke(prompts.classify_chat("x", FOUND))
    assert reply.response_metadata["stop_reason"] == "end_turn"


def test_a_reply_counts_its_words():
    usage = MODEL.invoke(prompts.classify_chat("x", FOUND)).usage_metadata
    assert usage["output_tokens"] == 1
    assert usage["total_tokens"] == usage["input_tokens"] + 1


def test_the_journal_holds_one_line_for_each_call(tmp_path):
    journal = tmp_path / "new" / "calls.jsonl"
    model = OfflineModel(journal=journal)
    model.invoke(prompts.classify_chat("x", FOUND))
    model.invoke(prompts.draft_chat("x", "faq", FOUND))
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    assert [line["kind"] for line in lines] == ["classify", "draft"]


def test_the_journal_tells_equal_calls_by_their_digest(tmp_path):
    model = OfflineModel(journal=tmp_path / "calls.jsonl")
    for question in ("x", "x", "y"):
        model.invoke(prompts.classify_chat(question, FOUND))
    lines = (tmp_path / "calls.jsonl").read_text().splitlines()
    assert len(lines) == 3
    assert len(set(lines)) == 2


def test_without_any_setting_the_offline_model_is_chosen():
    model, label = choose_model({})
    assert isinstance(model, OfflineModel)
    assert label == "offline"


@pytest.mark.parametrize(
    ("env", "label"),
    [
        ({"ANTHROPIC_API_KEY": "k"}, "anthropic:claude-sonnet-4-6"),
        ({"OPENAI_API_KEY": "k"}, "openai:gpt-4.1-mini"),
        ({"ANTHROPIC_API_KEY": "k", "OPENAI_API_KEY": "k"}, "anthropic:claude-sonnet-4-6"),
        ({"SUPPORT_MODEL": "openai:x", "ANTHROPIC_API_KEY": "k"}, "openai:x"),
        ({"SUPPORT_MODEL": "offline", "ANTHROPIC_API_KEY": "k"}, "offline"),
    ],
    ids=lambda value: value if isinstance(value, str) else "+".join(value),
)
def test_the_environment_chooses_the_model(env, label):
    assert choose_model(env)[1] == label


def test_the_environment_sets_journal_and_delay(tmp_path):
    env = {"SUPPORT_OFFLINE_JOURNAL": str(tmp_path / "j"), "SUPPORT_OFFLINE_DELAY": "0.5"}
    model, _ = choose_model(env)
    assert (model.journal, model.delay) == (tmp_path / "j", 0.5)


@pytest.mark.parametrize("delay", ["soon", "-1", "inf", "nan"])
def test_a_delay_that_is_no_number_of_seconds_is_refused(delay):
    with pytest.raises(ValueError, match="SUPPORT_OFFLINE_DELAY is"):
        choose_model({"SUPPORT_OFFLINE_DELAY": delay})
