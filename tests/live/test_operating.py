"""Temperatures and thresholds of a report, by model and mode."""

import json
from pathlib import Path

import pytest

from phasewatch.errors import Refused
from phasewatch.experiment.pipeline import Done
from phasewatch.live.operating import temperatures, thresholds


def test_values_are_those_of_the_report(toy_run: Done, toy_out: Path) -> None:
    rows = {f"{row.model}.{row.mode}": row for row in toy_run.report.rows}
    assert temperatures(toy_out) == {key: row.temperatures[0] for key, row in rows.items()}
    assert set(thresholds(toy_out)) == set(rows)


def test_without_a_report_there_are_none(tmp_path: Path) -> None:
    assert temperatures(tmp_path) == thresholds(tmp_path) == {}


def test_a_threshold_that_met_no_budget_is_none(
    tmp_path: Path, toy_run: Done, toy_out: Path
) -> None:
    report = json.loads((toy_out / "report.json").read_bytes())
    for row, value in zip(report["rows"], [0.25, *[None] * len(report["rows"])], strict=False):
        row["budgeted"]["thresholds"] = [value]
    (tmp_path / "report.json").write_text(json.dumps(report))
    assert list(thresholds(tmp_path).values())[:2] == [0.25, None]


@pytest.mark.parametrize("text", ["{", "[]"])
def test_a_file_that_is_no_report_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "report.json").write_text(text)
    with pytest.raises(Refused, match="is no report"):
        temperatures(tmp_path)


def test_a_report_that_lacks_a_field_is_refused_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text('{"rows": [{"model": "gbt", "mode": "oracle"}]}')
    with pytest.raises(Refused, match="lacks 'temperatures'"):
        temperatures(tmp_path)
    with pytest.raises(Refused, match="lacks 'budgeted'"):
        thresholds(tmp_path)
