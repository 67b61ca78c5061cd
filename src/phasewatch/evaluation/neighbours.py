"""Nearest neighbours, exactly, without comparing everything with everything.

Values of one channel are compared in sorted order. Windows are compared through a k-d tree of their
first principal components: a distance there is never larger than the whole one, so that all but a
few training windows need no exact distance (filter and refine: Seidl and Kriegel, SIGMOD 1998).
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree
from scipy.spatial.distance import cdist

from phasewatch.features.normalizer import Moments
from phasewatch.windowing import Windows, WindowSet, signed_log

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

    Windows are points `[N,2C]`, standardised like those of training, of which only the first
    principal components are in memory; `usual` is the median distance from a window to the nearest
    one of another episode.
    """

    def __init__(self, training: WindowSet) -> None:
        self.windows = training
        self._centre, self._scale, self._axes = _fitted(training)
        low = [points @ self._axes for _, points in self._blocks(training)]
        self._tree = KDTree(np.concatenate(low))
        self.usual = self._usual()

    def _usual(self) -> float:
        some = np.random.default_rng(SAMPLE_SEED).permutation(len(self.windows))[:SAMPLE]
        points, episode = self.at(some), self.windows.episodes[1]
        least = np.full(len(some), np.inf)
        for rows, block in self._blocks(self.windows):
            apart = cdist(points, block)
            apart[episode[some][:, None] == episode[None, rows]] = np.inf
            least = np.minimum(least, apart.min(axis=1))
        usual = float(np.median(least))
        return usual if 0 < usual < np.inf else 1.0

    def _blocks(self, windows: WindowSet) -> Iterator[tuple[slice, Floats]]:
        """Yield the points of windows in blocks, each with its rows."""
        first = 0
        for block in windows.blocks(past=False):
            rows = slice(first, first + len(block))
            first = rows.stop
            yield rows, self._standardised(block)

    def _standardised(self, windows: Windows) -> Floats:
        return np.asarray((_raw(windows) - self._centre) / self._scale)

    def at(self, rows: NDArray[np.int64]) -> Floats:
        """Return the training windows in these rows as points `[R,2C]`."""
        return self._standardised(self.windows.take(rows).read(past=False))

    def standardised(self, windows: WindowSet) -> Floats:
        """Return windows as points `[N,2C]`, standardised like those of training."""
        return np.concatenate([points for _, points in self._blocks(windows)])

    def lower_bounds(self, windows: WindowSet) -> Floats:
        """Return what the distance of each window to the nearest training window is at least."""
        found = [self._tree.query(points @ self._axes)[0] for _, points in self._blocks(windows)]
        return _loosened(np.concatenate(found))

    def nearest(self, points: Floats) -> tuple[NDArray[np.int64], Floats]:
        """Return the training window nearest to each of `points[N,2C]`, and its distance, `[N]`."""
        found = [self._nearest(point[None]) for point in points]
        place, least = zip(*found, strict=True) if found else ((), ())
        return np.array(place, dtype=np.int64), np.array(least, dtype=np.float64)

    def _nearest(self, point: Floats) -> tuple[int, float]:
        """Return the training window nearest to one point `[1,2C]`; of several the first."""
        many = len(self.windows)
        candidates = min(FIRST_CANDIDATES, many)
        while True:
            bounds, places = self._tree.query(point @ self._axes, k=np.arange(1, candidates + 1))
            some = np.sort(places[0])
            apart = cdist(point, self.at(some))[0]
            least = float(apart.min())
            if candidates == many or _loosened(bounds)[0, -1] > least:
                return int(some[apart.argmin()]), least
            candidates = min(2 * candidates, many)


def _loosened(bounds: Floats) -> Floats:
    """Return lower bounds that hold although both they and the distances are rounded."""
    return np.asarray(bounds * (1 - 1e-9) - 1e-9)


def _raw(windows: Windows) -> Floats:
    """Return mean and deviation of every channel, `[N,2C]`; missing steps count as 0."""
    z = np.nan_to_num(signed_log(windows.x))
    return np.concatenate([z.mean(axis=2), z.std(axis=2)], axis=1)


def _fitted(windows: WindowSet) -> tuple[Floats, Floats, Floats]:
    """Return mean and scale `[2C]` of windows as points, and their first principal axes.

    The axes are the columns of `[2C,COMPONENTS]`, orthonormal, fewer of fewer columns.
    """
    moments: Moments | None = None
    gram: Floats = np.zeros(())
    for block in windows.blocks(past=False):
        raw = _raw(block)
        own = Moments.of(raw)
        moments = own if moments is None else moments.joined(own)
        gram = gram + raw.T @ raw
    assert moments is not None
    centre, scale = moments.mean, np.sqrt(moments.squares / moments.divisor)
    scale[scale < 1e-9] = 1.0
    spread = (gram - len(windows) * np.outer(centre, centre)) / np.outer(scale, scale)
    _, axes = np.linalg.eigh(spread)
    return centre, scale, np.ascontiguousarray(axes[:, ::-1][:, :COMPONENTS])
