"""What every model promises; a new file in models/ is tested because it is there."""

import numpy as np
import pytest

from phasewatch.errors import Refused
from phasewatch.features.views import Array
from phasewatch.models.base import Data, balance, find, names

CLASSES = 4


def data(rows: int, seed: int, view: str, missing: bool = True) -> Data:
    generator = np.random.default_rng(seed)
    y = generator.integers(0, 3, rows)
    shape = (rows, 6) if view == "summary" else (rows, 6, 20)
    z: Array = generator.normal(0, 1, shape)
    z[np.arange(rows), y] += 4
    if missing:
        z[::7, 4] = np.nan
    return Data(z, y, CLASSES)


@pytest.fixture(params=names())
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_logits_have_one_column_per_class_and_are_finite(name: str) -> None:
    kind = find(name)
    model = kind(CLASSES, 0)
    model.fit(data(120, 1, kind.view), data(60, 2, kind.view))
    z = data(7, 3, kind.view).z
    z[0] = np.nan
    logits = model.logits(z)
    single = logits.astype(np.float32)
    assert logits.shape == (7, CLASSES)
    assert np.isfinite(logits).all()
    for row in range(7):
        # A window gets the same answer live, alone, as offline among others.
        alone = model.logits(z[row : row + 1])[0].astype(np.float32)
        np.testing.assert_array_equal(alone, single[row])


def test_a_model_learns_separable_classes(name: str) -> None:
    kind = find(name)
    model = kind(CLASSES, 0)
    train, test = data(300, 1, kind.view), data(300, 4, kind.view)
    model.fit(train, data(100, 2, kind.view))
    right = (model.logits(test.z).argmax(axis=1) == test.y).mean()
    common = np.bincount(test.y).max() / len(test.y)
    assert right <= common + 0.05 if kind.constant else right > 0.9


def test_loaded_weights_give_the_same_logits(name: str) -> None:
    kind = find(name)
    model = kind(CLASSES, 0)
    model.fit(data(120, 1, kind.view), data(60, 2, kind.view))
    z = data(50, 3, kind.view).z
    again = kind.load(model.save(), z.shape[1:], CLASSES)
    np.testing.assert_array_equal(again.logits(z), model.logits(z))
    assert again.save() == model.save()


def test_the_same_seed_gives_the_same_weights(name: str) -> None:
    kind = find(name)
    saved = []
    for _ in range(2):
        model = kind(CLASSES, 5)
        model.fit(data(120, 1, kind.view), data(60, 2, kind.view))
        saved.append(model.save())
    assert saved[0] == saved[1]


def test_foreign_weights_are_refused(name: str) -> None:
    kind = find(name)
    for weights in (b"", b"\x80\x04K\x01.", b"[1, 2"):
        with pytest.raises((ValueError, KeyError, TypeError)):
            kind.load(weights, data(1, 1, kind.view).z.shape[1:], CLASSES)


def test_an_unknown_name_is_refused_with_the_list() -> None:
    with pytest.raises(Refused, match=r"one of cnn, combination, gbt, gru"):
        find("gtb")
    with pytest.raises(Refused):
        find("os.path")


def test_balance_gives_every_class_the_same_weight() -> None:
    y = np.array([0] * 90 + [2] * 10)
    weight = balance(y, 4)
    assert weight[y == 0].sum() == pytest.approx(weight[y == 2].sum())
    assert weight.mean() == pytest.approx(1.0)


def test_a_lower_degree_of_balance_leaves_common_classes_more_weight() -> None:
    y = np.array([0] * 90 + [2] * 10)
    np.testing.assert_array_equal(balance(y, 4, 0.0), np.ones(100))
    half = balance(y, 4, 0.5)
    assert half[y == 2][0] / half[y == 0][0] == pytest.approx(3.0)
    assert half.mean() == pytest.approx(1.0)
