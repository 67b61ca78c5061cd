"""Moments: what is put into scores is measured."""

import numpy as np
import pytest

from phasewatch.sim.moments import ORDER, Layout, measure, repeated_share, scores


def test_scores_have_mean_0_and_variance_1_in_each_cell() -> None:
    chance = np.random.default_rng(0)
    cell = np.repeat([0, 3], 500)
    x = np.exp(chance.standard_normal((1000, 3))) * (1 + 50 * cell[:, None])
    x[:, 1] *= chance.random(1000) < 0.3
    x[:500, 2] = 7.0
    x[::10, 0] = np.nan
    z = scores(x, cell)
    for rows in (slice(0, 500), slice(500, 1000)):
        known = np.isfinite(x[rows])
        assert z[rows].mean(axis=0) == pytest.approx(0, abs=1e-9)
        variance = (z[rows] ** 2).sum(axis=0) / known.sum(axis=0)
        assert variance == pytest.approx([1, 1, 0 if rows.start == 0 else 1])
    assert (z[::10, 0] == 0).all()


def test_the_mean_of_a_program_and_what_follows_it_are_measured() -> None:
    chance = np.random.default_rng(1)
    acts = 200
    act = np.repeat(np.arange(acts), 60)
    program = (act % 2).astype(np.float64)
    stays = chance.standard_normal((acts, 2))[act] * 0.5
    noise = chance.standard_normal((len(act) + 1, 2))
    moving = np.stack([noise[1:, 0], noise[:-1, 0]], axis=1)
    layout = Layout(np.zeros_like(act), np.zeros_like(act), act, program[:, None], 1)
    moments, rest = measure(2.0 * program[:, None] + stays + moving, layout)
    assert moments.mean[0] == pytest.approx([2.0, 2.0], abs=0.2)
    assert moments.lags.shape == (1, ORDER + 1, 2, 2)
    assert moments.lags[0, 0] == pytest.approx(np.array([[1.25, 0], [0, 1.25]]), abs=0.15)
    assert moments.lags[0, 1] == pytest.approx(np.array([[0.25, 0], [1, 0.25]]), abs=0.15)
    assert moments.apart[0] == pytest.approx(0.25 * np.eye(2), abs=0.1)
    assert rest.mean(axis=0) == pytest.approx(0, abs=0.2)


@pytest.mark.parametrize("shared", [0.0, 0.6, 1.0])
def test_the_share_of_the_settings_is_measured(shared: float) -> None:
    chance = np.random.default_rng(2)
    settings = np.arange(3000) % 300
    by_settings, own = chance.standard_normal((300, 4))[settings], chance.standard_normal((3000, 4))
    rest = np.sqrt(shared) * by_settings + np.sqrt(1 - shared) * own
    found = repeated_share(rest, np.arange(3000), settings, np.arange(3000) // 5)
    assert found == pytest.approx(shared, abs=0.06)
