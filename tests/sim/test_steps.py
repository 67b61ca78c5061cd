"""What is measured within segments."""

import numpy as np
import pytest

from phasewatch.sim.steps import lagged_correlation, without_segment_means


def test_correlations_of_a_known_process_are_found_at_their_lags() -> None:
    chance = np.random.default_rng(1)
    noise = chance.standard_normal((20_000, 2))
    x = np.zeros_like(noise)
    for row in range(1, len(x)):
        x[row, 0] = 0.8 * x[row - 1, 0] + noise[row, 0]
        x[row, 1] = noise[row - 1, 0]
    segment = np.arange(len(x)) // 200
    z = without_segment_means(x, segment)
    lagged = lagged_correlation(z, segment, 1)
    assert np.diag(lagged) == pytest.approx([0.8, 0.0], abs=0.03)
    # The second channel shows the first one's noise a step later.
    assert lagged[1, 0] == pytest.approx(0.6, abs=0.03)
    # x[t] holds 0.8^2 of the noise before the one that the second channel showed a step before.
    assert lagged[0, 1] == pytest.approx(0.8**2 * 0.6, abs=0.03)


def test_pairs_across_segments_do_not_count() -> None:
    z = np.array([[1.0], [-1.0], [5.0], [-5.0]])
    assert lagged_correlation(z, np.array([0, 0, 1, 1]), 1)[0, 0] == pytest.approx(-1.0)
    assert lagged_correlation(z, np.arange(4), 1)[0, 0] == 0.0
