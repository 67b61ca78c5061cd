from collections.abc import Iterator

import pytest
from rich.console import Console
from tests import toy

from phasewatch.cli import tables
from phasewatch.evaluation import evaluate
from phasewatch.evaluation.evaluate import Report
from phasewatch.experiment.pipeline import RunResult


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
    assert "1,234" in text and "hosts like these" not in text


def test_hosts_like_these_have_a_column_where_they_are_known(
    console: Console, many: Report
) -> None:
    tables.scores(many, {})
    text = console.export_text()
    across = many.rows[0].across_hosts
    assert across is not None
    assert "hosts like these" in text and f"[{across.low:.3f}, {across.high:.3f}]" in text


def test_missing_parts_and_segments_are_told(console: Console, toy_run: RunResult) -> None:
    tables.everything(toy_run.report)
    text = console.export_text()
    assert all(f"no {part}" in text for part in toy_run.report.ablations)
    assert f"{toy_run.report.rows[0].calibration.brier:.2f}" in text


def test_verdicts_say_what_is_open_and_what_nobody_may_conclude(
    console: Console, toy_run: RunResult, many: Report
) -> None:
    tables.verdicts(toy_run.report)
    text = console.export_text()
    undecided = sum(one.outcome.startswith("undecided") for one in toy_run.report.comparisons)
    assert f"undecided: {undecided} of {len(toy_run.report.comparisons)} pairs" in text
    assert "nothing can be said about hosts in general" in text
    tables.verdicts(many)
    assert "nothing can be said" not in console.export_text()
