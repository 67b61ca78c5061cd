"""Version 4 of the views: what it adds, and that no machine gives a model unbounded numbers."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests import toy

from phasewatch.features.normalizer import BATCH, LEAST_LIMIT, QUANTILE, Normalizer
from phasewatch.features.views import NEWEST, OLDEST, VIEWS, View, count_columns, count_steps
from phasewatch.schema import vm46
from phasewatch.store.local import Store
from phasewatch.windowing import (
    PAST_BLOCKS,
    Windows,
    concatenate,
    cut_windows,
    extract,
    signed_log,
)

OWN = vm46().deployed()
FARTHEST = 1 / np.sqrt(QUANTILE)


@pytest.fixture(scope="module")
def windows() -> Windows:
    """Of a few machines, long enough for a whole past."""
    episodes = [toy.episode(host, seed=seed, seconds=120) for host in toy.HOSTS for seed in (1, 2)]
    return concatenate(cut_windows(one, OWN, 6.0) for one in episodes)


@pytest.fixture(scope="module")
def fitted(windows: Windows) -> dict[View, Normalizer]:
    return {view: Normalizer.fit(view, windows, NEWEST, OWN) for view in VIEWS}


def faster(windows: Windows, factor: float) -> Windows:
    """Every rate is `factor` times higher, in the opening and the past as well."""

    def moved(z: np.typing.NDArray[np.float32]) -> np.typing.NDArray[np.float32]:
        higher = np.sign(z) * np.log1p(factor * np.expm1(np.abs(z.astype(np.float64))))
        return higher.astype(np.float32)

    x = (windows.x * np.float64(factor)).astype(np.float32)
    return replace(windows, x=x, opening=moved(windows.opening), past=moved(windows.past))


def seen(normalizer: Normalizer, windows: Windows) -> np.typing.NDArray[np.float64]:
    return normalizer.apply(windows.x, windows.opening, windows.past)


@pytest.mark.parametrize("view", VIEWS)
def test_columns_and_steps_are_as_counted(
    fitted: dict[View, Normalizer], windows: Windows, view: View
) -> None:
    found = seen(fitted[view], windows).shape[1:]
    steps = count_steps(view, NEWEST, OWN)
    assert found == (count_columns(view, NEWEST, OWN), *([steps] if steps else []))
    old = Normalizer.fit(view, windows)
    assert old.version == OLDEST and old.limits is None
    assert seen(old, windows).shape[1] == count_columns(view, OLDEST, OWN)


@settings(deadline=None, max_examples=25)
@given(
    factor=st.floats(0, 1e6),
    known=st.booleans(),
    view=st.sampled_from(sorted(VIEWS)),
    strange=st.sampled_from([0.0, 1e30, -1e30, float("inf"), float("nan")]),
)
def test_no_machine_gives_numbers_beyond_those_of_training(
    fitted: dict[View, Normalizer],
    windows: Windows,
    factor: float,
    known: bool,
    view: View,
    strange: float,
) -> None:
    some = faster(windows.take(np.arange(0, len(windows), 7)), factor)
    if not known:
        some = replace(some, opening=np.full_like(some.opening, np.nan))
    some.x[0, 0, :3], some.past[0, 0, :3] = strange, strange
    limits = fitted[view].limits
    assert limits is not None
    z = seen(fitted[view], some)
    assert not np.isinf(z).any()
    assert np.nanmax(np.abs(z)) <= max(FARTHEST, LEAST_LIMIT) + 1e-9
    assert (limits.high >= LEAST_LIMIT).all() and (limits.low <= -LEAST_LIMIT).all()


def test_version_3_has_no_bounds(windows: Windows) -> None:
    """What the limits are for: the same machine, a thousand times faster."""
    z = seen(Normalizer.fit("summary", windows), faster(windows, 1000.0))
    assert np.nanmax(np.abs(z)) > 2 * FARTHEST


def test_a_level_beyond_training_is_taken_for_the_nearest(
    fitted: dict[View, Normalizer], windows: Windows
) -> None:
    """Far above every level of training, a machine looks as one that is at the highest of them."""
    steady = replace(windows, x=windows.x + 1e4, past=np.full_like(windows.past, np.nan))
    level = np.log1p(steady.x.astype(np.float64)).mean(axis=2).astype(np.float32)
    steady = replace(steady, opening=level)
    normalizer = Normalizer.fit("tensor", steady, NEWEST, OWN)
    assert normalizer.limits is not None
    x = (steady.x * np.float64(1000)).astype(np.float32)
    high = (level + np.log(1000)).astype(np.float32)
    z = normalizer.apply(x, high, steady.past)[:, : len(OWN.channels), PAST_BLOCKS:]
    highest = (normalizer.limits.highest_level - normalizer.mean[: len(OWN.channels)]) / (
        normalizer.std[: len(OWN.channels)]
    )
    assert (z.mean(axis=(0, 2)) < highest + 3).all()


@pytest.mark.parametrize("view", VIEWS)
def test_training_windows_are_hardly_clipped(
    fitted: dict[View, Normalizer], windows: Windows, view: View
) -> None:
    normalizer = fitted[view]
    assert normalizer.limits is not None
    z = seen(normalizer, windows)
    ends = np.stack([normalizer.limits.low, normalizer.limits.high])
    shape = (2, 1, -1, *[1] * (z.ndim - 2))
    at_an_end = (z[None] == ends.reshape(shape)).any(axis=0)
    assert at_an_end.mean() <= 2 * QUANTILE


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_a_window_alone_has_the_bits_it_has_among_others(
    windows: Windows, view: View, version: int
) -> None:
    many = concatenate([windows] * (BATCH // len(windows) + 2))
    many.x[3, :5], many.past[5, :, :4] = np.nan, np.nan
    normalizer = Normalizer.fit(view, windows, NEWEST if version == NEWEST else OLDEST, OWN)
    whole = seen(normalizer, many)
    assert len(many) > BATCH
    for row in (0, 3, 5, 77, BATCH - 1, BATCH, len(many) - 1):
        alone = seen(normalizer, many.take(np.array([row])))
        np.testing.assert_array_equal(alone[0], whole[row])


def test_a_past_that_is_not_given_is_unknown(
    fitted: dict[View, Normalizer], windows: Windows
) -> None:
    nothing = replace(windows, past=np.full_like(windows.past, np.nan))
    for normalizer in fitted.values():
        without = normalizer.apply(windows.x, windows.opening)
        np.testing.assert_array_equal(without, seen(normalizer, nothing))
        assert not np.array_equal(without, seen(normalizer, windows), equal_nan=True)


def test_it_is_fitted_again_to_the_same_bits(
    fitted: dict[View, Normalizer], windows: Windows
) -> None:
    for normalizer in fitted.values():
        again = normalizer.again(windows).arrays()
        assert again.keys() == normalizer.arrays().keys()
        for name, values in normalizer.arrays().items():
            np.testing.assert_array_equal(values, again[name])


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_windows_in_blocks_give_the_same_normalizer_but_for_rounding(
    windows: Windows, view: View, version: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = concatenate([windows, faster(windows, 3.0)])
    many.x[3, :5], many.x[:, 7] = np.nan, np.nan
    chosen = NEWEST if version == NEWEST else OLDEST
    one = Normalizer.fit(view, many, chosen, OWN)
    blocks = Windows.blocks
    monkeypatch.setattr(Windows, "blocks", lambda self, past: blocks(self, 29, past))
    other = Normalizer.fit(view, many, chosen, OWN)
    assert len(list(other.blocks(many))) > 3
    for name, values in one.arrays().items():
        # Deviations that are rounding alone are no deviation in one of the two and 1 in the other.
        np.testing.assert_allclose(other.arrays()[name], values, rtol=1e-12, atol=1e-12)
    z = np.concatenate(list(one.blocks(many)))
    np.testing.assert_array_equal(z, seen(one, many))


def test_channels_without_an_opening_or_a_value_have_limits(windows: Windows) -> None:
    blind = replace(
        windows,
        opening=np.full_like(windows.opening, np.nan),
        past=np.full_like(windows.past, np.nan),
    )
    found = Normalizer.fit("summary", blind, NEWEST, OWN)
    assert all(np.isfinite(values).all() for values in found.arrays().values())


# ---------------------------------------------------------------- version 3


@pytest.fixture(scope="module")
def short(toy_store: Store) -> Windows:
    """Of a few hosts, with their openings."""
    return extract(toy_store, tuple(toy_store.ids()[:12]), toy_store.schema, 6.0)


@pytest.mark.parametrize("view", VIEWS)
def test_the_normalizer_centres_training_windows(view: View, short: Windows) -> None:
    z = Normalizer.fit(view, short).apply(short.x, short.opening)
    flat = np.moveaxis(z, 1, 0).reshape(z.shape[1], -1)
    np.testing.assert_allclose(np.nanmean(flat, axis=1), 0, atol=1e-9)
    deviation = np.nanstd(flat, axis=1)
    assert ((np.abs(deviation - 1) < 1e-9) | (deviation < 1e-9)).all()


def test_a_faster_machine_has_equal_rates_relative_to_its_benign_level(short: Windows) -> None:
    """Rates well above one, all of them twice as high, and so they were in the opening."""
    x = short.x + 100
    slow = replace(short, x=x, opening=signed_log(x).mean(axis=2).astype(np.float32))
    fast = replace(slow, x=2 * x, opening=signed_log(2 * x).mean(axis=2).astype(np.float32))
    normalizer = Normalizer.fit("tensor", slow)
    one, two = (normalizer.apply(definition.x, definition.opening) for definition in (slow, fast))
    channels = x.shape[1]
    np.testing.assert_allclose(one[:, channels:], two[:, channels:], atol=0.05)
    assert np.abs(one[:, :channels] - two[:, :channels]).max() > 1
    assert np.abs(one - normalizer.apply(fast.x, slow.opening))[:, channels:].max() > 1


def test_an_unknown_machine_gets_the_median_benign_level(short: Windows) -> None:
    normalizer = Normalizer.fit("tensor", short)
    usual = np.tile(normalizer.opening.astype(np.float32), (len(short), 1))
    unknown = np.full_like(usual, np.nan)
    np.testing.assert_allclose(
        normalizer.apply(short.x, unknown), normalizer.apply(short.x, usual), atol=1e-5
    )
