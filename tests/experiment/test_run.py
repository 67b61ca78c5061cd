"""A run's folder is opened and checked for missing files; no other module has their names."""

import ast
import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from tests import toy
from tests.paths import ROOT

from phasewatch.errors import Refused
from phasewatch.evaluation.evaluate import best_on_validation
from phasewatch.experiment import run as runs
from phasewatch.experiment.pipeline import RunResult
from phasewatch.experiment.run import Run
from phasewatch.io import atomic


@pytest.fixture
def copy(toy_run: RunResult, toy_out: Path, tmp_path: Path) -> Run:
    """The toy run, to be damaged."""
    shutil.copytree(toy_out, tmp_path / "run")
    return Run.open(tmp_path / "run")


def test_an_opened_run_returns_its_report_and_predictions(
    toy_run: RunResult, toy_out: Path
) -> None:
    found = Run.open(str(toy_out))
    assert found.recipe == toy.RECIPE
    assert found.report == toy_run.report
    assert found.split == toy_run.trained.folds[0].split
    assert found.folds == {}
    assert [one.id for one in found.validation] == [one.id for one in toy_run.trained.results]
    for module, expected in zip(
        found.predictions.predictions, toy_run.predictions.predictions, strict=True
    ):
        np.testing.assert_array_equal(module.logits, expected.logits)
    keys = {f"{row.model}.{row.mode}" for row in toy_run.report.rows}
    assert set(found.temperatures) == set(found.thresholds) == set(found.models()) == keys
    assert found.checkpoint("gbt", "realistic").name == "gbt-realistic"
    assert found.missing() == []
    found.check()


def test_a_report_is_written_as_it_was_read(toy_run: RunResult, copy: Run) -> None:
    before = copy.report_path.read_bytes()
    copy.write_report(copy.report)
    assert copy.report_path.read_bytes() == before
    assert json.loads(before) == json.loads(json.dumps(asdict(toy_run.report)))


@pytest.mark.parametrize(
    "name",
    [
        "run.json",
        "validation_v1.parquet",
        "posteriors.parquet",
        "report.json",
        "checkpoints/gbt-realistic.ckpt.json",
    ],
)
def test_missing_files_of_a_run_are_named_in_one_line(copy: Run, name: str) -> None:
    (copy.path / name).unlink()
    assert copy.missing() == [name]
    with pytest.raises(Refused, match=f"lacks {name}") as found:
        copy.check()
    assert "\n" not in str(found.value) and found.value.code == "run_incomplete"


def test_a_run_without_a_checkpoint_is_refused(copy: Run) -> None:
    shutil.rmtree(copy.path / "checkpoints")
    assert copy.missing() == ["checkpoints"]
    assert (copy.checkpoint_paths(), copy.models(), copy.split) == ([], {}, None)


def test_every_fold_is_checked(copy: Run) -> None:
    (copy.path / "folds").mkdir()
    for name in ("alpha", "beta"):
        shutil.copytree(copy.path / "checkpoints", copy.fold(name).path / "checkpoints")
    shutil.rmtree(copy.path / "checkpoints")
    assert copy.missing() == []
    gone = copy.fold("beta").checkpoint_path("majority", "oracle")
    gone.unlink()
    assert copy.missing() == ["folds/beta/checkpoints/majority-oracle.ckpt.json"]
    report = copy.read_report()
    report["folds"] = [{**report["folds"][0], "held_out": name} for name in ("alpha", "gamma")]
    atomic.write(copy.report_path, json.dumps(report).encode())
    assert "folds/gamma/checkpoints" in copy.missing()
    with pytest.raises(Refused, match=r"Open a fold of it, such as .*folds/alpha"):
        copy.checkpoint("gbt", "oracle")


