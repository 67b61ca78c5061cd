"""The held-out windows behind a run's scores are those that the report counts."""

from pathlib import Path

import pytest

from phasewatch.errors import Refused
from phasewatch.experiment.pipeline import RunResult
from phasewatch.experiment.run import Run
from phasewatch.serve.evaluated import Evaluated
from phasewatch.store.local import Store


@pytest.fixture(scope="module")
def evaluated(toy_run: RunResult, toy_out: Path) -> Evaluated:
    return Evaluated(Run(toy_out))


def test_every_cell_of_the_confusion_matrix_has_its_windows(
    evaluated: Evaluated, toy_run: RunResult, toy_store: Store
) -> None:
    starts = {id: toy_store.manifest(id).start_ns for id in toy_store.ids()}
    row, classes = toy_run.report.rows[0], toy_run.report.classes
    key = f"{row.model}.{row.mode}"
    for truth, counts in zip(classes, row.confusion, strict=True):
        for predicted, count in zip(classes, counts, strict=True):
            found = evaluated.cell(key, truth, predicted, starts)
            assert len(found) == count
            sure = [one.probability for one in found]
            assert sure == sorted(sure, reverse=True)
            assert all(0 < one.end_s <= 40 for one in found)


def test_the_share_right_is_that_of_the_confusion_matrix(
    evaluated: Evaluated, toy_run: RunResult
) -> None:
    row = toy_run.report.rows[0]
    key = f"{row.model}.{row.mode}"
    errors = evaluated.errors(key)
    right = sum(row.confusion[place][place] for place in range(len(row.confusion)))
    total = sum(map(sum, row.confusion))
    assert sum(one.windows for one in errors.values()) == total
    assert sum(one.wrong for one in errors.values()) == total - right
    by_host = evaluated.right_by(key, "host")
    assert list(by_host) == ["delta"] and by_host["delta"] == pytest.approx(right / total)


def test_what_was_not_evaluated_is_refused_by_name(evaluated: Evaluated, tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"'none\.realistic': was not evaluated"):
        evaluated.cell("none.realistic", "benign", "impact", {})
    with pytest.raises(Refused, match="'lunch': is no phase"):
        evaluated.cell("gbt.realistic", "lunch", "impact", {})
    without = Evaluated(Run(tmp_path))
    assert without.errors("gbt.realistic") == {} and without.right_by("gbt.realistic", "host") == {}
    with pytest.raises(Refused, match="the run has no predictions"):
        without.cell("gbt.realistic", "benign", "impact", {})
