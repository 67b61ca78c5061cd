from collections.abc import Iterator
from dataclasses import replace

import pytest
from rich.console import Console
from tests import toy

from phasewatch.cli import tables
from phasewatch.evaluation import evaluate
from phasewatch.evaluation.evaluate import Report
from phasewatch.experiment.pipeline import RunResult
from phasewatch.reports import summary


@pytest.fixture
def console(monkeypatch: pytest.MonkeyPatch) -> Iterator[Console]:
    wide = Console(record=True, width=240, quiet=False)
    monkeypatch.setattr(tables, "out", wide)
    yield wide


@pytest.fixture(scope="module")
def many(toy_run: RunResult) -> Report:
    return evaluate.evaluate(toy.scattered(toy_run.predictions, 5))


def test_every_model_and_baseline_has_a_line(console: Console, toy_run: RunResult) -> None:
    report = toy_run.report
    tables.scores(report, {("gbt", "realistic"): ("1,234", "7")})
    text = console.export_text()
    for row in [*report.rows, *report.baselines]:
        lines = [line for line in text.splitlines() if row.model in line and row.mode in line]
        assert any(f"{row.unseen.value:.3f}" in line for line in lines)
    assert "1,234" in text and "other hosts" not in text


def test_tables_break_no_word_at_80_columns(monkeypatch: pytest.MonkeyPatch, many: Report) -> None:
    narrow = Console(record=True, width=80)
    monkeypatch.setattr(tables, "out", narrow)
    rows = [replace(row, model="transformer") for row in many.rows]
    tables.scores(replace(many, rows=rows), {("transformer", "realistic"): ("1,234,567", "98765")})
    tables.details(replace(many, rows=rows))
    tables.incidents(replace(many, rows=rows))
    text = narrow.export_text()
    assert max(map(len, text.splitlines())) <= 80
    words = "validation training hosts parameters seconds segments smoothed 1,234,567 98765"
    assert set(words.split()) <= set(text.split())
    assert all(f"[{row.unseen.low:.3f}, {row.unseen.high:.3f}]" in text for row in rows)


def test_one_episode_is_not_plural(console: Console, toy_run: RunResult) -> None:
    row = toy_run.report.rows[0]
    single = replace(row, seen=replace(row.seen, low=None, high=None, episodes=1))
    tables.scores(replace(toy_run.report, rows=[single]), {})
    text = console.export_text()
    assert "1 episode:" in text and "1 episodes" not in text
    assert str(single.seen).endswith("(1 episode: no interval)")


def test_other_hosts_have_a_column_where_there_are_enough(console: Console, many: Report) -> None:
    tables.scores(many, {})
    text = console.export_text()
    across = many.rows[0].across_hosts
    assert across is not None
    assert "other hosts" in text and f"[{across.low:.3f}, {across.high:.3f}]" in text


def test_ablations_and_calibration_are_printed(console: Console, toy_run: RunResult) -> None:
    tables.details(toy_run.report)
    text = console.export_text()
    assert all(part in text for part in toy_run.report.ablations)
    assert f"{toy_run.report.rows[0].calibration.brier:.2f}" in text


def test_operating_points_of_the_best_model_are_printed(
    console: Console, toy_run: RunResult
) -> None:
    tables.incidents(toy_run.report)
    text = console.export_text()
    row = summary.operated(toy_run.report)
    assert row and row.incidents
    for points, kind in ((row.incidents.points, "chosen"), (row.incidents.one_window, "window")):
        for point in points:
            assert point.phases and point.episodes
            (line,) = (
                line
                for line in text.splitlines()
                if line.split()[:2] == [f"{point.target_rate:g}*", kind]
            )
            for share in (point.phases, point.episodes):
                assert f"{share.value:.2f} [{share.low:.2f},{share.high:.2f}]" in line
    assert "too few calm hours" in text
    old = replace(toy_run.report, rows=[replace(row, incidents=None)])
    tables.incidents(old)
    assert console.export_text() == ""


def test_comparisons_count_undecided_pairs_and_warn_of_few_hosts(
    console: Console, toy_run: RunResult, many: Report
) -> None:
    tables.comparisons(toy_run.report)
    text = console.export_text()
    undecided = sum(one.outcome.startswith("undecided") for one in toy_run.report.comparisons)
    assert f"undecided: {undecided} of {len(toy_run.report.comparisons)} pairs" in text
    assert "nothing can be said about hosts in general" in text
    tables.comparisons(many)
    assert "nothing can be said" not in console.export_text()
