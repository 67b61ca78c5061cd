"""Windows that lost a part: what is gone is gone, the rest is as it was."""

import numpy as np
import pytest

from phasewatch.store.local import Store
from phasewatch.training import augment
from phasewatch.windowing import Windows, extract


@pytest.fixture(scope="module")
def windows(toy_store: Store) -> Windows:
    return extract(toy_store, tuple(toy_store.ids()[:9]), toy_store.schema, 6.0)


@pytest.mark.parametrize("part", ["proc", "guest", "qmp", "netflow"])
def test_a_lost_source_is_gone_with_its_opening(
    part: str, windows: Windows, toy_store: Store
) -> None:
    columns = np.array([name.startswith(f"{part}.") for name in toy_store.schema.names])
    lost = augment.without(windows, toy_store.schema, part)
    assert np.isnan(lost.x[:, columns]).all() and np.isnan(lost.opening[:, columns]).all()
    np.testing.assert_array_equal(lost.x[:, ~columns], windows.x[:, ~columns])
    np.testing.assert_array_equal(lost.opening[:, ~columns], windows.opening[:, ~columns])


def test_a_lost_opening_leaves_the_window(windows: Windows, toy_store: Store) -> None:
    lost = augment.without(windows, toy_store.schema, augment.OPENING)
    assert np.isnan(lost.opening).all()
    np.testing.assert_array_equal(lost.x, windows.x)


def test_augmentation_keeps_every_original_window_once(windows: Windows, toy_store: Store) -> None:
    schema = toy_store.schema
    augmented = augment.drop(windows, schema, 1)
    count = len(windows)
    assert len(augmented) == count + round(augment.SHARE * count)
    np.testing.assert_array_equal(augmented.x[:count], windows.x)
    extra = augmented.take(np.arange(count, len(augmented)))
    gone = [
        np.isnan(extra.x[:, [c.source == source for c in schema.channels]]).all(axis=(1, 2))
        for source in schema.sources
    ]
    gone.append(np.isnan(extra.opening).all(axis=1) & ~np.any(gone, axis=0))
    assert (np.sum(gone, axis=0) == 1).all()
    assert min(map(np.sum, gone)) > 0
    again = augment.drop(windows, schema, 1)
    np.testing.assert_array_equal(again.x, augmented.x)
    assert (augment.drop(windows, schema, 2).episode != augmented.episode).any()
