"""Reading `.env` files."""

import pytest

from perdure.errors import AppFailed
from perdure.worker.dotenv import read_dotenv


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("A=1", {"A": "1"}),
        ("export A=1\n\n# no\nB = two words ", {"A": "1", "B": "two words"}),
        ("A=1 # why", {"A": "1"}),
        ("A=a#b", {"A": "a#b"}),
        ("A='x # ${B}'", {"A": "x # ${B}"}),
        ('A="x # y" # z', {"A": "x # y"}),
        ('A="a\\nb"', {"A": "a\nb"}),
        ('A="a\nb"\nB=1', {"A": "a\nb", "B": "1"}),
        ("A=1\nB=${A}2", {"A": "1", "B": "12"}),
        ("A=${HOME_OF}/x", {"A": "here/x"}),
        ("A=${NONE:-else}", {"A": "else"}),
        ("A=\nB=1", {"A": "", "B": "1"}),
        ("\ufeffA=1\r\nB=2\r\n", {"A": "1", "B": "2"}),
        ("A=x=y", {"A": "x=y"}),
        ("", {}),
    ],
)
def test_lines_become_values(text, values):
    assert read_dotenv(text, what=".env", around={"HOME_OF": "here"}) == values


@pytest.mark.parametrize("text", ["A=1\nnothing", "A='x"])
def test_a_line_that_is_no_assignment_is_told_without_its_text(text):
    with pytest.raises(AppFailed, match=r"\.env, line \d: expected NAME=value"):
        read_dotenv(text, what=".env", around={})
