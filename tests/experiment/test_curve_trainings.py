"""Trainings of learning curves are kept, so that a call resumes, the same in any process."""

from dataclasses import replace
from pathlib import Path

import pytest

from phasewatch.errors import Refused
from phasewatch.experiment import curve_trainings, curves
from phasewatch.experiment.curves import CurveOptions, LearningCurves, learning_curves
from phasewatch.experiment.subsets import AXES
from phasewatch.store.local import Store

OPTIONS = CurveOptions(opening_s=6.0, draws=1)
HOSTS_ALONE = [axis for axis in AXES if axis.name == "hosts"]


def silent(line: str) -> None:
    """Print nothing."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("curves")


@pytest.fixture(scope="module")
def found(toy_store: Store, folder: Path) -> LearningCurves:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(curve_trainings, "MODEL", "logistic")
        patch.setattr(curves, "AXES", HOSTS_ALONE)
        return learning_curves(toy_store, folder, silent, OPTIONS)


def test_trainings_of_an_earlier_call_are_not_repeated(
    found: LearningCurves, toy_store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(curve_trainings, "MODEL", "logistic")
    monkeypatch.setattr(curves, "AXES", HOSTS_ALONE)
    monkeypatch.setattr(curve_trainings, "fit_model", lambda *given: pytest.fail("trained again"))
    lines: list[str] = []
    assert learning_curves(toy_store, folder, lines.append, OPTIONS) == found
    assert any("0 of them to do" in line for line in lines)
    monkeypatch.setattr(curve_trainings, "fit_model", _stopped)
    with pytest.raises(KeyboardInterrupt):
        learning_curves(toy_store, folder, silent, replace(OPTIONS, opening_s=5.0))


def _stopped(*given: object) -> None:
    raise KeyboardInterrupt


def test_a_damaged_file_of_a_training_is_named(
    found: LearningCurves, toy_store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(curve_trainings, "MODEL", "logistic")
    monkeypatch.setattr(curves, "AXES", HOSTS_ALONE)
    path = sorted((folder / curves.FITS).iterdir())[0]
    whole = path.read_bytes()
    for damaged in (b"{", b"[]", b'{"alpha.dig.s0": [[1]]}'):
        path.write_bytes(damaged)
        with pytest.raises(Refused, match=f"{path.name}.*Delete it"):
            learning_curves(toy_store, folder, silent, OPTIONS)
    path.write_bytes(whole)


def test_trainings_on_other_processes_give_the_same(
    found: LearningCurves, toy_store: Store, tmp_path: Path
) -> None:
    # Workers are new processes: they train the trees that this one replaced by a baseline.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(curves, "AXES", HOSTS_ALONE)
        one = learning_curves(toy_store, tmp_path / "1", silent, OPTIONS)
        two = learning_curves(toy_store, tmp_path / "2", silent, replace(OPTIONS, jobs=2))
    assert one == two and one.model == "gbt"
