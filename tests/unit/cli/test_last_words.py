"""What a chat shows of a run's result."""

import pytest

from perdure.cli.speaking import last_words

ASKED = {"$": "human", "content": "How many?"}
SAID = {"$": "ai", "content": "Three."}
CALLED = {"$": "ai", "content": "", "tool_calls": [{"name": "count", "args": {}}]}
COUNTED = {"$": "tool", "content": "3", "name": "count"}
REPORT = {"$": "human", "content": "There are three.", "name": "counter"}


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        ([ASKED, SAID], "Three."),
        ([ASKED, CALLED, COUNTED, SAID], "Three."),
        ([ASKED, REPORT], "There are three."),
        ([ASKED, SAID, CALLED, COUNTED], "Three."),
    ],
    ids=["an answer", "after a tool call", "the report of an agent", "before a tool call"],
)
def test_the_last_words_are_the_last_text_of_a_model_or_an_agent(messages, words):
    assert last_words({"messages": messages}) == words


@pytest.mark.parametrize("messages", [[ASKED], [ASKED, CALLED, COUNTED], [ASKED, SAID, ASKED]])
def test_what_was_said_before_the_person_spoke_is_not_shown_again(messages):
    assert last_words({"messages": messages}) == ""


@pytest.mark.parametrize("result", [None, "text", {}, {"messages": "text"}])
def test_a_result_without_messages_has_no_last_words(result):
    assert last_words(result) == ""
