"""A report.json of version 0.1.0 is read under the names of this version."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from phasewatch.evaluation import stored_report
from phasewatch.experiment.pipeline import RunResult
from phasewatch.experiment.run import Run
from phasewatch.serve.producers import metrics

OLD = Path(__file__).parent / "report-0.1.0.json"


@pytest.fixture
def old() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(OLD.read_text())
    return found


def names(value: Any) -> Any:
    """The field names of a report, level by level; tables by host, class or profile are leaves."""
    if isinstance(value, list):
        return names(value[0]) if value and isinstance(value[0], dict) else None
    if not isinstance(value, dict):
        return None
    tables = ("by_class", "by_profile", "by_host", "ablations", "delays", "windows")
    return {key: None if key in tables else names(field) for key, field in value.items()}


def test_an_old_report_gets_every_name_of_this_version(
    old: dict[str, Any], toy_run: RunResult
) -> None:
    now = json.loads(json.dumps(asdict(toy_run.report)))
    upgraded = stored_report.upgraded(old)
    assert all(row.pop("incidents") is None for row in upgraded["rows"])
    assert all(row.pop("incidents") for row in now["rows"])
    for name in ("across_hosts",):
        for row in (*upgraded["rows"], *now["rows"], *upgraded["baselines"], *now["baselines"]):
            assert row.pop(name) is None
    assert names(upgraded) == names(now)


def test_a_report_of_this_version_stays_as_it_is(toy_run: RunResult) -> None:
    now = json.loads(json.dumps(asdict(toy_run.report)))
    assert stored_report.upgraded(now) == now


def test_the_events_of_an_old_report_have_its_figures(old: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text(json.dumps(old))
    row = old["rows"][0]
    key = f"{row['model']}.{row['mode']}"
    assert Run(tmp_path).temperatures == {key: row["temperatures"][0]}
    assert Run(tmp_path).thresholds == {key: row["budgeted"]["thresholds"][0]}
    board = metrics.scoreboard(stored_report.upgraded(old), path)
    assert isinstance(board, metrics.Scoreboard)
    assert board.rows[0].ece == row["confidence"]["ece"]
    assert board.rows[0].false_alarms_per_hour == row["course"]["alarms"]["rate"]
    assert board.rows[-1].baseline
    compared = metrics.comparison(stored_report.upgraded(old), path)
    assert isinstance(compared, metrics.Comparison)
    assert compared.pairs[0].delta.value == old["comparisons"][0]["gap"]["value"]
