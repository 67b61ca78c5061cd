"""Moments of scores: what programs and campaigns add, and covariances within acts at several lags.

The same function measures recorded and simulated steps, so that a fit can be compared with what it
was fitted to.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from phasewatch.features.views import Array

Integers = NDArray[np.int64]

ORDER = 4
"""P, how many steps before a step the autoregression knows."""

ACT_LAGS = (12, 16, 20, 24)
"""Steps apart at which two steps of an act have in common what stays during the act."""

PRIOR_STEPS = 200.0
"""Steps without an effect that are added to those of each program and campaign: seven short acts.
"""


@dataclass(frozen=True)
class Layout:
    """What is known of N steps, whatever was measured in them.

    `cell` is the host and phase of a step, `act` its work, and `columns[N,D]` are those of the
    linear model of its mean: campaigns and programs.
    """

    cell: Integers
    phase: Integers
    act: Integers
    columns: Array
    phases: int


@dataclass(frozen=True)
class Moments:
    """Coefficients `mean[D,C]` of the linear model, and covariances of what it leaves, by phase.

    `lags[K,P+1,C,C]` holds them at lags 0 to P, `apart[K,C,C]` as the mean over steps of an act
    that are far apart.
    """

    mean: Array
    lags: Array
    apart: Array


def scores(x: Array, cell: Integers) -> Array:
    """Return normal scores `[N,C]` of steps, of mean 0 and variance 1 in each cell.

    A channel that is constant in a cell, or missing, has score 0.
    """
    z = np.zeros(x.shape)
    for place in np.unique(cell):
        rows = np.flatnonzero(cell == place)
        z[rows] = _cell_scores(x[rows])
    return z


def _cell_scores(x: Array) -> Array:
    """Return the scores of a cell's steps `[n,C]` by mid-rank."""
    known = np.isfinite(x)
    count = np.maximum(known.sum(axis=0), 1)
    rank = stats.rankdata(x, axis=0, nan_policy="omit")
    z = np.where(known, special.ndtri((rank - 0.5) / count), 0.0)
    z -= np.where(known, z.sum(axis=0) / count, 0.0)
    spread = np.sqrt((z**2).sum(axis=0) / count)
    return np.asarray(z / np.where(spread > 1e-6, spread, np.inf))


def measure(z: Array, layout: Layout) -> tuple[Moments, Array]:
    """Return the moments of scores `z[N,C]`, and what the linear model leaves of them.

    The model is a ridge regression: what has few steps adds little.
    """
    columns = layout.columns
    squares = columns.T @ columns + PRIOR_STEPS * np.eye(columns.shape[1])
    mean = np.asarray(np.linalg.solve(squares, columns.T @ z), np.float64)
    rest = z - columns @ mean
    lags, apart = [], []
    for label in range(layout.phases):
        of_phase = layout.phase == label
        lags.append([_covariance(rest, layout.act, of_phase, lag) for lag in range(ORDER + 1)])
        far = [_covariance(rest, layout.act, of_phase, lag) for lag in ACT_LAGS]
        apart.append(np.mean([both + both.T for both in far], axis=0) / 2)
    return Moments(mean, np.array(lags), np.array(apart)), rest


def _covariance(rest: Array, act: Integers, of_phase: NDArray[np.bool_], lag: int) -> Array:
    """Return the covariance `[C,C]` of steps with those `lag` steps before in the same act."""
    late = np.flatnonzero(of_phase)
    late = late[late >= lag]
    late = late[(act[late - lag] == act[late]) & of_phase[late - lag]]
    return np.asarray(rest[late].T @ rest[late - lag] / max(len(late), 1))


def repeated_share(rest: Array, act: Integers, settings: Integers, episode: Integers) -> float:
    """Return the share of the variance of acts' means that acts of other episodes have, too.

    Only acts of the same `settings[N]` are compared.
    """
    first = np.unique(act, return_index=True)[1]
    number = np.searchsorted(act[first], act)
    means = _sums(rest, number) / np.bincount(number)[:, None]
    kind = np.unique(settings[first], return_inverse=True)[1]
    # Pairs of acts of one kind, without the pairs inside an episode.
    pair = np.unique(np.stack([kind, episode[first]]), axis=1, return_inverse=True)[1].ravel()
    products = (_sums(means, kind) ** 2).sum() - (_sums(means, pair) ** 2).sum()
    pairs = (np.bincount(kind) ** 2).sum() - (np.bincount(pair) ** 2).sum()
    variance = (means**2).sum() / len(means)
    return float(np.clip(products / max(pairs, 1) / max(variance, 1e-9), 0.0, 1.0))


def _sums(x: Array, group: Integers) -> Array:
    """Return the sums `[n,C]` of the rows of each group."""
    sums = np.zeros((int(group.max()) + 1, x.shape[1]))
    np.add.at(sums, group, x)
    return sums
