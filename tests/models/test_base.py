"""What every model promises; a new file in models/ is tested because it is there."""

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from phasewatch.errors import Refused
from phasewatch.features.views import Array
from phasewatch.models import logistic
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


class Blocks:
    """Windows in memory that are given in blocks, as those that do not fit are."""

    def __init__(self, z: Array) -> None:
        self.z = z

    def __len__(self) -> int:
        return len(self.z)

    def blocks(self) -> Iterator[Array]:
        yield from np.array_split(self.z, 3)

    def rows(self, places: NDArray[np.int64]) -> Array:
        return self.z[places]


def in_blocks(whole: Data) -> Data:
    return whole._replace(z=whole.z[:0], stored=Blocks(whole.z))


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


def test_windows_in_blocks_give_the_same_model(name: str) -> None:
    """Trees are fitted to quantiles of blocks; every other model has the same bytes."""
    kind = find(name)
    train, validation, test = (data(300, seed, kind.view) for seed in (1, 2, 3))
    one, other = kind(CLASSES, 5), kind(CLASSES, 5)
    one.fit(train, validation)
    other.fit(in_blocks(train), in_blocks(validation))
    if name in ("gbt", "combination"):
        agree = one.logits(test.z).argmax(axis=1) == other.logits(test.z).argmax(axis=1)
        assert agree.mean() > 0.97
    else:
        assert one.save() == other.save()
    refitted, whole = kind(CLASSES, 5), kind(CLASSES, 5)
    refitted.refit(in_blocks(train), one.choices)
    whole.refit(train, one.choices)
    alike = refitted.logits(test.z).argmax(axis=1) == whole.logits(test.z).argmax(axis=1)
    assert alike.mean() > 0.97


def test_a_sample_of_windows_is_drawn_from_the_seed() -> None:
    train = data(300, 1, "summary")
    for given in (train, in_blocks(train)):
        z, places = given.sample(40, 3)
        assert len(set(places.tolist())) == 40 and places.tolist() == sorted(places)
        np.testing.assert_array_equal(z, train.z[places])
        assert places.tolist() != given.sample(40, 4)[1].tolist()
        np.testing.assert_array_equal(given.sample(300, 3)[0], train.z)


def test_logistic_regression_learns_from_a_sample_of_very_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    train, validation = data(300, 1, "summary"), data(60, 2, "summary")
    monkeypatch.setattr(logistic, "MOST_WINDOWS", 50)
    models = [logistic.Model(CLASSES, seed) for seed in (3, 3, 4)]
    for model in models:
        model.fit(in_blocks(train), validation)
    assert models[0].save() == models[1].save() != models[2].save()
    few = Data(train.sample(50, 3)[0], train.y[train.sample(50, 3)[1]], CLASSES)
    alone = logistic.Model(CLASSES, 3)
    alone.fit(few, validation)
    agree = alone.logits(train.z).argmax(axis=1) == models[0].logits(train.z).argmax(axis=1)
    assert agree.mean() > 0.9


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
