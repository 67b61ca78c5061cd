"""`survey`: the findings are written as JSON, Markdown and CSV."""

import csv
import json
from pathlib import Path

import pytest
from tests.cli.invoke import Run

from phasewatch.experiment import survey
from phasewatch.store.local import Store


def test_survey_writes_its_findings(
    run: Run, toy_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(survey, "MODEL", "majority")
    words = ("survey", toy_store.root, "--opening", "6", "--out", tmp_path / "out")
    code, out, _ = run(*words)
    assert code == 0 and "findings: " in out
    found = json.loads((tmp_path / "out" / "survey.json").read_text())
    assert {line["model"] for line in found["models"]} == {"majority"}
    assert "Every host held out once" in (tmp_path / "out" / "survey.md").read_text()
    rows = list(csv.DictReader((tmp_path / "out" / "counts.csv").open()))
    assert sum(int(row["episodes"]) for row in rows) == len(toy_store.ids())
