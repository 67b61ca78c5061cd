"""The fit: what it measures is what was put in."""

from pathlib import Path

import numpy as np
import pytest
from tests import toy

from phasewatch import schema
from phasewatch.episode import Episode
from phasewatch.errors import Refused
from phasewatch.sim.fit import (
    NORMAL_QUANTILES,
    PACKAGED_FIT,
    Fit,
    autocorrelation,
    fit,
    without_segment_means,
)

VM46 = schema.vm46()


def episodes() -> list[Episode]:
    return [
        toy.episode(host, profile, seed)
        for host in toy.HOSTS
        for profile in toy.PROFILES
        for seed in (1, 2)
    ]


def test_a_fit_is_of_the_right_shape_and_the_same_bytes_again(tmp_path: Path) -> None:
    fitted = fit(episodes(), VM46)
    assert fitted.quantiles.shape == (4, 6, 46, len(NORMAL_QUANTILES))
    assert list(fitted.hosts) == sorted(toy.HOSTS)
    assert list(fitted.campaigns) == ["c1", "c2"]
    assert (np.diff(fitted.quantiles, axis=-1) >= 0).all()
    correlation = fitted.root @ fitted.root.transpose(0, 2, 1)
    assert np.allclose(np.diagonal(correlation, axis1=1, axis2=2), 1, atol=1e-4)
    fitted.save(tmp_path / "fit.npz")
    assert (tmp_path / "fit.npz").read_bytes() == fit(episodes(), VM46).dump()
    again = Fit.load(tmp_path / "fit.npz", VM46)
    assert all(np.array_equal(value, getattr(again, name)) for name, value in vars(fitted).items())


def test_the_phase_moves_its_channels() -> None:
    fitted = fit(episodes(), VM46)
    middle = fitted.quantiles[:, :, :, len(NORMAL_QUANTILES) // 2]
    played = {phase for phases in toy.PROFILES.values() for phase in phases}
    for label in (VM46.classes.index(phase) for phase in sorted(played)):
        busy = middle[:, label, label].mean()
        usual = np.delete(middle[:, :, label], label, axis=1).mean()
        assert busy > 3 * usual


def test_the_autocorrelation_of_a_known_process_is_recovered() -> None:
    chance = np.random.default_rng(1)
    x = np.zeros((20_000, 2))
    for row in range(1, len(x)):
        x[row] = np.array([0.8, 0.0]) * x[row - 1] + chance.standard_normal(2)
    act = np.arange(len(x)) // 200
    assert autocorrelation(without_segment_means(x, act), act) == pytest.approx(
        [0.8, 0.0], abs=0.03
    )


def test_no_episode_is_refused() -> None:
    with pytest.raises(Refused, match="no step"):
        fit([], VM46)


def test_the_packaged_fit_is_of_todays_schema() -> None:
    packaged = Fit.load(PACKAGED_FIT, VM46)
    assert len(packaged.hosts) >= 8
    assert len(packaged.campaigns) == 3


@pytest.mark.parametrize("damage", ["garbage", "other channels", "absent"])
def test_a_wrong_file_is_refused(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "fit.npz"
    expected = VM46
    if damage == "garbage":
        path.write_bytes(b"not a fit")
    elif damage == "other channels":
        path.write_bytes(fit(episodes(), VM46).dump())
        expected = VM46.for_mode("realistic")
    with pytest.raises(Refused, match=r"fit\.npz"):
        Fit.load(path, expected)
