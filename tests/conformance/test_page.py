"""The committed page of results lists the cases that exist, and no others."""

import json
import re
from pathlib import Path

from conformance.case import all_cases
from conformance.page import DATA, PAGE, Row, write_page

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference"


def test_the_page_lists_exactly_the_cases() -> None:
    listed = re.findall(r"\| `(\w+)` \|$", (REFERENCE / PAGE).read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(case.id for case in all_cases()), "run: make conformance"


def test_the_data_tell_what_each_case_is_about() -> None:
    told = json.loads((REFERENCE / DATA).read_text())["cases"]
    assert {(one["id"], one["area"], one["feature"]) for one in told} == {
        (case.id, case.area, case.feature) for case in all_cases()
    }, "run: make conformance"


def test_no_committed_row_fails() -> None:
    told = json.loads((REFERENCE / DATA).read_text())["cases"]
    assert [one["id"] for one in told if one["verdict"] == "fails"] == []


def test_a_case_that_fails_is_told_as_such(tmp_path: Path) -> None:
    case = all_cases()[0]
    write_page(tmp_path, [Row(case=case, passed=False, said="it differs\nmore")])
    assert "| fails: it differs |" in (tmp_path / PAGE).read_text()
