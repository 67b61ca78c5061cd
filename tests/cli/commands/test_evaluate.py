"""`evaluate` and `score`: a report is computed from the predictions of a run alone."""

import json
import shutil
from pathlib import Path

from tests.cli.invoke import Run, refused

from phasewatch import schema
from phasewatch.experiment.pipeline import RunResult
from phasewatch.store.local import Store


def test_score_reproduces_the_report(run: Run, toy_run: RunResult, toy_out: Path) -> None:
    code, out, _ = run("score", toy_out / "posteriors.parquet", "--json")
    assert code == 0
    assert json.loads(out) == json.loads((toy_out / "report.json").read_text())
    code, out, _ = run("score", toy_out / "posteriors.parquet")
    assert f"{toy_run.report.rows[0].unseen.value:.3f}" in out
    assert "parquet" in refused(run("score", toy_out / "report.json"))


def test_evaluate_writes_the_report_of_a_trained_run(
    run: Run, toy_run: RunResult, toy_out: Path, tmp_path: Path
) -> None:
    shutil.copytree(toy_out, tmp_path / "run")
    (tmp_path / "run" / "report.json").unlink()
    code, out, _ = run("evaluate", tmp_path / "run", "--json")
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert code == 0 and json.loads(out) == report
    assert report == json.loads((toy_out / "report.json").read_text())
    assert (tmp_path / "run" / "report.html").exists() and (tmp_path / "run" / "report.md").exists()


def test_evaluate_refuses_the_store_of_another_run(
    run: Run, toy_run: RunResult, toy_out: Path, tmp_path: Path
) -> None:
    shutil.copytree(toy_out, tmp_path / "run")
    other = Store.create(tmp_path / "other", schema.vm46())
    line = refused(run("evaluate", tmp_path / "run", "--store", other.root))
    assert "has no episode" in line and "the store that the run was trained on" in line
    assert not (tmp_path / "run" / "report.html").exists()


def test_few_labels_stand_beside_none(
    run: Run, toy_run: RunResult, toy_out: Path, tmp_path: Path
) -> None:
    shutil.copytree(toy_out, tmp_path / "run")
    before = (tmp_path / "run" / "report.json").read_bytes()
    code, out, _ = run("few-labels", tmp_path / "run", "--labels", "5, 20", "--json")
    rows = json.loads(out)
    assert code == 0 and rows == json.loads((tmp_path / "run" / "few_labels.json").read_text())
    assert {one["labels"] for one in rows} == {5, 20}
    code, out, _ = run("few-labels", tmp_path / "run", "--labels", "5")
    assert code == 0 and f"{rows[0]['none']:.3f}" in out and f"{rows[0]['score']:.3f}" in out
    assert (tmp_path / "run" / "report.json").read_bytes() == before
    for wrong in ("five", "5,0", ""):
        assert "--labels" in refused(run("few-labels", tmp_path / "run", "--labels", wrong))
