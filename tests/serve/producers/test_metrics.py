"""The report's figures as events: none changed, none averaged, none made up."""

import json
from pathlib import Path

import pytest

from phasewatch.errors import Refused
from phasewatch.experiment.pipeline import RunResult
from phasewatch.serve.producers import metrics
from phasewatch.serve.producers.metrics import Comparison, Scoreboard


def report(out: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((out / "report.json").read_bytes())
    return found


def test_scores_are_those_of_the_report(toy_run: RunResult, toy_out: Path) -> None:
    board = metrics.scoreboard(report(toy_out), toy_out / "report.json")
    assert isinstance(board, Scoreboard)
    every = [*toy_run.report.rows, *toy_run.report.baselines]
    for row, own in zip(board.rows, every, strict=True):
        assert (row.model, row.mode) == (own.model, own.mode)
        assert row.macro_f1.value == own.unseen.value
        assert (row.macro_f1.lo, row.macro_f1.hi) == (own.unseen.low, own.unseen.high)
        assert row.confusion.counts == own.confusion
        assert row.baseline == (row.ece is None)
        assert row.baseline or (row.size_bytes or 0) > 0
    floor = next(row for row in toy_run.report.baselines if row.model == "chance")
    assert board.chance_macro_f1 == floor.unseen.value


def test_what_was_not_tested_has_no_score(toy_run: RunResult, toy_out: Path) -> None:
    told = report(toy_out)
    told["profiles"] = [*toy_run.report.profiles, "never-run"]
    board = metrics.scoreboard(told, toy_out / "report.json")
    assert isinstance(board, Scoreboard)
    part = next(part for part in board.rows[0].per_profile if part.name == "never-run")
    assert (part.macro_f1, part.status) == (None, "untested")


def test_pairs_say_undecided_in_words(toy_run: RunResult, toy_out: Path) -> None:
    told = metrics.comparison(report(toy_out), toy_out / "report.json")
    assert isinstance(told, Comparison)
    words = {"better": "a", "worse": "b"}
    for pair, own in zip(told.pairs, toy_run.report.comparisons, strict=True):
        assert (pair.a, pair.b, pair.mode) == (own.first, own.second, own.mode)
        assert pair.verdict == words.get(own.outcome, "undecided")
        assert pair.p_adjusted == own.p


def test_a_report_that_lacks_something_is_refused_by_name(
    toy_run: RunResult, toy_out: Path
) -> None:
    told = report(toy_out)
    del told["profiles"]
    with pytest.raises(Refused, match="profiles"):
        metrics.scoreboard(told, toy_out / "report.json")
