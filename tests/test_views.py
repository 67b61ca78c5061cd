import warnings
from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from phasewatch import schema
from phasewatch.views import STATISTICS, VIEWS, Scaler, fingerprint, summary, tensor

WINDOWS = hnp.arrays(
    np.float32,
    (3, 2, 8),
    elements=st.one_of(st.floats(0, 1e6, width=32), st.just(float("nan"))),
)


@given(WINDOWS)
def test_summary_is_numpys_own_statistics(x: np.typing.NDArray[np.float32]) -> None:
    made = summary(x).reshape(3, 2, len(STATISTICS))
    z = tensor(x)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        expected = [
            f(z, axis=2) for f in (np.nanmean, np.nanstd, np.nanmin, np.nanmedian, np.nanmax)
        ]
        expected += [np.nanmean(z[:, :, 4:], axis=2), np.nanmean(z[:, :, 6:], axis=2)]
    np.testing.assert_allclose(made, np.stack(expected, axis=2), rtol=1e-9, atol=1e-6)


def test_a_channel_never_measured_is_nan_and_alone_in_it() -> None:
    x = np.ones((1, 2, 4), dtype=np.float32)
    x[0, 1] = np.nan
    made = summary(x).reshape(2, -1)
    assert np.isfinite(made[0]).all()
    assert np.isnan(made[1]).all()


def test_scaler_centres_training_and_only_training() -> None:
    generator = np.random.default_rng(0)
    for shape in ((500, 3), (500, 3, 4)):
        z = generator.normal(5, 3, shape)
        z[0] = np.nan
        z[:, 2] = 7.0
        scaled = np.moveaxis(Scaler.fit(z).apply(z), 1, 0).reshape(3, -1)
        np.testing.assert_allclose(np.nanmean(scaled, axis=1), 0, atol=1e-9)
        np.testing.assert_allclose(np.nanstd(scaled, axis=1), [1, 1, 0], atol=1e-9)


def test_every_view_keeps_windows_apart() -> None:
    x = np.random.default_rng(1).gamma(1, 100, (5, 4, 20)).astype(np.float32)
    for view in VIEWS.values():
        np.testing.assert_array_equal(view(x)[2:3], view(x[2:3]))


def test_fingerprints_tell_views_schemas_and_versions_apart() -> None:
    own = schema.vm46()
    turned = replace(own, channels=own.channels[::-1])
    found = {fingerprint(one, view) for one in (own, turned) for view in VIEWS}
    assert len(found) == 4
    assert fingerprint(own, "summary") == fingerprint(schema.vm46(), "summary")