def test_an_absent_file_is_refused_in_one_line(copy: Run, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="is no folder"):
        Run.open(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(Refused, match=r"empty: holds no file of a run; expected the folder of a"):
        Run.open(tmp_path / "empty")
    with pytest.raises(Refused, match=r"mlp-oracle.*is missing; expected one of gbt-oracle"):
        copy.checkpoint("mlp", "oracle")
    for path in (copy.record_path, copy.report_path, copy.predictions_path, copy.index_path):
        path.unlink()
    for name in ("record", "recipe", "report", "predictions", "validation"):
        with pytest.raises(Refused, match=r"missing|No such file"):
            getattr(copy, name)
    assert copy.temperatures == copy.thresholds == {}


def test_a_damaged_file_is_refused_in_one_line(copy: Run) -> None:
    copy.report_path.write_text("{")
    with pytest.raises(Refused, match="is no report"):
        _ = copy.temperatures
    copy.report_path.write_text('{"rows": [{"model": "gbt", "mode": "oracle"}]}')
    with pytest.raises(Refused, match="lacks 'temperatures'"):
        _ = copy.temperatures
    with pytest.raises(Refused, match=r"rows\.0\.|recipe: Field required"):
        _ = copy.report
    copy.record_path.write_text('{"recipe": {"name": 3}}')
    with pytest.raises(Refused, match=r"run\.json: recipe: name: Input should be"):
        _ = copy.recipe


@pytest.mark.parametrize(
    "report",
    [
        '{"rows": 5}',
        '{"rows": [5]}',
        '{"comparisons": [5]}',
        '{"rows": [{"timeline": 3}]}',
        '{"rows": [{"model": "gbt", "mode": "realistic", "temperatures": []}]}',
        '{"rows": [{"model": "gbt", "mode": "realistic", "temperatures": ["x"]}]}',
        pytest.param("[" * 100_000, id="deep"),
    ],
)
def test_a_report_of_another_form_is_one_line(report: str, tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text(report)
    with pytest.raises(Refused, match=r"report\.json: ") as refused:
        _ = Run.open(tmp_path).temperatures
    assert "\n" not in str(refused.value)


def test_a_file_among_the_folds_is_no_fold(copy: Run) -> None:
    (copy.path / "folds").mkdir()
    (copy.path / "folds" / ".DS_Store").touch()
    assert copy.folds == {}


def test_a_folder_of_another_run_is_refused(copy: Run) -> None:
    assert Run.create(copy.path, copy.record) == copy
    other = {**copy.record, "recipe": asdict(replace(toy.RECIPE, seed=1))}
    with pytest.raises(Refused, match=r"recipe\.seed is 0 there and 1 here"):
        Run.create(copy.path, other)
    copy.record_path.write_text("{")
    with pytest.raises(Refused, match="it cannot be read"):
        Run.create(copy.path, other)


EVERYWHERE = {
    runs.RECORD,
    runs.PREDICTIONS,
    runs.REPORT,
    runs.PAGE,
    runs.MARKDOWN,
    runs.CHECKPOINTS,
}
IN_PATHS = {runs.FOLDS, runs.LOGS, runs.STATES, "*.ckpt.json"}


def spelled(path: Path) -> Iterator[str]:
    """Names of a run's files that a module spells: anywhere, or as a part of a path or a glob."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and node.value in EVERYWHERE:
            yield str(node.value)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            right = node.right
            if isinstance(right, ast.Constant) and right.value in IN_PATHS:
                yield str(right.value)
        if isinstance(node, ast.Call) and "glob" in ast.unparse(node.func):
            arguments = (one.value for one in node.args if isinstance(one, ast.Constant))
            yield from (str(value) for value in arguments if value in IN_PATHS)


def test_only_the_run_module_spells_the_names_of_run_files() -> None:
    """`bench/csv_to_report.py` plays a user, who has the commands and no Python."""
    module = Path(str(runs.__file__))
    files = [*(ROOT / "src").rglob("*.py"), *(ROOT / "bench").glob("*.py")]
    found = {
        path.name: set(spelled(path))
        for path in files
        if path not in (module, ROOT / "bench" / "csv_to_report.py")
    }
    assert {name: names for name, names in found.items() if names} == {}
    assert set(spelled(module)) == EVERYWHERE


def test_the_rule_of_every_model_is_that_of_the_report(
    toy_run: RunResult, toy_out: Path, copy: Run
) -> None:
    found = Run.open(toy_out)
    for row in toy_run.report.rows:
        key = f"{row.model}.{row.mode}"
        assert row.incidents is not None
        for point in row.incidents.points:
            (rule,) = point.rules
            assert found.alarm_rules(point.target_rate)[key] == rule
            path = found.checkpoint_path(row.model, row.mode)
            assert Run.alarm_rule_of(path, point.target_rate) == rule
        assert rule.temperature == row.temperatures[0]
    again = found.checkpoint_path("gbt", "realistic", repeat=1)
    assert Run.alarm_rule_of(again) is None
    report = copy.read_report()
    report["rows"][0]["incidents"]["points"][2]["rules"][0]["cap"] = 0
    copy.report_path.write_text(json.dumps(report))
    with pytest.raises(Refused, match=r"incidents: is no alarm rule"):
        copy.alarm_rules()


def test_a_fold_has_its_values_of_the_report_around_it(copy: Run) -> None:
    report = copy.read_report()
    report["folds"] = [{"held_out": "one"}, {"held_out": "two"}]
    for row in report["rows"]:
        row["temperatures"] = [1.0, 2.0]
        for point in row["incidents"]["points"]:
            point["rules"] = [point["rules"][0], {**point["rules"][0], "threshold": 7.0}]
    copy.report_path.write_text(json.dumps(report))
    assert set(copy.fold("two").temperatures.values()) == {2.0}
    assert {rule.threshold for rule in copy.fold("two").alarm_rules().values()} == {7.0}
    assert copy.fold("three").temperatures == {}


def test_a_report_without_rules_has_none(copy: Run) -> None:
    report = copy.read_report()
    for row in report["rows"]:
        del row["incidents"]
    copy.report_path.write_text(json.dumps(report))
    assert copy.alarm_rules() == {}
    assert all(row.incidents is None for row in copy.report.rows)


def test_the_chosen_models_are_the_best_on_validation(toy_run: RunResult, toy_out: Path) -> None:
    found = Run(toy_out).chosen
    for mode in ("realistic", "oracle"):
        rows = [row for row in toy_run.report.rows if row.mode == mode]
        assert found[mode] == f"{best_on_validation(rows).model}.{mode}"
    assert Run(toy_out / "nowhere").chosen == {}
