import inspect
import pickle
import re
from pathlib import Path

import pytest

from perdure import errors
from perdure.errors import PerdureError

CLASSES = [kind for _, kind in inspect.getmembers(errors, inspect.isclass)]
CLASSES = [kind for kind in CLASSES if issubclass(kind, PerdureError)]
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "errors.md"
by_name = pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)


def drawn() -> dict[str, str | None]:
    """Read the tree of the docstring: each class with the one above it."""
    above: list[str] = []
    found: dict[str, str | None] = {}
    for line in (errors.__doc__ or "").partition("```\n")[2].partition("```")[0].splitlines():
        match = re.match(r"([│├└─ ]*)(\w+)", line)
        assert match, line
        depth = len(match[1]) // 4
        above[depth:] = [match[2]]
        found[match[2]] = above[depth - 1] if depth else None
    return found


def parent(kind: type[PerdureError]) -> str | None:
    return next((b.__name__ for b in kind.__bases__ if issubclass(b, PerdureError)), None)


def rows() -> dict[str, list[str]]:
    """Read the tables of the reference page: each code with its cells."""
    lines = PAGE.read_text("utf-8").splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if "|" in line]
    return {row[0].strip("`"): row for row in cells if row[0].startswith("`")}


def test_codes_are_unique():
    assert len({kind.code for kind in CLASSES}) == len(CLASSES)


@by_name
def test_each_class_has_a_code_of_its_own(kind):
    assert "code" in vars(kind)


@by_name
def test_a_code_is_lower_case_words(kind):
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", kind.code)


@by_name
def test_each_class_says_in_a_sentence_when_it_is_raised(kind):
    assert kind.__doc__
    assert kind.__doc__.endswith(".")


def test_the_tree_in_the_docstring_is_the_tree_of_the_classes():
    assert drawn() == {kind.__name__: parent(kind) for kind in CLASSES}


@by_name
def test_an_error_survives_pickling_with_its_text(kind):
    back = pickle.loads(pickle.dumps(kind("it failed")))  # noqa: S301 - made here

    assert (type(back), str(back)) == (kind, "it failed")


@pytest.mark.parametrize(
    "kind", [k for k in CLASSES if k is not PerdureError], ids=lambda k: k.code
)
class TestReference:
    def test_page_lists_the_code_with_its_class(self, kind):
        assert rows()[kind.code][1] == f"`{kind.__name__}`"

    def test_page_says_when_it_is_raised(self, kind):
        assert rows()[kind.code][2]


def test_the_reference_lists_nothing_else():
    assert set(rows()) == {kind.code for kind in CLASSES} - {"perdure"}


def test_each_error_that_is_raised_itself_has_a_remedy_in_the_reference():
    bases = {parent(kind) for kind in CLASSES}
    leaves = [kind for kind in CLASSES if kind.__name__ not in bases]

    assert all(rows()[kind.code][3] for kind in leaves)
