"""Learning curves rise where more training data helps, and say no more than their intervals do."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests import toy

from phasewatch import schema
from phasewatch.errors import Refused
from phasewatch.experiment import curve_trainings, curves
from phasewatch.experiment.curves import CurveOptions, LearningCurves, learning_curves, outcome
from phasewatch.experiment.subsets import Fit
from phasewatch.metrics import Score
from phasewatch.store.local import Store

OPTIONS = CurveOptions(opening_s=6.0, draws=2)


def silent(line: str) -> None:
    """Print nothing."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("curves")


@pytest.fixture(scope="module")
def found(toy_store: Store, folder: Path) -> LearningCurves:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(curve_trainings, "MODEL", "logistic")
        return learning_curves(toy_store, folder, silent, OPTIONS)


def test_a_curve_that_the_store_cannot_carry_is_named_and_the_others_are_drawn(
    found: LearningCurves,
) -> None:
    # Three samples a profile leave one to train on; four hosts leave two.
    samples, hosts, episodes = found.curves
    assert not samples.points and samples.last_step is None
    assert "one size only" in samples.missing
    assert [point.size for point in hosts.points] == [1, 2]
    assert [point.size for point in episodes.points] == [0.25, 0.5, 0.75, 1]
    assert found.mode == "realistic"


def test_every_episode_is_held_out_once_for_every_point(
    found: LearningCurves, toy_store: Store
) -> None:
    for curve in found.curves[1:]:
        for point in curve.points:
            assert point.score.episodes == len(toy_store.ids())
            assert point.score.windows == 7 * len(toy_store.ids())
            assert len(point.draws) == 2
            assert point.score.value == pytest.approx(np.mean(point.draws))
            assert point.score.low is not None and point.score.high is not None
            assert point.score.low < point.score.value < point.score.high


def test_simulated_episodes_are_refused_unless_asked_for(
    toy_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretended = Store(toy_store.root, toy_store.schema, {"seed": 1})
    with pytest.raises(Refused, match="holds simulated episodes"):
        learning_curves(pretended, tmp_path, silent, OPTIONS)
    monkeypatch.setattr(curve_trainings, "MODEL", "majority")
    found = learning_curves(pretended, tmp_path, silent, replace(OPTIONS, simulated=True))
    assert all("simulated" in curve.name and "simulated" in curve.unit for curve in found.curves)


def test_a_store_that_allows_no_curve_is_refused(tmp_path: Path) -> None:
    store = Store.create(tmp_path / "store", schema.vm46())
    store.publish(toy.episode())
    with pytest.raises(Refused, match="allows no learning curve"):
        learning_curves(store, tmp_path / "out", silent, OPTIONS)


def test_files_hold_every_point(found: LearningCurves) -> None:
    rows = list(csv.DictReader(io.StringIO(curves.table(found).decode())))
    points = [point for curve in found.curves for point in curve.points]
    assert [float(row["macro_f1"]) for row in rows] == [point.score.value for point in points]
    document = json.loads(curves.document(found))
    assert document["curves"][0]["missing"] == found.curves[0].missing
    assert len(document["curves"][2]["points"]) == 4


# ---------------------------------------------------------------- the last step


def score(value: float, low: float | None, high: float | None) -> Score:
    return Score(value, low, high, 40, 400)


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (score(0.02, 0.004, 0.036), "still rises"),
        (score(-0.02, -0.04, -0.001), "falls"),
        (score(0.002, -0.005, 0.009), "flat to within 0.01"),
        (score(0.002, -0.005, 0.011), "undecided: between -0.005 and +0.011"),
        (score(0.0, -0.02, 0.0), "undecided"),
        (score(0.0, None, None), "undecided: no interval from 40 episodes"),
    ],
)
def test_a_last_step_is_flat_only_where_its_interval_says_so(step: Score, said: str) -> None:
    assert outcome(step).startswith(said)


def resampled(errors: Sequence[float], hosts: int = 12, draws: int = 4) -> curves._Resampled:
    """Points of growing size whose windows are wrong with such a probability."""
    generator = np.random.default_rng(3)
    groups = np.repeat([f"h{number}" for number in range(hosts)], 6)
    cubes = {}
    for size, wrong in enumerate(errors, 1):
        cube = np.zeros((draws, len(groups), 2, 2), np.int64)
        for draw in range(draws):
            for row in range(len(groups)):
                for truth in (0, 1):
                    missed = generator.binomial(20, wrong)
                    cube[draw, row, truth, truth] = 20 - missed
                    cube[draw, row, truth, 1 - truth] = missed
        cubes[float(size)] = cube
    return curves._Resampled(cubes, groups)


def test_a_curve_that_rises_is_told_from_one_that_is_flat() -> None:
    assert resampled([0.4, 0.3, 0.2]).last_step(2.0, 3.0).outcome == "still rises"
    flat = resampled([0.4, 0.2, 0.2], hosts=40, draws=8).last_step(2.0, 3.0)
    assert flat.outcome == "flat to within 0.01"


def test_an_interval_is_over_groups_only_where_there_are_enough() -> None:
    assert resampled([0.4, 0.2], hosts=5).over_groups
    assert not resampled([0.4, 0.2], hosts=4).over_groups


def test_an_interval_grows_with_the_differences_between_draws() -> None:
    groups = np.repeat([f"h{number}" for number in range(10)], 5)
    right, wrong = np.diag([10, 10]), np.array([[4, 6], [6, 4]])
    same = np.stack([np.stack([(right + wrong) // 2] * 50)] * 4)
    apart = np.stack([np.stack([one] * 50) for one in (right, wrong, right, wrong)])
    widths = []
    for cube in (same, apart):
        found = curves._Resampled({1.0: cube}, groups).score(1.0)
        assert found.low is not None and found.high is not None
        widths.append(found.high - found.low)
    assert widths[0] < 1e-9 < 0.1 < widths[1]


def test_folds_of_a_draw_are_put_together_by_episode() -> None:
    fits = [Fit("hosts", 1.0, draw, ("t",), ("v",), (id,)) for draw in (0, 1) for id in "ab"]
    trained = [(fit, {fit.test[0]: np.full((2, 2), place)}) for place, fit in enumerate(fits, 1)]
    cubes = curves._stacked(trained, ["a", "b"])
    assert cubes[:, :, 0, 0].tolist() == [[1, 2], [3, 4]]
