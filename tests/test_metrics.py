from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from phasewatch import metrics

CLASSES = 5


def labels(seed: int, rows: int = 200, kinds: int = 4) -> tuple[Any, Any, Any]:
    generator = np.random.default_rng(seed)
    truth = generator.integers(0, kinds, rows)
    guess = np.where(generator.random(rows) < 0.6, truth, generator.integers(0, kinds, rows))
    return np.array([f"e{n}" for n in generator.integers(0, 12, rows)]), truth, guess


@given(st.integers(0, 10**6), st.integers(2, 5))
def test_macro_f1_is_scikit_learns(seed: int, kinds: int) -> None:
    episode, truth, guess = labels(seed, 60, kinds)
    _, cube = metrics.confusions(episode, truth, guess, CLASSES)
    assert cube.sum() == 60
    expected = f1_score(truth, guess, average="macro")
    assert metrics.macro_f1(cube.sum(axis=0)) == pytest.approx(expected)


def test_an_untested_class_is_nan_and_part_of_no_mean() -> None:
    confusion = np.zeros((3, 3), dtype=np.int64)
    confusion[0, 0] = 5
    assert np.isnan(metrics.class_f1(confusion)[2])
    assert metrics.macro_f1(confusion) == 1.0
    confusion[0, 2] = 5
    assert metrics.macro_f1(confusion) == pytest.approx((2 / 3) / 2)
    assert np.isnan(metrics.macro_f1(np.zeros((3, 3))))


def test_few_episodes_get_no_interval() -> None:
    episode, truth, guess = labels(1)
    _, cube = metrics.confusions(episode, truth, guess, CLASSES)
    few, enough = metrics.macro_f1_score(cube[:7], 0), metrics.macro_f1_score(cube, 0)
    assert (few.low, few.high, few.episodes) == (None, None, 7)
    assert enough.low is not None and enough.high is not None
    assert enough.low < enough.value < enough.high


def test_intervals_narrow_with_more_episodes_and_not_with_more_windows() -> None:
    generator = np.random.default_rng(0)
    skill = generator.uniform(0.3, 0.95, 200)

    def width(episodes: int, rows: int) -> float:
        parts = np.zeros((episodes, 2, 2), dtype=np.int64)
        for number in range(episodes):
            right = round(rows * skill[number])
            parts[number] = [[right, rows - right], [rows - right, right]]
        score = metrics.macro_f1_score(parts, 0)
        assert score.low is not None and score.high is not None
        return score.high - score.low

    assert width(200, 20) < 0.6 * width(20, 20)
    assert width(20, 2000) == pytest.approx(width(20, 20), rel=0.15)


def test_a_model_compared_with_itself_has_no_difference() -> None:
    episode, truth, guess = labels(2)
    _, cube = metrics.confusions(episode, truth, guess, CLASSES)
    gap, p = metrics.difference(cube, cube, 0)
    assert p == 1.0
    assert (gap.value, gap.low, gap.high) == (0.0, 0.0, 0.0)


def test_coverage_of_the_interval_over_episodes() -> None:
    """Nominal 95 %: simulated episodes that differ among each other must be covered as promised."""
    generator = np.random.default_rng(7)
    true = 0.7
    covered = 0
    for number in range(200):
        skill = np.clip(generator.normal(true, 0.15, 30), 0, 1)
        right = generator.binomial(40, skill)
        other = generator.binomial(40, skill)
        parts = np.stack(
            [np.stack([right, 40 - right], 1), np.stack([40 - other, other], 1)], axis=1
        )
        score = metrics.macro_f1_score(parts.astype(np.int64), number)
        assert score.low is not None and score.high is not None
        covered += score.low <= true <= score.high
    assert 0.90 <= covered / 200 <= 0.99


def worlds(hosts: int, each: int, seed: int, spread: float = 0.1) -> tuple[Any, Any]:
    """Two-class confusion of `each` episodes on hosts of differing skill, and the host of each."""
    generator = np.random.default_rng(seed)
    host = np.arange(hosts).repeat(each)
    skill = np.clip(generator.normal(0.7, spread, hosts), 0, 1)[host]
    right, other = generator.binomial(40, skill), generator.binomial(40, skill)
    parts = np.stack([np.stack([right, 40 - right], 1), np.stack([40 - other, other], 1)], axis=1)
    return parts.astype(np.int64), host.astype(np.str_)


def test_differences_between_hosts_widen_only_the_interval_across_hosts() -> None:
    def width(score: metrics.Score | None) -> float:
        assert score is not None and score.low is not None and score.high is not None
        return score.high - score.low

    alike, host = worlds(8, 10, 1, spread=0.0)
    differing, _ = worlds(8, 10, 1, spread=0.2)
    wide, narrow = (metrics.across_hosts(parts, host, 0) for parts in (differing, alike))
    assert width(wide) > 3 * width(narrow)
    assert width(wide) > 1.5 * width(metrics.macro_f1_score(differing, 0))


def test_four_hosts_get_no_interval_across_hosts() -> None:
    assert metrics.across_hosts(*worlds(metrics.MIN_HOSTS - 1, 20, 1), seed=0) is None
    assert metrics.across_hosts(*worlds(metrics.MIN_HOSTS, 20, 1), seed=0) is not None


def test_a_difference_on_one_host_is_not_significant_across_hosts() -> None:
    """Episodes of these hosts tell the two apart; other hosts may well not."""
    first, host = worlds(5, 30, 3)
    other = first.copy()
    right = host == "0"
    first[right] = np.array([[40, 0], [0, 40]])
    assert metrics.difference(first, other, 0)[1] < 0.01
    gap, p = metrics.difference_across_hosts(first, other, host, 0)
    assert gap.low is not None and gap.low < 0 and p > 0.05
    everywhere = np.tile(np.array([[40, 0], [0, 40]]), (len(host), 1, 1))
    assert metrics.difference_across_hosts(everywhere, other, host, 0)[1] < 0.01


def test_a_model_compared_with_itself_has_no_difference_across_hosts() -> None:
    parts, host = worlds(5, 4, 2)
    gap, p = metrics.difference_across_hosts(parts, parts, host, 0)
    assert (gap.value, gap.low, gap.high, p) == (0.0, 0.0, 0.0, 1.0)


def test_holm_correction_equals_its_published_example() -> None:
    """By hand: sorted p times 4, 3, 2, 1, never falling, never over one."""
    assert metrics.holm_adjusted([0.01, 0.04, 0.03, 0.005]) == pytest.approx(
        [0.03, 0.06, 0.06, 0.02]
    )
    assert metrics.holm_adjusted([0.6, 0.5]) == [1.0, 1.0]
    assert metrics.holm_adjusted([]) == []
