"""Statistics of the past, against numpy's own."""

import warnings

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from phasewatch.features.context import COLUMNS, HORIZONS, STATISTICS, context
from phasewatch.windowing import PAST_BLOCKS

NUMBER = st.floats(-1e3, 1e3) | st.just(float("nan"))
STEPS = 20


@given(
    hnp.arrays(np.float64, (2, 3, STEPS), elements=NUMBER),
    hnp.arrays(np.float64, (2, 3, PAST_BLOCKS), elements=NUMBER),
)
def test_context_equals_numpys_statistics(
    z: np.typing.NDArray[np.float64], past: np.typing.NDArray[np.float64]
) -> None:
    found = context(z, past).reshape(2, 3, len(HORIZONS), len(STATISTICS))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        halves = np.nanmean(z.reshape(2, 3, 2, STEPS // 2), axis=3)
        blocks, mean = np.concatenate([past, halves], axis=2), np.nanmean(z, axis=2)
        for place, horizon in enumerate(HORIZONS):
            recent = blocks[:, :, -horizon:]
            usual = np.nanmean(recent, axis=2)
            expected = [
                usual,
                np.nanstd(recent, axis=2),
                np.nanmax(recent, axis=2),
                np.nanmin(recent, axis=2),
                mean - usual,
                mean - np.nanmean(recent[:, :, :-2], axis=2),
            ]
            np.testing.assert_allclose(
                found[:, :, place], np.stack(expected, axis=2), rtol=1e-9, atol=1e-6
            )


@given(
    hnp.arrays(np.float64, (40, 2, STEPS), elements=NUMBER),
    hnp.arrays(np.float64, (40, 2, PAST_BLOCKS), elements=NUMBER),
)
def test_a_window_alone_has_the_bits_it_has_among_others(
    z: np.typing.NDArray[np.float64], past: np.typing.NDArray[np.float64]
) -> None:
    whole = context(z, past)
    for row in (0, 17, 39):
        np.testing.assert_array_equal(context(z[row][None], past[row][None])[0], whole[row])


def test_at_the_beginning_the_window_is_all_there_is() -> None:
    z = np.random.default_rng(1).normal(size=(1, 1, STEPS))
    found = context(z, np.full((1, 1, PAST_BLOCKS), np.nan)).reshape(len(HORIZONS), -1)
    np.testing.assert_array_equal(found, np.repeat(found[:1], len(HORIZONS), axis=0))
    assert np.isnan(found[0]).tolist() == [False] * 5 + [True]
    assert abs(found[0, STATISTICS.index("above_mean")]) < 1e-12
    assert found.size == COLUMNS


def test_a_window_of_one_step_has_a_context() -> None:
    found = context(np.ones((1, 2, 1)), np.zeros((1, 2, PAST_BLOCKS)))
    assert found.shape == (1, 2, COLUMNS) and np.isfinite(found).all()
