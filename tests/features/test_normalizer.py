"""The normalizer: training windows get mean 0 and deviation 1, rates are relative to a level."""

from dataclasses import replace

import numpy as np
import pytest

from phasewatch.features.normalizer import Normalizer
from phasewatch.features.views import VIEWS, View
from phasewatch.store.local import Store
from phasewatch.windowing import Windows, extract, signed_log


@pytest.fixture(scope="module")
def windows(toy_store: Store) -> Windows:
    """Of a few hosts, with their openings."""
    return extract(toy_store, tuple(toy_store.ids()[:12]), toy_store.schema, 6.0)


@pytest.mark.parametrize("view", VIEWS)
def test_the_normalizer_centres_training_windows(view: View, windows: Windows) -> None:
    z = Normalizer.fit(view, windows).apply(windows.x, windows.opening)
    flat = np.moveaxis(z, 1, 0).reshape(z.shape[1], -1)
    np.testing.assert_allclose(np.nanmean(flat, axis=1), 0, atol=1e-9)
    deviation = np.nanstd(flat, axis=1)
    assert ((np.abs(deviation - 1) < 1e-9) | (deviation < 1e-9)).all()


def test_a_faster_machine_has_equal_rates_relative_to_its_benign_level(windows: Windows) -> None:
    """Rates well above one, all of them twice as high, and so they were in the opening."""
    x = windows.x + 100
    slow = replace(windows, x=x, opening=signed_log(x).mean(axis=2).astype(np.float32))
    fast = replace(slow, x=2 * x, opening=signed_log(2 * x).mean(axis=2).astype(np.float32))
    normalizer = Normalizer.fit("tensor", slow)
    one, two = (normalizer.apply(definition.x, definition.opening) for definition in (slow, fast))
    channels = x.shape[1]
    np.testing.assert_allclose(one[:, channels:], two[:, channels:], atol=0.05)
    assert np.abs(one[:, :channels] - two[:, :channels]).max() > 1
    assert np.abs(one - normalizer.apply(fast.x, slow.opening))[:, channels:].max() > 1


def test_an_unknown_machine_gets_the_median_benign_level(windows: Windows) -> None:
    normalizer = Normalizer.fit("tensor", windows)
    usual = np.tile(normalizer.opening.astype(np.float32), (len(windows), 1))
    unknown = np.full_like(usual, np.nan)
    np.testing.assert_allclose(
        normalizer.apply(windows.x, unknown), normalizer.apply(windows.x, usual), atol=1e-5
    )
