"""Statistics by NumPy and by the compiled loop give the same bits, gaps or none."""

import platform

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phasewatch.compiled import Loop
from phasewatch.features import statistics, views
from phasewatch.features.statistics import sorting_network

X86 = platform.machine() == "x86_64"
"""Where einsum adds in the loop's order; elsewhere `Compiled` may find that it does not."""


def windows(seed: int, shape: tuple[int, int, int], gaps: float, infinite: float) -> views.Array:
    generator = np.random.default_rng(seed)
    z = generator.normal(size=shape) * 10.0 ** generator.integers(-3, 4, (*shape[:2], 1))
    z[generator.random(shape) < 0.1] = 0.0
    z[generator.random(shape) < gaps] = np.nan
    z[generator.random(shape) < infinite] = np.inf
    z[generator.random(shape) < infinite] = -np.inf
    return z


def same_bits(loop: Loop, z: views.Array) -> bool:
    by_loop, by_numpy = np.empty((2, len(z), z.shape[1] * len(views.STATISTICS)))
    with np.errstate(invalid="ignore"):
        views._by_loop(loop, z, by_loop)
        views._by_numpy(z, by_numpy)
    # A mean of nothing is NaN; its sign is not told apart.
    by_loop[np.isnan(by_loop)], by_numpy[np.isnan(by_numpy)] = np.nan, np.nan
    return bool(by_loop.tobytes() == by_numpy.tobytes())


@pytest.mark.skipif(not X86, reason="einsum adds in another order on other processors")
@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    shape=st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 35)),
    gaps=st.sampled_from([0.0, 0.2, 0.9, 1.0]),
    infinite=st.sampled_from([0.0, 0.1]),
)
def test_the_loop_gives_numpys_bits(
    seed: int, shape: tuple[int, int, int], gaps: float, infinite: float
) -> None:
    assert same_bits(statistics.loop, windows(seed, shape, gaps, infinite))


def test_the_compiled_loop_gives_numpys_bits_and_summary_uses_it() -> None:
    pytest.importorskip("numba")
    loop = views.COMPILED.after(10**9)
    assert loop is not None or not X86
    for seed in range(30):
        z = windows(seed, (40, 7, 1 + seed), 0.1 * (seed % 3), 0.01 * (seed % 2))
        assert loop is None or same_bits(loop, z)
    whole = windows(1, (40, 7, 20), 0.1, 0.0)
    by_numpy = np.empty((40, 7 * len(views.STATISTICS)))
    assert views.summary(whole).tobytes() == views._by_numpy(whole, by_numpy).tobytes()


@pytest.mark.parametrize("length", [1, 2, 3, 6, 7, 8, 20, 33])
def test_a_sorting_network_sorts(length: int) -> None:
    """All orders of zeros and ones where they are few, which suffices (Knuth's 0-1 principle)."""
    network = sorting_network(length)
    generator = np.random.default_rng(length)
    every = np.arange(2**length)[:, None] >> np.arange(length) & 1 if length < 9 else None
    rows = generator.integers(0, 2, (500, length)) if every is None else every
    ordered = rows.T.astype(float)[:, :]
    statistics.exchange(ordered, network)
    np.testing.assert_array_equal(ordered, np.sort(rows, axis=1).T)
