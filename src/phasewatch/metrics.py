"""Scores from confusion matrices `[E,K,K]`, one for each episode; a score is a sum over episodes.

Intervals resample episodes, or hosts and their episodes: windows overlap and share an episode, so
an interval from resampled windows is far too narrow. Formulas and sources are in
docs/explanation/evaluation.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from phasewatch.errors import counted
from phasewatch.features.views import Array
from phasewatch.resampling import PAIRED_REPLICATES, Resampling, over_episodes, over_hosts

Confusions = NDArray[np.int64]
MIN_EPISODES = 8
"""With fewer episodes no interval is given: its coverage would be far from 95 %."""

MIN_HOSTS = 5
"""With fewer hosts no interval over other hosts is given."""


@dataclass(frozen=True)
class Score:
    """A score over `episodes` episodes, with its 95 % interval, or None where there are too few."""

    value: float
    low: float | None
    high: float | None
    episodes: int
    windows: int

    def __str__(self) -> str:
        """Return the value with its interval, or with why it has none."""
        if self.low is None or self.high is None:
            return f"{self.value:.3f} ({counted(self.episodes, 'episode')}: no interval)"
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def confusions(
    episode: NDArray[np.str_], truth: NDArray[np.int64], predicted: NDArray[np.int64], classes: int
) -> tuple[NDArray[np.str_], Confusions]:
    """Return sorted episode ids `[E]` and their confusion matrices `[E, true K, predicted K]`.

    `episode`, `truth` and `predicted` are those of windows `[N]`.
    """
    ids, place = np.unique(episode, return_inverse=True)
    flat = (place * classes + truth) * classes + predicted
    counted = np.bincount(flat, minlength=len(ids) * classes * classes)
    return ids, counted.reshape(len(ids), classes, classes)


def class_f1(confusion: NDArray[np.int64] | Array) -> Array:
    """Return F1 of each class, `[..., K]`, of confusion matrices `[..., K, K]`.

    It is NaN for a class that is neither true nor predicted.
    """
    hit = np.diagonal(confusion, axis1=-2, axis2=-1)
    total = confusion.sum(axis=-1) + confusion.sum(axis=-2)
    return np.where(total > 0, 2 * hit / np.maximum(total, 1e-300), np.nan)


def macro_f1(confusion: NDArray[np.int64] | Array) -> Array:
    """Return macro F1 `[...]` of confusion matrices `[..., K, K]`.

    The mean is over the classes that are true or predicted at least once.
    """
    f1 = class_f1(confusion)
    known = np.isfinite(f1)
    total = np.where(known, f1, 0.0).sum(axis=-1)
    return np.where(known.any(axis=-1), total / np.maximum(known.sum(axis=-1), 1), np.nan)


def resampled_confusions(matrices: Confusions, resampling: Resampling) -> Confusions:
    """Return the confusion matrix of every replicate, `[B,...,K,K]`, of matrices `[E,...,K,K]`."""
    return resampling.totals(matrices).astype(np.int64)


def percentile_interval(values: Array, episodes: int) -> tuple[float | None, float | None]:
    """Return the 95 % percentile interval of replicates, or None under MIN_EPISODES episodes.

    It is widened by Student's t for few episodes (Hesterberg 2015).
    """
    if episodes < MIN_EPISODES:
        return None, None
    tail = stats.norm.cdf(np.sqrt(episodes / (episodes - 1)) * stats.t.ppf(0.025, episodes - 1))
    low, high = np.nanquantile(values, [tail, 1 - tail])
    return float(low), float(high)


def macro_f1_score(matrices: Confusions, seed: int) -> Score:
    """Return macro F1 with its interval over other episodes."""
    episodes = len(matrices)
    replicates = macro_f1(resampled_confusions(matrices, over_episodes(episodes, seed)))
    low, high = percentile_interval(replicates, episodes)
    return Score(float(macro_f1(matrices.sum(axis=0))), low, high, episodes, int(matrices.sum()))


def across_hosts(matrices: Confusions, host: NDArray[np.str_], seed: int) -> Score | None:
    """Return macro F1 with its interval over other hosts; None under MIN_HOSTS hosts.

    `host[E]` are the hosts of the episodes.
    """
    if len(np.unique(host)) < MIN_HOSTS:
        return None
    value = float(macro_f1(matrices.sum(axis=0)))
    replicates = macro_f1(resampled_confusions(matrices, over_hosts(host, seed)))
    sizes = (len(host), int(matrices.sum()))
    return student_interval(value, replicates, len(np.unique(host)), sizes)


def student_interval(value: float, replicates: Array, groups: int, sizes: tuple[int, int]) -> Score:
    """Return the interval of Student's t times the standard deviation of the replicates.

    The degrees of freedom are the number of resampled `groups`, such as hosts, less one.
    Percentiles of the replicates cover too little where they are few: `make bench` compares both.
    `sizes` are the numbers of episodes and windows.
    """
    reach = float(stats.t.ppf(0.975, groups - 1) * np.nanstd(replicates, ddof=1))
    return Score(value, value - reach, value + reach, *sizes)


def class_f1_score(matrices: Confusions, label: int, seed: int) -> Score:
    """Return F1 of one class; its episodes are those that contain the class."""
    resampled = resampled_confusions(matrices, over_episodes(len(matrices), seed))
    replicates = class_f1(resampled)[:, label]
    containing = int((matrices[:, label].sum(axis=-1) > 0).sum())
    low, high = percentile_interval(replicates, containing)
    value = float(class_f1(matrices.sum(axis=0))[label])
    return Score(value, low, high, containing, int(matrices[:, label].sum()))


def difference(first: Confusions, second: Confusions, seed: int) -> tuple[Score, float]:
    """Return macro F1 of `first` minus that of `second` on the same episodes, and its p value.

    The interval is over other episodes of these hosts, from paired replicates. p is twice the
    smaller share of replicates on either side of zero (Efron and Tibshirani, An Introduction to the
    Bootstrap, 1993, 15.4), at least 1 / (B + 1), and 1 where episodes are too few for an interval.
    """
    resampling = over_episodes(len(first), seed, PAIRED_REPLICATES)
    replicates = _replicate_differences(first, second, resampling)
    low, high = percentile_interval(replicates, len(first))
    score = Score(_point_difference(first, second), low, high, len(first), int(first.sum()))
    if low is None:
        return score, 1.0
    side = min(int((replicates <= 0).sum()), int((replicates >= 0).sum()))
    return score, min(2 * (side + 1) / (PAIRED_REPLICATES + 1), 1.0)


def difference_across_hosts(
    first: Confusions, second: Confusions, host: NDArray[np.str_], seed: int
) -> tuple[Score, float]:
    """Return the difference with its interval over other hosts, and its p value.

    There must be MIN_HOSTS hosts or more; p is that of Student's t on the replicates.
    """
    resampling = over_hosts(host, seed, PAIRED_REPLICATES)
    replicates = _replicate_differences(first, second, resampling)
    sizes = (len(host), int(first.sum()))
    value = _point_difference(first, second)
    score = student_interval(value, replicates, len(np.unique(host)), sizes)
    deviation = float(np.nanstd(replicates, ddof=1))
    if deviation == 0:
        return score, 1.0
    return score, float(2 * stats.t.sf(abs(score.value) / deviation, len(np.unique(host)) - 1))


def _replicate_differences(first: Confusions, second: Confusions, resampling: Resampling) -> Array:
    both = macro_f1(resampled_confusions(np.stack([first, second], axis=1), resampling))
    return np.asarray(both[:, 0] - both[:, 1])


def _point_difference(first: Confusions, second: Confusions) -> float:
    return float(macro_f1(first.sum(axis=0)) - macro_f1(second.sum(axis=0)))


def holm_adjusted(p: Sequence[float]) -> list[float]:
    """Return p values adjusted for multiple comparisons (Holm, Scand. J. Statistics 6, 1979)."""
    order = np.argsort(p, kind="stable")
    raised = np.asarray(p, dtype=np.float64)[order] * np.arange(len(p), 0, -1)
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(np.maximum.accumulate(raised), 1.0)
    return [float(one) for one in adjusted]
