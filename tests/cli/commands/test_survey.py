"""`survey`: the findings are written as JSON, Markdown and CSV."""

import csv
import json
from pathlib import Path

import pytest
from tests import toy
from tests.cli.invoke import Run, refused

from phasewatch import schema
from phasewatch.experiment import curve_trainings, survey
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
    rows = list(csv.DictReader((tmp_path / "out" / "counts.csv").read_text().splitlines()))
    assert sum(int(row["episodes"]) for row in rows) == len(toy_store.ids())


def test_survey_counts_any_store_without_training(
    run: Run, toy_store: Store, tmp_path: Path
) -> None:
    words = ("--counts", "--out", tmp_path / "o")
    code, printed, _ = run("survey", toy_store.root, *words)
    assert code == 0 and "all usable" in printed
    assert max(map(len, printed.splitlines()[:-1])) <= 80
    assert [path.name for path in (tmp_path / "o").iterdir()] == ["totals.csv"]
    simulated = Store.create(tmp_path / "s", schema.vm46(), {"seed": 1})
    simulated.publish(toy.episode())
    code, printed, _ = run("survey", simulated.root, *words, "--json")
    assert code == 0 and json.loads(printed)[-1]["episodes"] == 1
    line = refused(run("survey", simulated.root, *words, "--simulated"))
    assert "--simulated: has no effect on --counts" in line


def test_survey_draws_learning_curves(
    run: Run, toy_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(curve_trainings, "MODEL", "majority")
    words = ("survey", toy_store.root, "--out", tmp_path, "--opening", "6", "--curves")
    code, printed, _ = run(*words, "--draws", "2")
    assert code == 0
    assert max(map(len, printed.split("macro F1 by size", 1)[1].splitlines()[1:-1])) <= 80
    assert "training hosts" in printed and "samples: not drawn" in printed
    drawing = (tmp_path / "curves.svg").read_text(encoding="utf-8")
    assert drawing.startswith("<svg") and "share of training episodes" in drawing
    assert "training samples a profile" not in drawing
    assert (tmp_path / "curves.csv").read_text().count("\n") == 1 + 2 + 4
    code, printed, _ = run(*words, "--draws", "2", "--json")
    assert code == 0 and json.loads(printed) == json.loads((tmp_path / "curves.json").read_text())


@pytest.mark.parametrize("words", [(), ("--counts",), ("--curves",)])
def test_survey_refuses_a_store_without_episodes(
    words: tuple[str, ...], run: Run, tmp_path: Path
) -> None:
    empty = Store.create(tmp_path / "s", schema.vm46())
    line = refused(run("survey", empty.root, *words, "--out", tmp_path / "o"))
    assert "s/episodes: holds no episode; expected at least one" in line
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--counts", "--curves"), "--curves: has no effect on --counts"),
        (
            ("--counts", "--recipe", "quick", "--draws", "5"),
            "--draws, --recipe: has no effect on --counts",
        ),
        (("--counts", "--opening", "6"), "--opening: has no effect on --counts"),
        (("--curves", "--recipe", "quick"), "--recipe: has no effect on --curves"),
        (("--draws", "5"), "--draws: has no effect on a survey without --curves"),
    ],
)
def test_survey_refuses_options_without_effect(
    words: tuple[str, ...], named: str, run: Run, toy_store: Store, tmp_path: Path
) -> None:
    line = refused(run("survey", toy_store.root, *words, "--out", tmp_path / "o"))
    assert named in line and not (tmp_path / "o").exists()
