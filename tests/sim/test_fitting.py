"""The fit: what is in the recorded episodes is in the simulated ones again."""

import numpy as np
import pytest
from tests import toy
from tests.sim.made_up import FOLLOWER, LEADER, VM46, episodes, made_up_fit

from phasewatch.errors import Refused
from phasewatch.features.views import Array
from phasewatch.lab.timetable import Act
from phasewatch.sim.fit import NORMAL_QUANTILES
from phasewatch.sim.fitting import fit
from phasewatch.sim.process import Process, Running
from phasewatch.sim.steps import collect_steps, lagged_correlation, without_segment_means


def test_a_fit_is_of_the_right_shape_and_the_same_bytes_again() -> None:
    fitted = made_up_fit()
    assert fitted.quantiles.shape == (4, 6, 46, len(NORMAL_QUANTILES))
    assert list(fitted.hosts) == sorted(toy.HOSTS)
    assert list(fitted.campaigns) == ["c1", "c2"]
    assert (np.diff(fitted.quantiles, axis=-1) >= 0).all()
    assert fitted.dump() == fit(episodes(), VM46).dump()


def test_the_phase_moves_its_channels() -> None:
    middle = made_up_fit().quantiles[:, :, :, len(NORMAL_QUANTILES) // 2]
    played = {phase for phases in toy.PROFILES.values() for phase in phases}
    for label in (VM46.classes.index(phase) for phase in sorted(played)):
        busy = middle[:, label, label].mean()
        usual = np.delete(middle[:, :, label], label, axis=1).mean()
        assert busy > 3 * usual


def follows(x: Array, segment: Array) -> tuple[float, float]:
    """The correlation of the follower with the leader a step before, and in the same step."""
    z = without_segment_means(np.log1p(np.abs(x[:, [LEADER, FOLLOWER]])), segment.astype(np.int64))
    before, now = (lagged_correlation(z, segment.astype(np.int64), lag)[1, 0] for lag in (1, 0))
    return float(before), float(now)


def test_a_channel_follows_another_one_as_in_the_recording() -> None:
    _, _, steps = collect_steps(episodes(), VM46)
    recorded = follows(steps.x, steps.segment.astype(np.float64))
    count = 400
    running = Running(
        [Act(0.0, "work", "benign", ""), Act(0.0, "side", "benign", "")],
        np.zeros(count, np.int64),
        np.ones(count, np.int64),
        np.zeros(count, np.int64),
    )
    process, generator = Process(made_up_fit()), np.random.default_rng(0)
    drawn = np.concatenate([process.draw(running, 0, 0, generator) for _ in range(6)])
    simulated = follows(drawn, np.repeat(np.arange(6.0), count))
    assert recorded[0] > 0.8
    assert simulated[0] == pytest.approx(recorded[0], abs=0.25)
    assert simulated[1] == pytest.approx(recorded[1], abs=0.25)


def test_no_episode_is_refused() -> None:
    with pytest.raises(Refused, match="no step"):
        fit([], VM46)
