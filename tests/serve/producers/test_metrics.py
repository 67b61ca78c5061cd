"""The report's figures as events: none is changed, averaged or invented."""

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
    for row, expected in zip(board.rows, every, strict=True):
        assert (row.model, row.mode) == (expected.model, expected.mode)
        assert row.macro_f1.value == expected.unseen.value
        assert (row.macro_f1.lo, row.macro_f1.hi) == (expected.unseen.low, expected.unseen.high)
        assert row.confusion.counts == expected.confusion
        assert row.baseline == (row.ece is None)
        assert row.baseline or (row.size_bytes or 0) > 0
    floor = next(row for row in toy_run.report.baselines if row.model == "chance")
    assert board.chance_macro_f1 == floor.unseen.value


def test_an_untested_profile_has_no_score(toy_run: RunResult, toy_out: Path) -> None:
    changed = report(toy_out)
    changed["profiles"] = [*toy_run.report.profiles, "never-run"]
    board = metrics.scoreboard(changed, toy_out / "report.json")
    assert isinstance(board, Scoreboard)
    part = next(part for part in board.rows[0].per_profile if part.name == "never-run")
    assert (part.macro_f1, part.status) == (None, "untested")


def test_simulated_episodes_are_called_simulated(toy_run: RunResult, toy_out: Path) -> None:
    changed = report(toy_out) | {"simulated": True}
    for event in (metrics.scoreboard, metrics.comparison):
        found = event(changed, toy_out / "report.json")
        assert isinstance(found, Scoreboard | Comparison) and found.held_out == "simulated delta"


def test_an_undecided_pair_is_named_undecided(toy_run: RunResult, toy_out: Path) -> None:
    event = metrics.comparison(report(toy_out), toy_out / "report.json")
    assert isinstance(event, Comparison)
    words = {"better": "a", "worse": "b"}
    for pair, expected in zip(event.pairs, toy_run.report.comparisons, strict=True):
        assert (pair.a, pair.b, pair.mode) == (expected.first, expected.second, expected.mode)
        assert pair.verdict == words.get(expected.outcome, "undecided")
        assert pair.p_adjusted == expected.p


def test_a_report_that_lacks_something_is_refused_by_name(
    toy_run: RunResult, toy_out: Path
) -> None:
    changed = report(toy_out)
    del changed["profiles"]
    with pytest.raises(Refused, match="profiles"):
        metrics.scoreboard(changed, toy_out / "report.json")


def test_the_chosen_rows_and_their_record_are_those_of_the_report(
    toy_run: RunResult, toy_out: Path
) -> None:
    board = metrics.scoreboard(report(toy_out), toy_out / "report.json")
    assert isinstance(board, Scoreboard)
    for mode in ("realistic", "oracle"):
        rows = [row for row in toy_run.report.rows if row.mode == mode]
        best = max(rows, key=lambda row: row.validation.value)
        chosen = [row.model for row in board.rows if row.chosen and row.mode == mode]
        assert chosen == [best.model]
    for row, expected in zip(board.rows, toy_run.report.rows, strict=False):
        record = row.track_record
        assert record is not None
        right = sum(expected.confusion[place][place] for place in range(len(board.labels)))
        assert row.right_ratio == right / sum(map(sum, expected.confusion))
        delays = list(expected.timeline.delays.values())[1:]
        assert record.onsets == sum(one.onsets for one in delays if one)
        assert len(record.sureness) == len(expected.calibration.bins)
        assert all(part.right_ratio is not None for part in row.per_profile if part.macro_f1)
    assert board.rows[-1].track_record is None and not board.rows[-1].chosen
