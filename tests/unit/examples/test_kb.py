"""The knowledge base: what is found, and that no text is a dangerous query."""

import os
import re
from pathlib import Path

import pytest

from support_agent.kb import KnowledgeBase, read_html, read_markdown, terms

KB = Path(__file__).parents[3] / "examples" / "support_agent" / "kb"
HOSTILE = ['"; drop table articles; --', "NEAR(", 'a" OR *', "\U0001f600", "\0", "", "*", '"', "^"]


@pytest.fixture(scope="module")
def help_centre():
    kb = KnowledgeBase(KB)
    yield kb
    kb.close()


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "tea.md").write_text("# Tea kettles\n\nA kettle boils water.\n")
    (tmp_path / "beans.html").write_text("<title>Beans</title><p>Beans are roasted.</p>")
    return tmp_path


@pytest.fixture
def small(folder):
    kb = KnowledgeBase(folder)
    yield kb
    kb.close()


@pytest.mark.parametrize(
    ("question", "article"),
    [
        ("I forgot my password and cannot sign in", "reset-password"),
        ("How long does a refund take?", "refund-times"),
        ("I was charged twice", "double-charge"),
        ("Can I pause my subscription during my holidays?", "subscription-pause"),
        ("How do I descale the Larch?", "descale"),
        ("Do you ship to Norway?", "delivery-international"),
        ("Which grind setting for French press?", "grind-settings"),
        ("Please put our VAT number on the invoice", "vat-business"),
    ],
)
def test_a_question_finds_its_article_first(help_centre, question, article):
    assert help_centre.search(question)[0].id == article


def test_the_help_centre_holds_at_least_forty_articles():
    assert len(list(KB.glob("*.md"))) >= 40


@pytest.mark.parametrize("path", sorted(KB.glob("*.md")), ids=lambda path: path.stem)
def test_an_article_has_a_title_and_a_useful_length(path):
    title, text = read_markdown(path.read_text(encoding="utf-8"), fallback="")
    assert title
    assert 120 <= len(text.split()) <= 300


def test_no_two_articles_share_a_title():
    titles = [path.read_text(encoding="utf-8").splitlines()[0] for path in KB.glob("*.md")]
    assert len(set(titles)) == len(titles)


@pytest.mark.parametrize("query", HOSTILE, ids=ascii)
def test_a_hostile_query_is_only_words(small, query):
    assert len(small.search(query)) <= 2


@pytest.mark.parametrize("query", HOSTILE, ids=ascii)
def test_a_hostile_query_does_not_hide_the_words_beside_it(small, query):
    assert small.search(f"{query} kettle")[0].id == "tea"


def test_a_megabyte_of_text_is_a_query_too(small):
    assert small.search("kettle " + "word " * 200_000)[0].id == "tea"


def test_a_thousand_different_words_are_capped(small):
    assert small.search("kettle " + " ".join(f"word{n}" for n in range(1000)))[0].id == "tea"


def test_right_to_left_text_is_searchable(folder):
    (folder / "arabic.md").write_text("# القهوة\n\nنرسل القهوة كل أسبوع.\n", encoding="utf-8")
    kb = KnowledgeBase(folder)
    assert kb.search("متى ترسل القهوة؟")[0].id == "arabic"
    kb.close()


def test_a_word_finds_its_other_forms(small):
    assert small.search("boiling kettles")[0].id == "tea"


def test_a_word_in_the_title_weighs_more(folder):
    (folder / "a.md").write_text("# Other\n\nHere is one line about the descaling of things.\n")
    (folder / "b.md").write_text("# Descaling\n\nHere is one line about water in some things.\n")
    kb = KnowledgeBase(folder)
    assert [one.id for one in kb.search("descaling")] == ["b", "a"]
    kb.close()


def test_stop_words_alone_find_nothing(help_centre):
    assert help_centre.search("what is this and how do I") == []


def test_the_limit_holds(help_centre):
    assert len(help_centre.search("order account card parcel", limit=2)) == 2


def test_scores_fall_from_first_to_last(help_centre):
    scores = [one.score for one in help_centre.search("refund on my card")]
    assert scores == sorted(scores, reverse=True)


def test_the_full_text_is_capped(folder):
    (folder / "long.md").write_text("# Long\n\n" + "endless " * 5000)
    kb = KnowledgeBase(folder, cap=100)
    assert len(kb.search("endless")[0].text) == 100
    kb.close()


def test_a_new_file_is_found_at_once(folder, small):
    small.search("kettle")
    (folder / "cups.md").write_text("# Cups\n\nPorcelain cups.\n")
    assert small.search("porcelain")[0].id == "cups"


def test_a_changed_file_is_read_again(folder, small):
    small.search("kettle")
    (folder / "tea.md").write_text("# Tea\n\nA samovar!\n")
    os.utime(folder / "tea.md", ns=(1, 1))
    assert small.search("samovar")[0].id == "tea"


def test_a_deleted_file_is_forgotten(folder, small):
    small.search("kettle")
    (folder / "tea.md").unlink()
    assert small.search("kettle") == []


def test_a_folder_without_articles_says_what_to_do(tmp_path):
    with pytest.raises(ValueError, match="Point SUPPORT_KB at a folder"):
        KnowledgeBase(tmp_path / "missing").search("x")


def test_files_of_other_kinds_are_ignored(folder, small):
    (folder / "notes.txt").write_text("kettle kettle kettle")
    assert [one.id for one in small.search("kettle")] == ["tea"]


def test_a_page_that_repeats_another_is_indexed_once(folder, small):
    (folder / "copy.md").write_text((folder / "tea.md").read_text())
    assert len(small.search("kettle")) == 1


def test_bytes_that_are_not_utf_8_do_not_stop_the_index(folder, small):
    (folder / "old.md").write_bytes(b"# Old\n\ncaf\xe9 machines\n")
    assert small.search("machines")[0].id == "old"


def test_html_takes_the_first_heading_as_title():
    page = "<html><head><title>Shop</title></head><body><h1>Mugs &amp; cups</h1><p>Blue.</body>"
    assert read_html(page, fallback="x") == ("Mugs & cups", "Blue.")


def test_html_falls_back_to_the_page_title():
    assert read_html("<title>Mugs</title><p>Blue.</p>", fallback="x") == ("Mugs", "Blue.")


def test_html_scripts_and_styles_are_not_text():
    page = "<h1>A</h1><script>var hidden = '<p>';</script><style>p {}</style><p>Seen.</p>"
    assert read_html(page, fallback="x")[1] == "Seen."


def test_html_with_a_head_that_is_never_closed_keeps_its_body():
    page = "<head><title>T</title><body><p>Body text.</p>"
    assert read_html(page, fallback="x") == ("T", "Body text.")


def test_markdown_without_a_heading_takes_the_file_name():
    assert read_markdown("Just text.", fallback="file name") == ("file name", "Just text.")


def test_terms_are_lower_case_distinct_and_telling():
    assert terms("The Kettle and the KETTLE, please: boil!") == ["kettle", "boil"]


def test_a_term_cannot_hold_a_quote():
    assert not any(re.search(r"\W", word) for word in terms("a\"b'c`d NEAR(x, y) x*"))
