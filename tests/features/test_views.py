import warnings
from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from phasewatch import schema
from phasewatch.features.views import STATISTICS, VIEWS, fingerprint, summary
from phasewatch.windowing import signed_log

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
