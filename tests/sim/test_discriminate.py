"""Trees that tell windows apart: they find a planted difference, and none where there is none."""

from dataclasses import replace

import numpy as np
import pytest

from phasewatch.errors import Refused
from phasewatch.sim.discriminate import matched, tell_apart
from phasewatch.windowing import Windows

EPISODES, EACH = 60, 12


def windows(seed: int, host: str = "alpha") -> Windows:
    chance = np.random.default_rng(seed)
    count = EPISODES * EACH
    episode = np.repeat([f"{seed}-{number:02d}" for number in range(EPISODES)], EACH)
    words = [np.full(count, word) for word in (host, "s", "p", "c")]
    x = chance.lognormal(2, 1, (count, 3, 20)).astype(np.float32)
    zeros = np.zeros(count)
    y = np.arange(count) % 2
    level = np.zeros((count, 3), np.float32)
    past = np.zeros((count, 3, 14), np.float32)
    return Windows(x, level, past, y, zeros, zeros, np.arange(count), episode, *words)


def test_no_difference_is_found_where_there_is_none() -> None:
    auc, alone = tell_apart(windows(1), windows(2))
    assert auc == pytest.approx(0.5, abs=0.06)
    assert alone == pytest.approx(0.5, abs=0.12)


def test_a_difference_of_one_channel_is_found_in_that_one() -> None:
    other = windows(2)
    other.x[:, 1] *= 3
    auc, alone = tell_apart(windows(1), other)
    assert auc > 0.95
    assert alone[1] > 0.95
    assert alone[[0, 2]] == pytest.approx(0.5, abs=0.12)


def test_windows_of_one_kind_do_not_count_where_the_other_store_has_fewer() -> None:
    left, right = windows(1), windows(2)
    many = right.take(np.flatnonzero((right.y == 0) | (np.arange(len(right)) < 100)))
    ours, theirs = matched(left, many)
    assert len(ours) == len(theirs) == len(many)
    assert (np.bincount(ours.y) == np.bincount(theirs.y)).all()


def test_stores_without_a_host_in_common_are_refused() -> None:
    with pytest.raises(Refused, match="no host and phase"):
        tell_apart(windows(1), replace(windows(2), host=np.full(EPISODES * EACH, "beta")))
