import warnings
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from phasewatch import schema
from phasewatch.features.normalizer import Normalizer
from phasewatch.features.views import STATISTICS, VIEWS, View, fingerprint, summary
from phasewatch.store.local import Store
from phasewatch.windowing import Windows, extract, signed_log

WINDOWS = hnp.arrays(
    np.float32,
    (3, 2, 8),
    elements=st.one_of(st.floats(0, 1e6, width=32), st.just(float("nan"))),
)


@given(WINDOWS)
def test_summary_equals_numpys_statistics(x: np.typing.NDArray[np.float32]) -> None:
    z = signed_log(x)
    computed = summary(z).reshape(3, 2, len(STATISTICS))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        expected = [
            f(z, axis=2) for f in (np.nanmean, np.nanstd, np.nanmin, np.nanmedian, np.nanmax)
        ]
        expected += [np.nanmean(z[:, :, 4:], axis=2), np.nanmean(z[:, :, 6:], axis=2)]
    np.testing.assert_allclose(computed, np.stack(expected, axis=2), rtol=1e-9, atol=1e-6)


@given(hnp.arrays(np.float64, (70, 3, 20), elements=st.floats(-1e3, 1e3) | st.just(float("nan"))))
def test_features_of_a_window_do_not_depend_on_its_batch(z: np.typing.NDArray[np.float64]) -> None:
    alone = np.concatenate([summary(z[row : row + 1]) for row in (0, 31, 32, 69)])
    np.testing.assert_array_equal(alone, summary(z)[[0, 31, 32, 69]])


def test_an_unmeasured_channel_is_nan_and_affects_no_other() -> None:
    z = np.ones((1, 2, 4))
    z[0, 1] = np.nan
    computed = summary(z).reshape(2, -1)
    assert np.isfinite(computed[0]).all()
    assert np.isnan(computed[1]).all()


@pytest.fixture(scope="module")
def windows(toy_store: Store) -> Windows:
    """Of a few hosts, with their openings."""
    return extract(toy_store, tuple(toy_store.ids()[:12]), toy_store.schema, 6.0)


@pytest.mark.parametrize("view", VIEWS)
def test_the_normalizer_centres_training_windows(view: View, windows: Windows) -> None:
    z = Normalizer.fit(view, windows).apply(windows.x, windows.opening)
    flat = np.moveaxis(z, 1, 0).reshape(z.shape[1], -1)
    np.testing.assert_allclose(np.nanmean(flat, axis=1), 0, atol=1e-9)
    spread = np.nanstd(flat, axis=1)
    assert ((np.abs(spread - 1) < 1e-9) | (spread < 1e-9)).all()


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


def test_every_view_treats_windows_independently() -> None:
    z = np.random.default_rng(1).gamma(1, 100, (5, 4, 20))
    for view in VIEWS.values():
        np.testing.assert_array_equal(view(z)[2:3], view(z[2:3]))


def test_fingerprints_differ_by_view_schema_and_version() -> None:
    definition = schema.vm46()
    turned = replace(definition, channels=definition.channels[::-1])
    found = {fingerprint(one, view) for one in (definition, turned) for view in VIEWS}
    assert len(found) == 4
    assert fingerprint(definition, "summary") == fingerprint(schema.vm46(), "summary")
