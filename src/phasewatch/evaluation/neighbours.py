"""Nearest neighbours, exactly, without comparing everything with everything.

Values of one channel are compared in sorted order. Windows are compared through a k-d tree of their
first principal components: a distance there is never larger than the whole one, so that all but a
few training windows need no exact distance (filter and refine: Seidl and Kriegel, SIGMOD 1998).
"""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree
from scipy.spatial.distance import cdist

from phasewatch.windowing import Windows, signed_log

Floats = NDArray[np.float64]

COMPONENTS = 16
"""Dimensions of the tree: with fewer, more windows need an exact distance; more make it slow."""

FIRST_CANDIDATES = 16
"""Training windows that are compared exactly at first; twice as many each time after that."""

SAMPLE, SAMPLE_SEED = 500, 0
"""How many training windows give the usual distance."""


def nearest_value(values: Floats, wanted: Floats) -> NDArray[np.int64]:
    """Return which of `values[V]` is nearest to each of `wanted[W]`, `[W]`; -1 where two are."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    after = np.searchsorted(ordered, wanted)
    # Two on each side are enough: those further away are at least as far.
    places = after[:, None] + np.arange(-2, 2)
    inside = (places >= 0) & (places < len(values))
    places = np.clip(places, 0, len(values) - 1)
    apart = np.where(inside, np.abs(wanted[:, None] - ordered[places]), np.inf)
    tied = (apart == apart.min(axis=1, keepdims=True)).sum(axis=1) > 1
    nearest = order[places[np.arange(len(wanted)), apart.argmin(axis=1)]]
    return np.asarray(np.where(tied, -1, nearest))


def nearest_other(values: Floats) -> NDArray[np.int64]:
    """Return which other one of `values[V]` is nearest to each, `[V]`; of several the first.

    There must be two or more.
    """
    distinct, group, count = np.unique(values, return_inverse=True, return_counts=True)
    order = np.argsort(values, kind="stable")
    begin = np.cumsum(count) - count
    first = order[begin]
    # Of a value that several have, the nearest other is the first of them, or the second for it.
    second = order[np.minimum(begin + 1, len(values) - 1)]
    same = np.where(np.arange(len(values)) == first[group], second[group], first[group])
    below = np.append(np.inf, np.diff(distinct))
    above = np.append(np.diff(distinct), np.inf)
    before, after = np.roll(first, 1), np.roll(first, -1)
    tied = np.minimum(before, after)
    nearer = np.where(below < above, before, np.where(above < below, after, tied))
    return np.asarray(np.where(count[group] > 1, same, nearer[group]))


class NearestTraining:
    """Distances of windows to those of training, over the mean and deviation of each channel.

    `points[N,2C]` are the training windows, standardised; `usual` is the median distance from a
    window to the nearest one of another episode.
    """

    def __init__(self, training: Windows) -> None:
        self.windows = training
        raw = _raw(training)
        self._centre, self._scale = raw.mean(axis=0), raw.std(axis=0)
        self._scale[self._scale < 1e-9] = 1.0
        self.points = (raw - self._centre) / self._scale
        self._axes = _principal_axes(self.points)
        self._tree = KDTree(self.points @ self._axes)
        self.usual = self._usual()

    def _usual(self) -> float:
        some = np.random.default_rng(SAMPLE_SEED).permutation(len(self.points))[:SAMPLE]
        apart = cdist(self.points[some], self.points)
        episode = self.windows.episode
        apart[episode[some][:, None] == episode[None, :]] = np.inf
        usual = float(np.median(apart.min(axis=1)))
        return usual if 0 < usual < np.inf else 1.0

    def standardised(self, windows: Windows) -> Floats:
        """Return windows as points `[N,2C]`, standardised like those of training."""
        return np.asarray((_raw(windows) - self._centre) / self._scale)

    def lower_bounds(self, points: Floats) -> Floats:
        """Return what the distance of each point to the nearest training window is at least."""
        return _loosened(self._tree.query(points @ self._axes)[0])

    def nearest(self, points: Floats) -> tuple[NDArray[np.int64], Floats]:
        """Return the training window nearest to each of `points[N,2C]`, and its distance, `[N]`."""
        found = [self._nearest(point[None]) for point in points]
        place, least = zip(*found, strict=True) if found else ((), ())
        return np.array(place, dtype=np.int64), np.array(least, dtype=np.float64)

    def _nearest(self, point: Floats) -> tuple[int, float]:
        """Return the training window nearest to one point `[1,2C]`; of several the first."""
        candidates = min(FIRST_CANDIDATES, len(self.points))
        while True:
            bounds, places = self._tree.query(point @ self._axes, k=np.arange(1, candidates + 1))
            some = np.sort(places[0])
            apart = cdist(point, self.points[some])[0]
            least = float(apart.min())
            if candidates == len(self.points) or _loosened(bounds)[0, -1] > least:
                return int(some[apart.argmin()]), least
            candidates = min(2 * candidates, len(self.points))


def _loosened(bounds: Floats) -> Floats:
    """Return lower bounds that hold although both they and the distances are rounded."""
    return np.asarray(bounds * (1 - 1e-9) - 1e-9)


def _raw(windows: Windows) -> Floats:
    """Return mean and deviation of every channel, `[N,2C]`; missing steps count as 0."""
    z = np.nan_to_num(signed_log(windows.x))
    return np.concatenate([z.mean(axis=2), z.std(axis=2)], axis=1)


def _principal_axes(points: Floats) -> Floats:
    """Return the first orthonormal axes `[2C,COMPONENTS]` by variance; fewer of fewer columns."""
    _, axes = np.linalg.eigh(points.T @ points)
    return np.ascontiguousarray(axes[:, ::-1][:, :COMPONENTS])
