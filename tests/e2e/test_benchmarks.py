"""The benchmarks measure what they say: small runs, with every body counted."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.growth import fit
from benchmarks.report import make_rows, markdown

ROOT = Path(__file__).parents[2]
FIGURES = {
    "peer", "turns", "payload", "events", "bytes", "worker_cpu_ms_per_turn",
    "server_cpu_ms_per_turn", "replay_cpu_s", "correct",
}  # fmt: skip


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    file = tmp_path_factory.mktemp("bench") / "rows.json"
    command = "-m benchmarks --peers perdure raw-delta --turns 3 --payload 64 --repeat 1 --json"
    subprocess.run(
        [sys.executable, *command.split(), file], check=True, cwd=ROOT, stdout=subprocess.PIPE
    )
    return {row["peer"]: row for row in json.loads(file.read_text("utf-8"))}


def test_there_is_one_row_for_each_peer(rows):
    assert set(rows) == {"perdure", "raw-delta"}


@pytest.mark.parametrize("peer", ["perdure", "raw-delta"])
def test_a_row_has_every_figure(rows, peer):
    assert all(rows[peer][figure] is not None for figure in FIGURES)


@pytest.mark.parametrize("peer", ["perdure", "raw-delta"])
def test_a_row_counts_every_body_of_the_model_and_of_the_tool(rows, peer):
    row = rows[peer]
    assert row["correct"] is True
    assert (row["model_calls"], row["tool_calls"], row["messages"]) == (4, 3, 8)


def test_a_row_says_on_what_it_was_measured(rows):
    assert rows["perdure"]["machine"]["cores"] == os.cpu_count()
    assert "temporalio" in rows["perdure"]["versions"]


def cell(**figures):
    return {"suite": "single", "peer": "raw", "turns": 3, "payload": 64, **figures}


def test_what_is_not_available_is_a_row_that_says_so():
    (row,) = make_rows([cell(unavailable="no such feature")], {})
    assert row["correct"] is None
    assert "not available: no such feature" in markdown([row])


def test_one_wrong_measurement_makes_the_row_wrong():
    (row,) = make_rows([cell(correct=True), cell(correct=False)], {})
    assert row["correct"] is False


def test_a_row_is_the_median_of_its_measurements():
    found = [cell(correct=True, worker_cpu_ms_per_turn=n) for n in (1.0, 9.0, 2.0)]
    (row,) = make_rows(found, {})
    assert row["worker_cpu_ms_per_turn"] == 2.0
    assert row["worker_cpu_ms_per_turn_each"] == [1.0, 9.0, 2.0]


def test_the_fit_finds_a_quadratic_term():
    a, b, c = fit([(n, 7 + 5 * n + 3 * n * n) for n in (10, 20, 40, 80)])
    assert (round(a, 6), round(b, 6), round(c, 6)) == (7, 5, 3)


def test_growth_is_measured_without_replays(tmp_path):
    file = tmp_path / "rows.json"
    command = "-m benchmarks --peers raw-delta --suites growth --growth-turns 1 2 4 --payload 8"
    subprocess.run(
        [sys.executable, *command.split(), "--json", file],
        check=True, cwd=ROOT, stdout=subprocess.PIPE,
    )  # fmt: skip
    (row,) = json.loads(file.read_text("utf-8"))
    assert (row["points"], row["events_per_turn"]) == ("1, 2, 4", 12)
