"""Numbers from confusion: everything is a sum over the cube `[E,K,K]`, one matrix an episode.

What is resampled are episodes, for *these hosts, other episodes*, or hosts and then their
episodes, for *hosts like these*. Windows overlap and share a run, so an interval from resampled
windows is far too narrow; docs/explanation/evaluation.md has the formulas and their sources.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from phasewatch.features.views import Array

Confusions = NDArray[np.int64]
REPLICATES, PAIRED_REPLICATES = 2000, 10_000
MIN_EPISODES = 8
"""Episodes under which no interval is given: its true coverage would be far from its name."""

MIN_HOSTS = 5
"""Hosts under which nothing is said about hosts in general."""


@dataclass(frozen=True)
class Score:
    """A value from `episodes` runs, with its 95 % interval, or None where they are too few."""

    value: float
    low: float | None
    high: float | None
    episodes: int
    windows: int


def confusions(
    episode: NDArray[np.str_], truth: NDArray[np.int64], guess: NDArray[np.int64], classes: int
) -> tuple[NDArray[np.str_], Confusions]:
    """Episode ids in order `[E]` and confusion `[E, true K, predicted K]` of windows `[N]`."""
    ids, place = np.unique(episode, return_inverse=True)
    flat = (place * classes + truth) * classes + guess
    counted = np.bincount(flat, minlength=len(ids) * classes * classes)
    return ids, counted.reshape(len(ids), classes, classes)


def class_f1(confusion: NDArray[np.int64] | Array) -> Array:
    """F1 a class of `[..., K, K]`, as `[..., K]`; NaN for a class neither true nor predicted."""
    hit = np.diagonal(confusion, axis1=-2, axis2=-1)
    whole = confusion.sum(axis=-1) + confusion.sum(axis=-2)
    return np.where(whole > 0, 2 * hit / np.maximum(whole, 1e-300), np.nan)


def macro_f1(confusion: NDArray[np.int64] | Array) -> Array:
    """Mean F1 over the classes seen in truth or prediction of `[..., K, K]`, as `[...]`."""
    f1 = class_f1(confusion)
    known = np.isfinite(f1)
    total = np.where(known, f1, 0.0).sum(axis=-1)
    return np.where(known.any(axis=-1), total / np.maximum(known.sum(axis=-1), 1), np.nan)


def bootstrap_weights(episodes: int, seed: int, times: int = REPLICATES) -> NDArray[np.int64]:
    """Bootstrap weights `[B,E]`: how often each episode is drawn. Same seed, same draws: paired."""
    generator = np.random.default_rng(seed)
    even = np.full(episodes, 1 / episodes)
    return generator.multinomial(episodes, even, size=times).astype(np.int64)


def nested_weights(host: NDArray[np.str_], seed: int, times: int = REPLICATES) -> NDArray[np.int64]:
    """Bootstrap weights `[B,E]` of episodes on hosts `[E]`: hosts are drawn, then their episodes.

    Each time a host is drawn, as many of its episodes are, anew (Davison and Hinkley, Bootstrap
    Methods and their Application, 1997, 3.8). Same seed, same draws: paired.
    """
    generator = np.random.default_rng(seed)
    names, place = np.unique(host, return_inverse=True)
    drawn = generator.multinomial(len(names), np.full(len(names), 1 / len(names)), size=times)
    weights = np.zeros((times, len(host)), dtype=np.int64)
    for one in range(len(names)):
        own = np.flatnonzero(place == one)
        even = np.full(len(own), 1 / len(own))
        weights[:, own] = generator.multinomial(drawn[:, one] * len(own), even)
    return weights


def resampled_confusions(parts: Confusions, weights: NDArray[np.int64]) -> Confusions:
    """Confusion of every draw, `[B,K,K]`.

    Multiplied as float64, which BLAS does many times faster and which is exact for such counts.
    """
    episodes, classes, _ = parts.shape
    summed = weights.astype(np.float64) @ parts.reshape(episodes, -1).astype(np.float64)
    return summed.astype(np.int64).reshape(-1, classes, classes)


def percentile_interval(values: Array, episodes: int) -> tuple[float | None, float | None]:
    """95 % percentile interval of draws, widened by Student's t for few episodes (Hesterberg 2015).

    None under FEWEST episodes.
    """
    if episodes < MIN_EPISODES:
        return None, None
    tail = stats.norm.cdf(np.sqrt(episodes / (episodes - 1)) * stats.t.ppf(0.025, episodes - 1))
    low, high = np.nanquantile(values, [tail, 1 - tail])
    return float(low), float(high)


def macro_f1_score(parts: Confusions, seed: int) -> Score:
    """Macro F1 of a cube with its interval."""
    episodes = len(parts)
    drawn = macro_f1(resampled_confusions(parts, bootstrap_weights(episodes, seed)))
    low, high = percentile_interval(drawn, episodes)
    return Score(float(macro_f1(parts.sum(axis=0))), low, high, episodes, int(parts.sum()))


def across_hosts(parts: Confusions, host: NDArray[np.str_], seed: int) -> Score | None:
    """Macro F1 of a cube with its interval for hosts like these; None for too few hosts."""
    if len(np.unique(host)) < MIN_HOSTS:
        return None
    value = float(macro_f1(parts.sum(axis=0)))
    drawn = macro_f1(resampled_confusions(parts, nested_weights(host, seed)))
    return _around(value, drawn, host, int(parts.sum()))


def _around(value: float, drawn: Array, host: NDArray[np.str_], windows: int) -> Score:
    """Student's t, with as many degrees of freedom as hosts less one, times the draws' spread.

    Percentiles of the draws cover too little where hosts are few: `make bench` has both.
    """
    hosts = len(np.unique(host))
    reach = float(stats.t.ppf(0.975, hosts - 1) * np.nanstd(drawn, ddof=1))
    return Score(value, value - reach, value + reach, len(host), windows)


def class_f1_score(parts: Confusions, label: int, seed: int) -> Score:
    """F1 of one class; its episodes are those in which the class is true."""
    drawn = class_f1(resampled_confusions(parts, bootstrap_weights(len(parts), seed)))[:, label]
    holding = int((parts[:, label].sum(axis=-1) > 0).sum())
    low, high = percentile_interval(drawn, holding)
    value = float(class_f1(parts.sum(axis=0))[label])
    return Score(value, low, high, holding, int(parts[:, label].sum()))


def difference(ours: Confusions, other: Confusions, seed: int) -> tuple[Score, float]:
    """Macro F1 of `ours` minus that of `other` on the same episodes, drawn together, and its p.

    For other episodes of these hosts. p is twice the smaller share of draws on either side of zero
    (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, 15.4), never under 1 / (B + 1); 1
    where episodes are too few for an interval.
    """
    drawn = _gap(ours, other, bootstrap_weights(len(ours), seed, PAIRED_REPLICATES))
    low, high = percentile_interval(drawn, len(ours))
    score = Score(_apart(ours, other), low, high, len(ours), int(ours.sum()))
    if low is None:
        return score, 1.0
    side = min(int((drawn <= 0).sum()), int((drawn >= 0).sum()))
    return score, min(2 * (side + 1) / (PAIRED_REPLICATES + 1), 1.0)


def difference_across_hosts(
    ours: Confusions, other: Confusions, host: NDArray[np.str_], seed: int
) -> tuple[Score, float]:
    """The same for hosts like these, from five hosts on; p is that of Student's t on the draws."""
    drawn = _gap(ours, other, nested_weights(host, seed, PAIRED_REPLICATES))
    score = _around(_apart(ours, other), drawn, host, int(ours.sum()))
    spread = float(np.nanstd(drawn, ddof=1))
    if spread == 0:
        return score, 1.0
    return score, float(2 * stats.t.sf(abs(score.value) / spread, len(np.unique(host)) - 1))


def _gap(ours: Confusions, other: Confusions, weights: NDArray[np.int64]) -> Array:
    return macro_f1(resampled_confusions(ours, weights)) - macro_f1(
        resampled_confusions(other, weights)
    )


def _apart(ours: Confusions, other: Confusions) -> float:
    return float(macro_f1(ours.sum(axis=0)) - macro_f1(other.sum(axis=0)))


def holm_adjusted(p: Sequence[float]) -> list[float]:
    """Adjusted for having looked at all of them (Holm, Scand. J. Statistics 6, 1979)."""
    order = np.argsort(p, kind="stable")
    raised = np.asarray(p, dtype=np.float64)[order] * np.arange(len(p), 0, -1)
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(np.maximum.accumulate(raised), 1.0)
    return [float(one) for one in adjusted]
