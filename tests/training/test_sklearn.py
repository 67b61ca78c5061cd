"""Every model passes the estimator checks of scikit-learn, and divides no group."""

import numpy as np
import pytest
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.utils.estimator_checks import check_estimator

import phasewatch
from phasewatch.errors import Refused
from phasewatch.models._network import Network
from phasewatch.models.base import find, names
from phasewatch.store.local import Store
from phasewatch.training import recipes
from phasewatch.training.sklearn import Estimator, _parts

CHECKED = [
    name
    for name in names()
    if find(name).view == "summary"
    and not find(name).constant
    and not issubclass(find(name), Network)
    and name != recipes.COMBINED
]


@pytest.mark.parametrize("name", CHECKED)
def test_the_estimator_passes_scikit_learns_checks(name: str) -> None:
    """Of a constant model it would ask to learn, and of networks to learn in a moment."""
    failed = [one for one in check_estimator(Estimator(name), on_fail=None, on_skip=None)
              if one["status"] == "failed"]  # fmt: skip
    assert [(one["check_name"], one["exception"]) for one in failed] == []


@pytest.mark.parametrize("name", names())
def test_every_model_learns_windows_with_gaps(name: str) -> None:
    generator = np.random.default_rng(0)
    y = np.repeat(["calm", "busy"], 40)
    x = generator.normal(0, 1, (80, 3, 12)) + 4.0 * (y == "busy")[:, None, None]
    x[::9, 1] = np.nan
    model = Estimator(name).fit(x, y)
    assert list(model.classes_) == ["busy", "calm"]
    probabilities = model.predict_proba(x)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert (model.predict(x) == y).mean() > (0.4 if find(name).constant else 0.9)
    np.testing.assert_array_equal(model.decision_function(x) > 0, model.predict(x) == "calm")


def test_an_unknown_model_is_refused_before_the_data_are_looked_at() -> None:
    with pytest.raises(
        Refused, match="model 'nope': is unknown; expected one of cnn, combination, gbt"
    ):
        Estimator("nope").fit([], [])


def test_no_group_is_split_between_training_and_validation() -> None:
    truth, groups = np.repeat([0, 1, 0, 1], 30), np.repeat(np.arange(12), 10)
    learns, chooses = _parts(truth, groups, 3)
    assert not set(groups[learns]) & set(groups[chooses])
    assert set(truth[learns]) == set(truth[chooses]) == {0, 1}


def test_one_group_per_class_validates_on_training_data() -> None:
    learns, chooses = _parts(np.array([0, 0, 1, 1]), np.array([0, 0, 1, 1]), 0)
    assert learns.all()
    assert chooses.all()


def test_scikit_learn_cross_validates_on_windows(toy_store: Store) -> None:
    windows = phasewatch.windows(toy_store, mode="oracle", opening_s=0.0)
    x, y = windows.aeon()
    found = cross_val_score(
        Estimator(),
        x,
        y,
        groups=windows.episode,
        cv=GroupKFold(3),
        params={"groups": windows.episode},
    )
    assert (found > 0.6).all()
    assert phasewatch.Estimator is Estimator
